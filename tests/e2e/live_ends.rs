//! How live streams end and what keeps them alive: each end has a reason, and says where to go on.

use jsonwebtoken::Algorithm;
use serde_json::json;
use xagent_ledger::Clock;
use xagent_stack::{Server, Stack};
use xagent_tests::{Now, PATIENCE, until};

use crate::law::enact;
use crate::live::{append, positions, recorded};
use crate::world::{Api, SECRET, World, claims, signed};

const TOOLS: &str = "type=ToolRegistered";

fn everything(url: &str) -> Api {
    Api::new(url, "default", "alice", &["*"], &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_has_heartbeats_that_carry_the_reader_forward() {
    let world = World::new().await;
    let (_server, url) = world.server_with(|serve| _ = serve.env("XAGENT_STREAM_HEARTBEAT_S", "1")).await;
    let api = everything(&url);
    let (mut live, mut socket) = (api.live("type=RunStarted", None).await, api.socket("type=RunStarted").await);
    append(&world.ledger(), "default", 20, 10).await;
    let head = world.head().await;
    while live.last < Some(head) {
        let block = live.block().await.unwrap();
        assert!(block.data.is_none());
    }
    assert!(live.block().await.unwrap().comment);
    let mut from = 0;
    while from <= head {
        from = socket.message().await.unwrap()["heartbeat"]["from"].as_u64().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let world = World::new().await;
    let mut claims = claims("default", "alice", &["*"], &[]);
    // Accepted for five seconds more: clocks differ.
    claims["exp"] = json!(Now.now_us() / 1_000_000 - 2);
    let api = Api::with_token(&world.url, &signed(&claims, Algorithm::HS256, SECRET));
    let (mut live, mut socket) = (api.live(TOOLS, None).await, api.socket(TOOLS).await);
    let end = live.end().await;
    assert_eq!((&end["reason"], end["from"].as_u64()), (&json!("token_expired"), live.last.map(|last| last + 1)));
    while let Some(message) = socket.message().await {
        if message["close"].is_u64() {
            assert_eq!(message, json!({"close": 1008, "reason": "token_expired"}));
            return;
        }
    }
    panic!("the socket was not closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_another_law_is_in_force_so_that_it_is_decided_again() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let mut live = alice.live(TOOLS, None).await;
    enact(&alice, |body| body["data"]["config"]["free_risks"] = json!([])).await;
    append(&world.ledger(), "default", 1, 10).await;
    let end = live.end().await;
    assert_eq!(end["reason"], "law_changed");
    let query = format!("{TOOLS}&from={}", end["from"]);
    assert_eq!(alice.live(&query, None).await.events(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_tells_its_readers_where_to_go_on() {
    let world = World::new().await;
    let (mut server, url) = world.another_server().await;
    let (mut live, mut socket) = (everything(&url).live(TOOLS, None).await, everything(&url).socket(TOOLS).await);
    let start = world.head().await;
    append(&world.ledger(), "default", 10, 10).await;
    let mut seen = live.events(10).await;
    assert_eq!(socket.events(10).await, seen);
    let pid = server.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    let end = live.end().await;
    assert_eq!(end["reason"], "server_stopping");
    let said = socket.message().await.unwrap();
    assert_eq!(said["end"], end);
    assert_eq!(socket.message().await.unwrap(), json!({"close": 1001, "reason": "server_stopping"}));
    assert!(tokio::time::timeout(PATIENCE, server.wait()).await.unwrap().unwrap().success());
    append(&world.ledger(), "default", 10, 10).await;
    let query = format!("{TOOLS}&from={}", end["from"]);
    seen.extend(everything(&world.url).live(&query, None).await.events(10).await);
    assert_eq!(positions(&seen), recorded(&world, "default", "ToolRegistered", start).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_is_cut_off_and_resumes_while_the_others_see_every_event() {
    const EVENTS: usize = 600;
    let world = World::new().await;
    let settings = [("XAGENT_STALL_S", "1"), ("XAGENT_STREAM_WINDOW_MIB", "1"), ("XAGENT_LOG", "warn")];
    let log = world.workspace.with_file_name("stalled.log");
    let file = std::fs::File::create(&log).unwrap();
    let (_server, url) = world.server_with(|serve| _ = serve.envs(settings).stderr(file)).await;
    let api = everything(&url);
    let (mut stalled, mut live) = (api.live(TOOLS, None).await, api.live(TOOLS, None).await);
    let mut socket = api.socket(TOOLS).await;
    let start = world.head().await;
    let ledger = world.ledger();
    let (seen, ()) = tokio::join!(live.events(EVENTS), append(&ledger, "default", EVENTS, 6000));
    let expected = recorded(&world, "default", "ToolRegistered", start).await;
    assert_eq!(positions(&seen), expected);
    until("both that take nothing are cut off", async || {
        let said = std::fs::read_to_string(&log).unwrap();
        (said.matches("\"stalled\"").count() == 2).then_some(())
    })
    .await;
    let mut rest = Vec::new();
    while let Some(event) = stalled.event().await {
        rest.push(event);
    }
    assert!(rest.len() < EVENTS, "it was cut off before it had all");
    rest.extend(api.live(TOOLS, stalled.last).await.events(EVENTS - rest.len()).await);
    assert_eq!(positions(&rest), expected);
    while socket.message().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lags_behind_the_window_reads_on_from_the_ledger() {
    const EVENTS: usize = 800;
    let world = World::new().await;
    let (_server, url) = world.server_with(|serve| _ = serve.env("XAGENT_STREAM_WINDOW_MIB", "1")).await;
    let api = everything(&url);
    // It reads nothing until the window has left it behind.
    let (mut slow, start) = (api.live(TOOLS, None).await, world.head().await);
    append(&world.ledger(), "default", EVENTS, 6000).await;
    let seen = slow.events(EVENTS).await;
    assert_eq!(positions(&seen), recorded(&world, "default", "ToolRegistered", start).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_streams_than_the_server_is_told() {
    let world = World::new().await;
    let (_server, url) = world.server_with(|serve| _ = serve.env("XAGENT_STREAMS", "2")).await;
    let api = everything(&url);
    let (first, _second) = (api.live(TOOLS, None).await, api.live(TOOLS, None).await);
    let third = api.live(TOOLS, None).await;
    assert_eq!(third.status, 503);
    assert_eq!(third.refusal().await["type"], "/errors/unavailable");
    drop(first);
    until("there is a place again", async || (api.live(TOOLS, None).await.status == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_outlives_an_outage_of_postgres_and_misses_nothing() {
    let world = World::with_own_postgres().await;
    let (mut live, start) = (world.everything("alice").live(TOOLS, None).await, world.head().await);
    append(&world.ledger(), "default", 5, 10).await;
    let mut seen = live.events(5).await;
    world.server(Server::Postgres, Stack::kill).await;
    assert_eq!(world.everything("alice").live(TOOLS, None).await.status, 503);
    world.server(Server::Postgres, Stack::start_again).await;
    until("the ledger is back", async || world.ledger().head().await.is_ok().then_some(())).await;
    append(&world.ledger(), "default", 5, 10).await;
    seen.extend(live.events(5).await);
    assert_eq!(positions(&seen), recorded(&world, "default", "ToolRegistered", start).await);
}
