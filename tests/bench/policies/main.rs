//! Decisions a second on one core: ours, the bare engine in the same modes, and a stock OPA, on the same inputs in turns of
//! one run. Figures depend on the machine; what counts is the ratios.
//!
//! `cargo bench -p xagent-tests --bench policies`

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program that measures")]

mod bare;
mod inputs;
mod opa;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use xagent_domain::{Entrypoint, Limits, Outcome};
use xagent_policies::{Bulk, Bundle, Embedded, PolicyEngine};

use inputs::Input;

/// The one of the `xagent` binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const LIMITS: Limits = Limits { timeout_ms: 10_000 };
/// Turns of each contestant, so that what slows the machine for a while slows all of them.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(1);

/// One of those measured.
struct Contestant<'a> {
    name: &'static str,
    /// Decides one input and tells how many bytes it answered.
    decide: Box<dyn FnMut(&Input) -> usize + 'a>,
    decisions: u64,
    seconds: f64,
    best: f64,
}

impl<'a> Contestant<'a> {
    fn new(name: &'static str, decide: impl FnMut(&Input) -> usize + 'a) -> Self {
        Self { name, decide: Box::new(decide), decisions: 0, seconds: 0.0, best: f64::MAX }
    }

    fn turn(&mut self, inputs: &[Input]) {
        let begin = Instant::now();
        let mut decisions = 0;
        while begin.elapsed() < TURN {
            let round = Instant::now();
            for input in inputs {
                assert!((self.decide)(input) > 10);
            }
            decisions += inputs.len() as u64;
            self.best = self.best.min(round.elapsed().as_secs_f64() / inputs.len() as f64);
        }
        self.decisions += decisions;
        self.seconds += begin.elapsed().as_secs_f64();
    }

    fn rate(&self) -> f64 {
        self.decisions as f64 / self.seconds
    }
}

fn length(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Document(text) => text.as_str().len(),
        Outcome::Failure { class, message } => panic!("{class:?}: {message}"),
    }
}

fn main() {
    let stock = Bundle::stock().unwrap();
    let inputs = inputs::inputs();
    let bytes = inputs.iter().map(|input| input.text.as_str().len()).sum::<usize>() / inputs.len();
    let (embedded, bulk) = (Embedded::new(LIMITS), Bulk::new(LIMITS));
    let bundle = embedded.load(&stock).unwrap();
    bulk.load(&stock).unwrap();
    let mut interpreter = bare::interpreter(&stock);
    let mut machine = bare::machine(&stock);
    let opa = opa::Opa::start(&stock);
    let tools = Entrypoint::tools();
    let mut contestants = vec![
        Contestant::new("bare regorus, interpreter", |input| interpreter(input)),
        Contestant::new("embedded, interpreter", |input| {
            length(&embedded.decide(&bundle, &tools, &input.text).outcome)
        }),
        Contestant::new("bare regorus, machine", |input| machine(input)),
        Contestant::new("embedded, machine", |input| length(&bulk.proposed(&bundle, &tools, &input.text).unwrap())),
    ];
    if let Some(opa) = &opa {
        contestants.push(Contestant::new("OPA server, our client", |input| {
            length(&opa.engine.decide(&bundle, &tools, &input.text).outcome)
        }));
    }
    for _ in 0..TURNS {
        contestants.iter_mut().for_each(|contestant| contestant.turn(&inputs));
    }
    let report = table(&contestants, bytes, opa.as_ref().and_then(|opa| opa.in_process(&inputs[0])));
    println!("{report}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("policies.md"), report).unwrap();
}

fn table(contestants: &[Contestant<'_>], bytes: usize, in_process: Option<f64>) -> String {
    let mut report = format!(
        "## Decisions: the stock bundle, tool calls, inputs of {bytes} bytes on average, JSON in and out, one at a time\n\n\
         | engine | decisions a second | best round, µs a decision | time, of the bare engine in its mode (best round) |\n\
         |---|---|---|---|\n"
    );
    for (index, contestant) in contestants.iter().enumerate() {
        let bare = (index < 4).then(|| contestants[index / 2 * 2].best);
        let ratio = bare.map_or_else(|| "".to_owned(), |bare| format!("{:.2}", contestant.best / bare));
        let (rate, best) = (contestant.rate(), contestant.best * 1e6);
        report += &format!("| {} | {rate:.0} | {best:.0} | {ratio} |\n", contestant.name);
    }
    if let Some(rate) = in_process {
        report += &format!("| OPA in process (`opa bench`) | {rate:.0} | {:.0} | |\n", 1e6 / rate);
    }
    report
}
