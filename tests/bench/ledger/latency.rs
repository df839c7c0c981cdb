//! How long a tool call takes to be proposed, decided and committed in runs of 10, 1,000 and 10,000 events: by a process
//! that knows the run, and by one that has just been started. Runs of all lengths take turns.

use std::fmt::Write as _;
use std::time::Instant;

use futures::future::join_all;
use xagent_commands::Commands;

use crate::figures::Figures;
use crate::governed::{Pursuit, commands, register};
use crate::numbers;

/// Calls per length by the process that knows the runs. Few, so that short runs stay short.
const WARM: usize = 48;
/// How often a process is started anew, and how many calls per length it makes: each the first one in its run.
const PROCESSES: usize = 8;
const COLD: usize = 3;
const HEADINGS: &str = "| events in the run | warm, p50 ms | p99 ms | to the shortest | cold, p50 ms | to the shortest |\n\
                        |---|---|---|---|---|---|\n";

/// Runs of one length, and how long calls took in them.
struct Length {
    events: u64,
    runs: Vec<Pursuit>,
    warm: Figures,
    cold: Figures,
}

impl Length {
    /// As many runs as it takes for all of them to stay about as long as they are.
    async fn of(commands: &Commands, events: u64) -> Self {
        let runs = (30_000 / events).clamp(COLD as u64, WARM as u64);
        let runs = (0..runs).map(|run| {
            let (commands, name) = (commands.clone(), format!("agent-{events}-{run}"));
            async move { Pursuit::of(&commands, &name, events).await }
        });
        Self { events, runs: join_all(runs).await, warm: Figures::default(), cold: Figures::default() }
    }

    fn run(&mut self, number: usize) -> &mut Pursuit {
        let runs = self.runs.len();
        &mut self.runs[number % runs]
    }
}

async fn timed(commands: &Commands, run: &mut Pursuit) -> Figures {
    let begin = Instant::now();
    let (_, _) = run.propose(commands).await;
    let seconds = begin.elapsed().as_secs_f64();
    Figures { events: 1, seconds, times: vec![seconds * 1000.0] }
}

async fn cold(url: &str, lengths: &mut [Length], spare: &mut Pursuit, process: usize) {
    let commands = commands(url).await;
    // Connections, the law and the tools are there once this is done; the runs are not.
    for _ in 0..COLD {
        spare.propose(&commands).await;
    }
    for call in 0..COLD {
        for length in &mut *lengths {
            let taken = timed(&commands, length.run(process * COLD + call)).await;
            length.cold.add(taken);
        }
    }
}

/// The latencies, and their ratios to those of the first length.
pub async fn table(url: &str) -> String {
    let known = commands(url).await;
    register(&known).await;
    let mut spare = Pursuit::of(&known, "spare", 10).await;
    let mut lengths = Vec::new();
    for events in numbers("XAGENT_BENCH_RUNS", [10, 1000, 10_000]) {
        lengths.push(Length::of(&known, events).await);
    }
    for call in 0..WARM {
        for length in &mut lengths {
            let taken = timed(&known, length.run(call)).await;
            length.warm.add(taken);
        }
    }
    for process in 0..PROCESSES {
        cold(url, &mut lengths, &mut spare, process).await;
    }
    written(&lengths)
}

fn written(lengths: &[Length]) -> String {
    let mut table = HEADINGS.to_owned();
    let shortest = &lengths[0];
    for Length { events, warm, cold, .. } in lengths {
        let (p50, p99, cold) = (warm.percentile(50), warm.percentile(99), cold.percentile(50));
        let (to_warm, to_cold) = (p50 / shortest.warm.percentile(50), cold / shortest.cold.percentile(50));
        let _ = writeln!(table, "| {events} | {p50:.2} | {p99:.2} | {to_warm:.2} | {cold:.2} | {to_cold:.2} |");
    }
    table
}
