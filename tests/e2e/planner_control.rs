//! Pause, resume and cancel take effect within one step, whatever is under way; calls asked for together run together.

use serde_json::{Value, json};
use xagent_tests::{ChatServer, Script};

use crate::law::enact;
use crate::planner::{facts, planning, start};
use crate::world::{SlowServer, until};

fn finish() -> Value {
    json!({"calls": [{"name": "finish", "arguments": {"achieved": true, "summary": "done"}}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_gives_its_model_up_and_starts_nothing() {
    let script = json!({"rules": [{"fault": {"stall": {}}}]});
    let model = ChatServer::start(Script::of(script)).await;
    let world = planning(&model, &[]).await;
    let alice = world.everything("alice");
    let run = start(&alice, &world, "g", json!({})).await;
    until("the model is asked", async || (model.hits() == 1).then_some(())).await;
    alice.post(&format!("/v1/runs/{run}/cancel"), &json!({"reason": "enough"})).await.expect(200);
    until("the request is given up", async || (model.given_up() == 1).then_some(())).await;
    assert_eq!(alice.run_ended(&run).await["status"], "cancelled");
    assert_eq!(facts(&alice, &run, "PlannerConsulted").await.len(), 0);
    assert_eq!(model.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_takes_the_answer_and_acts_on_it_when_it_is_resumed() {
    let call = json!({"calls": [{"name": "list_files", "arguments": {}}]});
    let script = json!({"rules": [
        {"when": {"turn": 0}, "reply": call, "fault": {"hold": {}}},
        {"when": {"turn": 1}, "reply": finish()},
    ]});
    let model = ChatServer::start(Script::of(script)).await;
    let world = planning(&model, &[]).await;
    let alice = world.everything("alice");
    let run = start(&alice, &world, "g", json!({})).await;
    until("the model is asked", async || (model.hits() == 1).then_some(())).await;
    alice.post(&format!("/v1/runs/{run}/pause"), &json!({"reason": "lunch"})).await.expect(200);
    model.release();
    until("its answer is recorded", async || (facts(&alice, &run, "PlannerConsulted").await.len() == 1).then_some(()))
        .await;
    assert_eq!(facts(&alice, &run, "ToolCallProposed").await.len(), 0);
    alice.post(&format!("/v1/runs/{run}/resume"), &json!({})).await.expect(200);
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let events = alice.events(&run).await;
    let names: Vec<&str> = events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    let place = |name: &str| names.iter().position(|found| *found == name).unwrap();
    assert!(
        place("PlannerConsulted") < place("RunResumed") && place("RunResumed") < place("ToolCallProposed"),
        "{names:?}"
    );
    assert_eq!(model.hits(), 2, "what was answered is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_asked_for_together_run_together_and_a_cancel_ends_them_all() {
    let script = |url: &str| {
        let fetch = |path: &str| json!({"name": "http_fetch", "arguments": {"url": format!("{url}{path}")}});
        let together = json!({"calls": [fetch("a"), fetch("b"), fetch("c")]});
        json!({"rules": [
            {"when": {"turn": 0}, "reply": together},
            {"when": {"turn": 1}, "reply": {"calls": [fetch("d"), fetch("e")]}},
            {"reply": finish()},
        ]})
    };
    // The URL is in the script, so the fetched server is there first.
    let slow = SlowServer::start().await;
    let model = ChatServer::start(Script::of(script(&slow.url()))).await;
    let world = planning(&model, &[]).await;
    let alice = world.everything("alice");
    enact(&alice, |body| {
        body["data"]["config"]["network"]["allowed_endpoints"] = json!([format!("127.0.0.1:{}", slow.port)]);
    })
    .await;
    let run = start(&alice, &world, "g", json!({})).await;
    until("three tools are at work at once", async || (slow.hits() == 3).then_some(())).await;
    assert_eq!(facts(&alice, &run, "ToolCallCompleted").await.len(), 0);
    let order = |facts: Vec<Value>| -> Vec<Value> { facts.iter().map(|fact| fact["call"].clone()).collect() };
    let planned = order(facts(&alice, &run, "ToolCallProposed").await);
    assert_eq!(order(facts(&alice, &run, "ToolCallStarted").await), planned);
    alice.post(&format!("/v1/runs/{run}/cancel"), &json!({"reason": "enough"})).await.expect(200);
    until("all three are interrupted", async || {
        (facts(&alice, &run, "ToolCallInterrupted").await.len() == 3).then_some(())
    })
    .await;
    assert_eq!(order(facts(&alice, &run, "ToolCallInterrupted").await), planned);
    assert_eq!(alice.run_ended(&run).await["status"], "cancelled");
    assert_eq!((slow.hits(), model.hits()), (3, 1));

    slow.open();
    let run = start(&alice, &world, "g", json!({})).await;
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let planned = order(facts(&alice, &run, "ToolCallProposed").await);
    assert_eq!((planned.len(), order(facts(&alice, &run, "ToolCallCompleted").await)), (5, planned));
}
