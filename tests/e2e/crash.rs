//! The server is killed between a committed ALLOW and the tool's end.

use serde_json::{Value, json};

use crate::law::enact;
use crate::world::{Api, SlowServer, World, until};

/// Lets built-in fetches reach a server on loopback, registered as idempotent or not.
pub async fn fetchable(alice: &Api, idempotent: bool) -> SlowServer {
    fetchable_from(SlowServer::start().await, alice, idempotent).await
}

/// The same for a server that is there.
pub async fn fetchable_from(slow: SlowServer, alice: &Api, idempotent: bool) -> SlowServer {
    let endpoint = format!("127.0.0.1:{}", slow.port);
    enact(alice, |body| body["data"]["config"]["network"]["allowed_endpoints"] = json!([endpoint])).await;
    let mut tools = alice.get("/v1/tools").await.expect(200);
    let tool = tools["items"].as_array_mut().unwrap().iter_mut().find(|tool| tool["name"] == "http_fetch").unwrap();
    tool["idempotent"] = json!(idempotent);
    alice.post("/v1/tools", tool).await.expect(201);
    slow
}

/// A run whose first step hangs in a started call, with the server that holds it up.
async fn hanging(world: &World, alice: &Api, idempotent: bool) -> (SlowServer, String) {
    let slow = fetchable(alice, idempotent).await;
    let steps = json!([
        {"id": "fetch", "tool": "http_fetch", "arguments": {"url": slow.url()}},
        {"id": "note", "tool": "write_file", "arguments": {"path": "scratch/note", "content": "{{fetch.status}}"}},
    ]);
    let run = alice.start_plan(steps, &world.workspace).await;
    until("the tool is under way", async || (slow.hits() == 1).then_some(())).await;
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 1);
    (slow, run)
}

async fn replays(world: &World, run: &str) {
    let replay = world.xagent(&["--json", "replay", run]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_call_is_interrupted_and_not_run_again() {
    let mut world = World::new().await;
    let (slow, run) = hanging(&world, &world.everything("alice"), false).await;
    world.kill_server().await;
    slow.open();
    world.start_server().await;
    let alice = world.everything("alice");
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(ended["state"]["results"]["fetch"]["status"], "interrupted");
    assert_eq!(slow.hits(), 1);
    assert_eq!(alice.count(&run, "ToolCallInterrupted").await, 1);
    assert_eq!(std::fs::read_to_string(world.workspace.join("scratch/note")).unwrap(), "interrupted");
    replays(&world, &run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_call_of_an_idempotent_tool_is_finished() {
    let mut world = World::new().await;
    let (slow, run) = hanging(&world, &world.everything("alice"), true).await;
    world.kill_server().await;
    slow.open();
    world.start_server().await;
    let alice = world.everything("alice");
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["state"]["results"]["fetch"]["status"], "succeeded", "{ended:#}");
    assert_eq!(slow.hits(), 2);
    let attempts: Vec<Value> = alice
        .events(&run)
        .await
        .iter()
        .filter(|event| event["event_type"] == "ToolCallStarted")
        .map(|event| event["payload"]["ToolCallStarted"]["attempt"].clone())
        .collect();
    assert_eq!(attempts, [json!(1), json!(2), json!(1)]);
    assert_eq!(alice.count(&run, "ToolCallCompleted").await, 2);
    replays(&world, &run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_nothing_is_run_twice_and_the_run_completes() {
    const STEPS: usize = 60;
    let mut world = World::new().await;
    let slow = fetchable(&world.everything("alice"), false).await;
    slow.open();
    let url = |step: usize| format!("{}{step}", slow.url());
    let steps: Vec<_> = (0..STEPS)
        .map(|step| json!({"id": format!("s{step}"), "tool": "http_fetch", "arguments": {"url": url(step)}}))
        .collect();
    let run = world.everything("alice").start_plan(json!(steps), &world.workspace).await;
    for kill in 1..=6 {
        // Each time at another place of the loop: what is committed when this many events are is up to chance.
        let (ledger, tenant) = (world.ledger(), "default".parse().unwrap());
        until("the run has come further", async || {
            let events = ledger.stream(&tenant, "run", &run, 50 * kill - 7 * (kill % 3), 1).await.unwrap();
            (!events.is_empty()).then_some(())
        })
        .await;
        world.kill_server().await;
        world.start_server().await;
    }
    let alice = world.everything("alice");
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let mut interrupted = 0;
    for step in 0..STEPS {
        let status = ended["state"]["results"][format!("s{step}")]["status"].as_str().unwrap().to_owned();
        let hits = slow.hits_of(&format!("/{step}"));
        match status.as_str() {
            "succeeded" => assert_eq!(hits, 1, "step {step}"),
            "interrupted" => assert!(hits <= 1, "step {step}"),
            other => panic!("step {step} is {other}"),
        }
        interrupted += usize::from(status == "interrupted");
    }
    assert!(interrupted <= 6);
    replays(&world, &run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waited_for_an_approval_goes_on_after_a_crash() {
    let mut world = World::new().await;
    std::fs::write(world.workspace.join("a"), "a").unwrap();
    let steps = json!([
        {"id": "read", "tool": "read_file", "arguments": {"path": "a"}},
        {"id": "write", "tool": "write_file", "arguments": {"path": "b", "content": "{{read.output.text}}"}},
    ]);
    let run = world.everything("alice").start_plan(steps, &world.workspace).await;
    let waiting = crate::review::waiting;
    let approval = world.everything("alice").run_until(&run, "the run waits for an approval", waiting).await;
    world.kill_server().await;
    world.start_server().await;
    world.everything("bob").post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
    let ended = world.everything("alice").run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(std::fs::read_to_string(world.workspace.join("b")).unwrap(), "a");
    replays(&world, &run).await;
}
