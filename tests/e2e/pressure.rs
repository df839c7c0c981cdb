//! More commands than can be taken: they are sent away at the door, and nothing grows.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use xagent_stack::{Server, Stack};

use crate::world::{Api, World, until};

/// More than the server carries out at once.
const CLIENTS: usize = 600;
const PRINCIPALS: usize = 20;
/// What the server may take of memory under any load.
const MEMORY_KIB: u64 = 200 * 1024;

/// What clients are told.
#[derive(Default)]
struct Told {
    accepted: AtomicUsize,
    later: AtomicUsize,
    enough: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_hangs_under_load_commands_are_sent_away_and_memory_stays_bounded() {
    let world = World::with_own_postgres().await;
    let apis: Vec<_> = (0..PRINCIPALS).map(|number| world.everything(&format!("alice-{number}"))).collect();
    let told = Arc::<Told>::default();
    let client = |number: usize| tokio::spawn(start_runs(apis[number % PRINCIPALS].clone(), number, told.clone()));
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    until("there is load", async || (told.accepted.load(Ordering::Relaxed) > 100).then_some(())).await;

    world.server(Server::Postgres, Stack::pause).await;
    let (before, mut most) = (told.later.load(Ordering::Relaxed), 0);
    until("commands are sent away", async || {
        most = most.max(resident_kib(world.server_pid()));
        (told.later.load(Ordering::Relaxed) > before + 4 * CLIENTS).then_some(())
    })
    .await;
    world.server(Server::Postgres, Stack::resume).await;

    let before = told.accepted.load(Ordering::Relaxed);
    until("commands are taken again", async || {
        most = most.max(resident_kib(world.server_pid()));
        (told.accepted.load(Ordering::Relaxed) > before + 100).then_some(())
    })
    .await;
    told.enough.store(true, Ordering::Relaxed);
    let mut runs = Vec::new();
    for client in clients {
        runs.extend(client.await.unwrap());
    }
    assert!(most > 0 && most < MEMORY_KIB, "{most} KiB");
    each_is_there_once(&world, runs).await;
}

/// Starts one run after the other, each until it is accepted, as a client does that minds `Retry-After`.
async fn start_runs(api: Api, number: usize, told: Arc<Told>) -> Vec<String> {
    let body = json!({"agent": "a", "goal": "g".repeat(8 * 1024)});
    let (mut runs, mut retry) = (Vec::new(), tokio::time::interval(Duration::from_secs(1)));
    while !told.enough.load(Ordering::Relaxed) {
        let key = format!("{number}-{}", runs.len());
        let accepted = loop {
            let answer = api.post_with_key("/v1/runs", &body, &key).await;
            if answer.status == 201 {
                break answer.body;
            }
            assert_eq!(answer.retry_after.as_deref(), Some("1"), "{answer:?}");
            answer.problem(503, "unavailable");
            told.later.fetch_add(1, Ordering::Relaxed);
            retry.reset();
            retry.tick().await;
        };
        told.accepted.fetch_add(1, Ordering::Relaxed);
        runs.push(accepted["run"].as_str().unwrap().to_owned());
    }
    runs
}

/// However often it was asked for.
async fn each_is_there_once(world: &World, mut accepted: Vec<String>) {
    let sql = "SELECT aggregate_id FROM events WHERE event_type = 'RunStarted' ORDER BY aggregate_id";
    let started: Vec<String> = sqlx::query_scalar(sql).fetch_all(&world.superuser().await).await.unwrap();
    accepted.sort();
    assert_eq!(started.len(), accepted.len());
    assert_eq!(started, accepted);
    let verified = world.xagent(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// The memory a process has taken right now. The pages of its own file, of which a debug build has many, are not of it.
fn resident_kib(pid: u32) -> u64 {
    if let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        return line.trim().trim_end_matches(" kB").trim().parse().unwrap();
    }
    let output = Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
