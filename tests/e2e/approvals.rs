//! Approvals of calls that their client executes.

use serde_json::{Value, json};

use crate::world::{Api, World};

async fn risky_call(alice: &Api) -> (String, Value) {
    let tool = json!({
        "name": "pay", "schema": {"type": "object"}, "executor": "client", "risk": "high", "consequential": true,
    });
    alice.post("/v1/tools", &tool).await.expect(201);
    let run = alice.start_client_run().await;
    let body = json!({"tool": "pay", "arguments": {"amount": 98.7}});
    let call = alice.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201);
    (run, call)
}

fn result(run: &str, call: &Value) -> String {
    format!("/v1/runs/{run}/tool-calls/{}/result", call["call"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_an_approval_starts_only_after_it() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let (run, call) = risky_call(&alice).await;
    assert_eq!(call["status"], "awaiting_approval");
    assert_eq!(call["deny"][0]["code"], "approval_required");
    let done = json!({"succeeded": true, "output": {}});
    let early = alice.post(&result(&run, &call), &done).await.problem(409, "conflict");
    assert_eq!(early["code"], "call_not_started");
    let start = format!("/v1/runs/{run}/tool-calls/{}/start", call["call"].as_str().unwrap());
    let early = alice.post(&start, &json!({})).await.problem(409, "conflict");
    assert_eq!(early["code"], "call_not_startable");

    let approval = call["approval"].as_str().unwrap();
    let bob = world.api("bob", &["approval:decide"]);
    bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
    let twice = bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.problem(409, "conflict");
    assert_eq!(twice["code"], "approval_answered");
    let started = alice.post(&start, &json!({})).await.expect(200);
    assert_eq!(started["status"], "started");
    let again = alice.post(&start, &json!({})).await.problem(409, "conflict");
    assert_eq!(again["code"], "call_not_startable");
    alice.post(&result(&run, &call), &done).await.expect(200);
    assert!(world.xagent(&["replay", &run]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_never_starts() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let (run, call) = risky_call(&alice).await;
    let approval = call["approval"].as_str().unwrap();
    let bob = world.api("bob", &["approval:decide"]);
    bob.post(&format!("/v1/approvals/{approval}/refuse"), &json!({"reason": "too much"})).await.expect(200);
    let start = format!("/v1/runs/{run}/tool-calls/{}/start", call["call"].as_str().unwrap());
    let closed = alice.post(&start, &json!({})).await.problem(409, "conflict");
    assert_eq!(closed["code"], "call_closed");
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_another_tenant_does_not_exist() {
    let world = World::new().await;
    let (_, call) = risky_call(&world.everything("alice")).await;
    let approval = call["approval"].as_str().unwrap();
    let mallory = world.api_of("other", "mallory", &["*"], &[]);
    mallory.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.problem(404, "not-found");
}
