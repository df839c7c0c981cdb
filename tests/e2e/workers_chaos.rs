//! Workers killed at random for as long as there is work: every run ends, and nothing is run twice.
//!
//! `XAGENT_CHAOS_STEPS` sets how many steps each run has: 25 make it last over a minute on two cores.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Child;

use crate::agentdojo::in_stream_and_views_exactly_once;
use crate::crash::fetchable_from;
use crate::workers::{fetching, start_all};
use crate::world::{SlowServer, World};

const WORKERS: usize = 3;
const RUNS: usize = 200;
const EVERY: Duration = Duration::from_secs(2);
/// The longest all of it may take.
const PATIENCE: Duration = Duration::from_secs(600);

async fn ended(world: &World) -> i64 {
    let sql = "SELECT count(*) FROM events WHERE event_type IN ('RunCompleted', 'RunFailed', 'RunCancelled')";
    sqlx::query_scalar(sql).fetch_one(&world.superuser().await).await.unwrap()
}

/// Kills a random worker every two seconds, starting it anew, until every run has ended. Says how many it killed.
async fn kill_until_all_have_ended(world: &World, mut workers: Vec<Child>) -> (usize, Vec<Child>) {
    let (begin, mut kills) = (Instant::now(), 0);
    let mut tick = tokio::time::interval(EVERY);
    tick.tick().await;
    loop {
        tick.tick().await;
        if ended(world).await == RUNS as i64 {
            return (kills, workers);
        }
        assert!(begin.elapsed() < PATIENCE, "{} of {RUNS} runs have ended", ended(world).await);
        let victim = rand::random_range(0..WORKERS);
        workers[victim].kill().await.unwrap();
        workers[victim] = world.worker(|_| {}).await;
        kills += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_killed_at_random_end_every_run_and_make_no_call_twice() {
    let steps = std::env::var("XAGENT_CHAOS_STEPS").map_or(2, |steps| steps.parse().unwrap());
    let world = World::without_workers().await;
    let alice = world.everything("alice");
    let slow = SlowServer::taking(Duration::from_millis(30)).await;
    let slow = fetchable_from(slow, &alice, false).await;
    slow.open();
    let bodies: Vec<_> = (0..RUNS).map(|run| fetching(&world, &slow, run, steps)).collect();
    let runs = start_all(&alice, &bodies).await;
    let begin = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(world.worker(|_| {}).await);
    }
    let (kills, workers) = kill_until_all_have_ended(&world, workers).await;
    let took = begin.elapsed();
    drop(workers);
    let (mut succeeded, mut interrupted) = (0, 0);
    for (run, id) in runs.iter().enumerate() {
        let ended: Value = alice.get(&format!("/v1/runs/{id}")).await.expect(200);
        assert_eq!(ended["status"], "completed", "{ended:#}");
        for step in 0..steps {
            let hits = slow.hits_of(&format!("/{run}/{step}"));
            match ended["state"]["results"][format!("s{step}")]["status"].as_str() {
                Some("succeeded") => {
                    succeeded += 1;
                    assert_eq!(hits, 1, "run {run}, step {step}");
                }
                Some("interrupted") => {
                    interrupted += 1;
                    assert!(hits <= 1, "run {run}, step {step}: {hits}");
                }
                other => panic!("run {run}, step {step} is {other:?}"),
            }
        }
    }
    println!(
        "{RUNS} runs of {steps} steps ended in {} s over {kills} kills: {succeeded} calls succeeded, {interrupted} were interrupted, none was made twice",
        took.as_secs()
    );
    assert!(kills > 0, "it was over before anything was killed");
    for check in [&["verify"][..], &["replay", "--all"]] {
        let said = world.xagent(check).await;
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
        println!(
            "xagent {}: {}",
            check.join(" "),
            String::from_utf8_lossy(&said.stdout).lines().last().unwrap_or_default()
        );
    }
    in_stream_and_views_exactly_once(&world).await;
}
