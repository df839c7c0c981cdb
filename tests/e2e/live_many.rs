//! Many readers of live streams, one in ten of which takes nothing: the rest see every event in order, and memory is bounded.

use std::time::Instant;

use futures::future::join_all;
use serde_json::Value;
use tokio::process::Command;
use xagent_tests::until;

use crate::live::{append, recorded};
use crate::world::{Api, Live, World};

const TOOLS: &str = "type=ToolRegistered";
/// Bytes of an event's description.
const SIZE: usize = 1500;

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

async fn resident_mib(pid: u32) -> u64 {
    let output = Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse::<u64>().unwrap() / 1024
}

/// Positions only: all events of all readers would not fit.
async fn read(mut live: Live, count: usize) -> Vec<u64> {
    let mut seen = Vec::with_capacity(count);
    while seen.len() < count {
        seen.push(live.event().await.as_ref().and_then(position).unwrap());
    }
    seen
}

fn position(event: &Value) -> Option<u64> {
    event["position"].as_u64()
}

/// What was on its way when it was cut off, then the rest over a new connection.
async fn resume(api: Api, mut stalled: Live, count: usize) -> Vec<u64> {
    let mut seen = Vec::with_capacity(count);
    while let Some(event) = stalled.event().await {
        seen.extend(position(&event));
    }
    assert!(seen.len() < count, "it was cut off before it had all");
    let live = api.live(TOOLS, stalled.last).await;
    seen.extend(read(live, count - seen.len()).await);
    seen
}

/// `XAGENT_LIVE_READERS=1000` is the full size.
#[tokio::test(flavor = "multi_thread")]
async fn the_readers_that_read_see_every_event_and_the_stalled_resume_without_loss() {
    let (readers, events) = (number("XAGENT_LIVE_READERS", 100), number("XAGENT_LIVE_EVENTS", 600));
    let world = World::new().await;
    let log = world.workspace.with_file_name("many.log");
    let file = std::fs::File::create(&log).unwrap();
    let settings = [("XAGENT_STALL_S", "5"), ("XAGENT_LOG", "xagent_gateway=warn")];
    let (server, url) = world.server_with(|serve| _ = serve.envs(settings).stderr(file)).await;
    let (pid, api) = (server.id().unwrap(), Api::new(&url, "default", "alice", &["*"], &[]));
    let before = resident_mib(pid).await;
    let mut open = Vec::new();
    for _ in 0..readers / 20 {
        open.extend(join_all((0..20).map(|_| api.live(TOOLS, None))).await);
    }
    assert!(open.len() == readers && open.iter().all(|live| live.status == 200));
    let (idle, start) = (resident_mib(pid).await, world.head().await);
    let stalled = open.split_off(readers - readers / 10);
    let began = Instant::now();
    let reading: Vec<_> = open.into_iter().map(|live| tokio::spawn(read(live, events))).collect();
    append(&world.ledger(), "default", events, SIZE).await;
    let expected = recorded(&world, "default", "ToolRegistered", start).await;
    assert_eq!(expected.len(), events);
    let mut most = idle;
    for reader in reading {
        assert_eq!(reader.await.unwrap(), expected);
        most = most.max(resident_mib(pid).await);
    }
    let took = began.elapsed();
    until("all that take nothing are cut off", async || {
        most = most.max(resident_mib(pid).await);
        (std::fs::read_to_string(&log).unwrap().matches("\"stalled\"").count() >= stalled.len()).then_some(())
    })
    .await;
    let after = resident_mib(pid).await;
    for seen in join_all(stalled.into_iter().map(|live| resume(api.clone(), live, events))).await {
        assert_eq!(seen, expected);
    }
    println!(
        "{readers} readers, {events} events each in {took:?}; the server had {before} MiB, {idle} with all readers idle, \
         {most} at most, {after} without the stalled"
    );
    assert!(most < 200, "the server had {most} MiB");
}
