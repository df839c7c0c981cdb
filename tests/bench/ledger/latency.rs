//! How long a tool call takes to be proposed, decided and committed in runs of 10, 1,000 and 10,000 events: by a process
//! that knows the run, and by one that has just been started. Runs of all lengths take turns.

use std::fmt::Write as _;
use std::time::Instant;

use futures::future::join_all;
use sqlx::{Executor, PgPool};
use xagent_commands::Commands;

use crate::figures::Figures;
use crate::governed::{Pursuit, commands, register};
use crate::{loading, numbers};

/// Runs of one length at most; calls per length by the process that knows them. Few, so that short runs stay short.
const RUNS: u64 = 48;
const WARM: usize = 144;
/// How often a process is started anew, and how many calls per length it makes: each the first one in its run.
const PROCESSES: usize = 8;
const COLD: usize = 3;
const HEADINGS: &str = "| events in the run | warm, p50 ms | p99 ms | to the shortest | cold, p50 ms | to the shortest | cold \
                        without snapshots, p50 ms | to the shortest |\n|---|---|---|---|---|---|---|---|\n";

/// Runs of one length, and how long calls took in them.
struct Length {
    events: u64,
    runs: Vec<Pursuit>,
    warm: Figures,
    cold: Figures,
    without: Figures,
}

impl Length {
    /// As many runs as it takes for all of them to stay about as long as they are.
    async fn of(commands: &Commands, events: u64) -> Self {
        let runs = (30_000 / events).clamp(COLD as u64, RUNS);
        let runs = (0..runs).map(|run| {
            let (commands, name) = (commands.clone(), format!("agent-{events}-{run}"));
            async move { Pursuit::of(&commands, &name, events).await }
        });
        let [warm, cold, without] = [(); 3].map(|()| Figures::default());
        Self { events, runs: join_all(runs).await, warm, cold, without }
    }

    fn run(&mut self, number: usize) -> &mut Pursuit {
        let runs = self.runs.len();
        &mut self.runs[number % runs]
    }
}

async fn timed(commands: &Commands, run: &mut Pursuit) -> Figures {
    let begin = Instant::now();
    run.propose(commands).await;
    let seconds = begin.elapsed().as_secs_f64();
    Figures { events: 1, seconds, times: vec![seconds * 1000.0] }
}

/// The calls of a new process, each the first one in its run.
async fn cold(
    url: &str,
    lengths: &mut [Length],
    spare: &mut Pursuit,
    process: usize,
    cold: fn(&mut Length) -> &mut Figures,
) {
    let commands = commands(url).await;
    // Connections, the law and the tools are there once this is done; the runs are not.
    for _ in 0..COLD {
        spare.propose(&commands).await;
    }
    for call in 0..COLD {
        for length in &mut *lengths {
            let taken = timed(&commands, length.run(process * COLD + call)).await;
            cold(length).add(taken);
        }
    }
}

/// The latencies, and their ratios to those of the first length; then what loading takes, and keeping snapshots.
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
    let database = PgPool::connect(url).await.unwrap();
    for process in 0..PROCESSES {
        cold(url, &mut lengths, &mut spare, process, |length| &mut length.cold).await;
    }
    for process in 0..PROCESSES {
        database.execute("DELETE FROM snapshots").await.unwrap();
        cold(url, &mut lengths, &mut spare, process, |length| &mut length.without).await;
    }
    let streams: Vec<_> = lengths.iter().map(|length| (length.events, length.runs[0].stream())).collect();
    format!("{}\n{}", written(&lengths), loading::table(url, &database, &streams).await)
}

fn written(lengths: &[Length]) -> String {
    let mut table = HEADINGS.to_owned();
    let shortest = &lengths[0];
    for length in lengths {
        let _ = write!(
            table,
            "| {} | {:.2} | {:.2}",
            length.events,
            length.warm.percentile(50),
            length.warm.percentile(99)
        );
        let _ = write!(table, " | {:.2}", length.warm.percentile(50) / shortest.warm.percentile(50));
        for (figures, shortest) in [(&length.cold, &shortest.cold), (&length.without, &shortest.without)] {
            let p50 = figures.percentile(50);
            let _ = write!(table, " | {p50:.2} | {:.2}", p50 / shortest.percentile(50));
        }
        table.push_str(" |\n");
    }
    table
}
