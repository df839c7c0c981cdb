//! Workers apart from the API: turns between tenants, priorities, limits over all workers, and a queue that may be away.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use xagent_stack::{Server, Stack};

use crate::agentdojo::in_stream_and_views_exactly_once;
use crate::crash::{fetchable, fetchable_from};
use crate::world::{Api, SlowServer, World, until};

/// A run whose steps each fetch a path of their own.
pub fn fetching(world: &World, slow: &SlowServer, run: usize, steps: usize) -> Value {
    let step = |step: usize| json!({"id": format!("s{step}"), "tool": "http_fetch", "arguments": {"url": format!("{}{run}/{step}", slow.url())}});
    let steps: Vec<_> = (0..steps).map(step).collect();
    json!({"agent": "fetcher", "goal": "g", "plan": {"steps": steps}, "workspace": world.workspace})
}

/// A run that lists files.
fn listing(world: &World) -> Value {
    let steps = json!([{"id": "list", "tool": "list_files", "arguments": {}}]);
    json!({"agent": "lister", "goal": "g", "plan": {"steps": steps}, "workspace": world.workspace})
}

/// Starts runs.
pub async fn start_all(api: &Api, bodies: &[Value]) -> Vec<String> {
    let mut started = Vec::new();
    for bodies in bodies.chunks(20) {
        started.extend(join_all(bodies.iter().map(|body| api.start(body))).await);
    }
    started
}

/// Waits until so many runs wait in the queue, or are taken.
async fn waiting(world: &World, runs: usize) {
    until("the runs are in the queue", async || {
        let stream = world.jetstream().await.get_stream("XAGENT_WORK").await.ok()?;
        // One message more marks how far the queue is filled.
        (stream.cached_info().state.messages > runs as u64).then_some(())
    })
    .await;
}

