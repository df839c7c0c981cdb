//! Workers that stop, are stopped, or hang: their runs go on elsewhere within seconds, and no call is made twice.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Child;

use crate::crash::fetchable;
use crate::workers::fetching;
use crate::world::{Api, SlowServer, World, until};
use xagent_tests::PATIENCE;

fn send(worker: &Child, signal: Signal) {
    let pid = i32::try_from(worker.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// A worker in the middle of a call that does not end by itself.
struct Held {
    world: World,
    alice: Api,
    slow: SlowServer,
    worker: Child,
    run: String,
}

async fn held(idempotent: bool, drain_s: &str) -> Held {
    let world = World::without_workers().await;
    let alice = world.everything("alice");
    let slow = fetchable(&alice, idempotent).await;
    let run = alice.start(&fetching(&world, &slow, 0, 2)).await;
    let worker = world.worker(|worker| _ = worker.env("XAGENT_WORKER_DRAIN_S", drain_s)).await;
    until("the tool is under way", async || (slow.hits() == 1).then_some(())).await;
    Held { world, alice, slow, worker, run }
}

async fn exits(worker: &mut Child) {
    assert!(tokio::time::timeout(PATIENCE, worker.wait()).await.unwrap().unwrap().success());
}

async fn results(held: &Held) -> serde_json::Value {
    let ended = held.alice.run_ended(&held.run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert!(held.world.xagent(&["replay", &held.run]).await.status.success());
    json!([ended["state"]["results"]["s0"]["status"], ended["state"]["results"]["s1"]["status"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_ends_its_step_and_another_goes_on() {
    let mut held = held(false, "60").await;
    send(&held.worker, Signal::SIGTERM);
    let other = held.world.worker(|_| {}).await;
    held.slow.open();
    exits(&mut held.worker).await;
    assert_eq!(results(&held).await, json!(["succeeded", "succeeded"]));
    assert_eq!((held.slow.hits_of("/0/0"), held.slow.hits_of("/0/1")), (1, 1));
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_in_time_is_interrupted_by_the_worker_that_drains() {
    let mut held = held(false, "1").await;
    send(&held.worker, Signal::SIGTERM);
    exits(&mut held.worker).await;
    let events = held.alice.events(&held.run).await;
    let reason = events.iter().find_map(|event| event["payload"]["ToolCallInterrupted"]["reason"].as_str());
    assert_eq!(reason, Some("its worker had to stop while the tool was at work"));
    held.slow.open();
    let _other = held.world.worker(|_| {}).await;
    assert_eq!(results(&held).await, json!(["interrupted", "succeeded"]));
    assert_eq!(held.slow.hits_of("/0/0"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_made_again_is_left_to_the_next_worker() {
    let mut held = held(true, "1").await;
    send(&held.worker, Signal::SIGTERM);
    exits(&mut held.worker).await;
    held.slow.open();
    let _other = held.world.worker(|_| {}).await;
    assert_eq!(results(&held).await, json!(["succeeded", "succeeded"]));
    assert_eq!(held.slow.hits_of("/0/0"), 2);
    assert_eq!(held.alice.count(&held.run, "ToolCallInterrupted").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_loses_its_runs_and_makes_nothing_twice_when_it_wakes() {
    let held = held(false, "60").await;
    send(&held.worker, Signal::SIGSTOP);
    let _other = held.world.worker(|_| {}).await;
    held.slow.open();
    let ended = held.alice.run_ended(&held.run).await;
    send(&held.worker, Signal::SIGCONT);
    assert_eq!(ended["status"], "completed", "{ended:#}");
    // What the one that hung knows comes too late, and is not taken.
    let after = held.alice.start(&fetching(&held.world, &held.slow, 1, 2)).await;
    assert_eq!(held.alice.run_ended(&after).await["status"], "completed");
    assert_eq!(results(&held).await, json!(["interrupted", "succeeded"]));
    for path in ["/0/0", "/0/1", "/1/0", "/1/1"] {
        assert_eq!(held.slow.hits_of(path), 1, "{path}");
    }
    assert!(held.world.xagent(&["verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_run_goes_on_elsewhere_within_seconds() {
    let mut held = held(true, "60").await;
    let _other = held.world.worker(|_| {}).await;
    held.worker.kill().await.unwrap();
    let killed = std::time::Instant::now();
    until("the call is made again", async || (held.slow.hits() == 2).then_some(())).await;
    // Three seconds until the queue gives it to others; the rest is this machine's.
    assert!(killed.elapsed().as_secs() < 15, "{:?}", killed.elapsed());
    held.slow.open();
    assert_eq!(results(&held).await, json!(["succeeded", "succeeded"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_cancelled_run_whose_worker_is_gone_is_interrupted() {
    let mut held = held(true, "60").await;
    // It cannot see that the run was cancelled before it is gone.
    send(&held.worker, Signal::SIGSTOP);
    let path = format!("/v1/runs/{}/cancel", held.run);
    held.alice.post(&path, &json!({"reason": "enough"})).await.expect(200);
    held.worker.kill().await.unwrap();
    let _other = held.world.worker(|_| {}).await;
    let interrupted = until("the call is interrupted", async || {
        let events = held.alice.events(&held.run).await;
        events.iter().find_map(|event| event["payload"]["ToolCallInterrupted"]["reason"].as_str().map(str::to_owned))
    })
    .await;
    assert_eq!(interrupted, "its worker is gone, and the run has ended");
    let closed = |run: &serde_json::Value| (run["state"]["open"] == json!({})).then(|| run["status"].clone());
    assert_eq!(held.alice.run_until(&held.run, "no call is open", closed).await, "cancelled");
    assert_eq!(held.slow.hits(), 1);
    assert!(held.world.xagent(&["replay", &held.run]).await.status.success());
}