/// The runs that have ended, in the order in which they did.
pub async fn ended(world: &World) -> Vec<String> {
    let sql = "SELECT aggregate_id FROM events WHERE event_type IN ('RunCompleted', 'RunFailed', 'RunCancelled') \
               ORDER BY position";
    sqlx::query_scalar(sql).fetch_all(&world.superuser().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_of_a_tenant_is_not_kept_waiting_by_hundreds_of_another() {
    const RUNS: usize = 200;
    let world = World::without_workers().await;
    let slow =
        fetchable_from(SlowServer::taking(Duration::from_millis(50)).await, &world.everything("alice"), false).await;
    slow.open();
    let busy: Vec<_> = (0..RUNS).map(|run| fetching(&world, &slow, run, 3)).collect();
    start_all(&world.everything("alice"), &busy).await;
    let carol = world.api_of("calm", "carol", &["*", "tool:*"], &[]);
    let calm = carol.start(&listing(&world)).await;
    let _worker = world.worker(|worker| _ = worker.env("XAGENT_WORKER_RUNS", "2")).await;
    assert_eq!(carol.run_ended(&calm).await["status"], "completed");
    let before = ended(&world).await.iter().position(|run| *run == calm).unwrap();
    assert!(before <= 4, "{before} runs of the other tenant came first");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_tenant_the_urgent_runs_come_first_and_the_others_in_order() {
    let world = World::without_workers().await;
    let alice = world.everything("alice");
    let slow = fetchable(&alice, false).await;
    let first = alice.start(&fetching(&world, &slow, 0, 1)).await;
    let _worker = world.worker(|worker| _ = worker.env("XAGENT_WORKER_RUNS", "1")).await;
    until("the only place is taken", async || (slow.hits() == 1).then_some(())).await;
    let priorities = ["low", "normal", "normal", "normal", "normal", "high"];
    let mut runs = Vec::new();
    for priority in priorities {
        let mut body = listing(&world);
        body["priority"] = json!(priority);
        runs.push(alice.start(&body).await);
    }
    let shown = alice.get(&format!("/v1/runs/{}", runs[5])).await.expect(200);
    assert_eq!(shown["state"]["priority"], "high");
    let events = alice.events(&runs[5]).await;
    assert_eq!(events[0]["payload"]["DecisionMade"]["question"]["command"]["attributes"]["priority"], "high");
    waiting(&world, runs.len()).await;
    slow.open();
    for run in &runs {
        assert_eq!(alice.run_ended(run).await["status"], "completed");
    }
    let expected: Vec<_> =
        [&first].into_iter().chain([5, 1, 2, 3, 4, 0].map(|number| &runs[number])).cloned().collect();
    assert_eq!(ended(&world).await, expected);
    let wrong = alice.post("/v1/runs", &json!({"agent": "a", "goal": "g", "priority": "urgent"})).await;
    wrong.problem(400, "invalid-input");
}

/// What is limited does not go past its limit over all workers, and does not keep others waiting.
async fn is_limited(set: &str, limit: &str, most: usize) {
    const RUNS: usize = 12;
    let world = World::without_workers().await;
    let alice = world.everything("alice");
    let slow = fetchable(&alice, false).await;
    let limited: Vec<_> = (0..RUNS).map(|run| fetching(&world, &slow, run, 2)).collect();
    let limited = start_all(&alice, &limited).await;
    let _workers = (
        world.worker(|worker| _ = worker.env(set, limit).env("XAGENT_WORKER_RUNS", "4")).await,
        world.worker(|worker| _ = worker.env(set, limit).env("XAGENT_WORKER_RUNS", "4")).await,
    );
    until("as many fetch as may", async || (slow.hits() == most).then_some(())).await;
    let others = start_all(&alice, &vec![listing(&world); 10]).await;
    for run in &others {
        assert_eq!(alice.run_ended(run).await["status"], "completed");
    }
    assert_eq!(slow.hits(), most, "others went on, these must not");
    slow.open();
    for run in &limited {
        assert_eq!(alice.run_ended(run).await["status"], "completed");
    }
    assert_eq!((slow.hits(), slow.most_at_once()), (2 * RUNS, most));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_runs_of_an_agent_are_walked_at_once_than_may_be_whoever_walks_them() {
    is_limited("XAGENT_AGENT_LIMITS", "fetcher=2,nobody=1", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_of_a_tool_are_under_way_at_once_than_may_be_whoever_makes_them() {
    is_limited("XAGENT_TOOL_LIMITS", "http_fetch=3", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_work_goes_on_and_when_its_queue_is_lost_no_run_is() {
    const STEPS: usize = 4;
    let world = World::without_workers().await;
    let alice = world.everything("alice");
    let slow = fetchable_from(SlowServer::taking(Duration::from_millis(20)).await, &alice, false).await;
    slow.open();
    let few = |worker: &mut tokio::process::Command| _ = worker.env("XAGENT_WORKER_RUNS", "4");
    let _workers = (world.worker(few).await, world.worker(few).await);
    let bodies = |from: usize| (from..from + 20).map(|run| fetching(&world, &slow, run, STEPS)).collect::<Vec<_>>();
    let mut runs = start_all(&alice, &bodies(0)).await;
    until("work is under way", async || (slow.hits() > 5).then_some(())).await;
    world.server(Server::Nats, Stack::kill).await;
    runs.extend(start_all(&alice, &bodies(20)).await);
    for run in &runs {
        assert_eq!(alice.run_ended(run).await["status"], "completed");
    }
    world.server(Server::Nats, Stack::start_again).await;
    runs.extend(start_all(&alice, &bodies(40)).await);
    waiting(&world, 1).await;
    world.jetstream().await.delete_stream("XAGENT_WORK").await.unwrap();
    for run in &runs {
        assert_eq!(alice.run_ended(run).await["status"], "completed");
        assert_eq!(alice.count(run, "ToolCallInterrupted").await, 0);
    }
    for (run, step) in (0..60).flat_map(|run| (0..STEPS).map(move |step| (run, step))) {
        assert_eq!(slow.hits_of(&format!("/{run}/{step}")), 1, "run {run}, step {step}");
    }
    in_stream_and_views_exactly_once(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_dropped_out_of_the_queue_is_found_by_the_sweep() {
    let world = World::without_workers().await;
    let alice = world.everything("alice");
    let slow = fetchable(&alice, false).await;
    let first = alice.start(&fetching(&world, &slow, 0, 1)).await;
    let set = |worker: &mut tokio::process::Command| {
        worker.env("XAGENT_WORKER_RUNS", "1").env("XAGENT_WORKER_SWEEP_S", "1");
    };
    let _worker = world.worker(set).await;
    until("the only place is taken", async || (slow.hits() == 1).then_some(())).await;
    let dropped = alice.start(&listing(&world)).await;
    let subject = format!("xagent.work.run.default.normal.any.{dropped}");
    until("the run is dropped", async || {
        let stream = world.jetstream().await.get_stream("XAGENT_WORK").await.ok()?;
        (stream.purge().filter(&subject).await.unwrap().purged == 1).then_some(())
    })
    .await;
    slow.open();
    for run in [&first, &dropped] {
        assert_eq!(alice.run_ended(run).await["status"], "completed");
    }
}
