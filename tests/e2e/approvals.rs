//! Approvals of calls that their client executes.

use serde_json::{Value, json};
use xagent_ledger::Clock;

use crate::world::{Api, World, until};

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
    assert_eq!(again["code"], "approval_used");
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

/// A risky call that bob has approved, with the path that starts it.
async fn approved_call(world: &World, alice: &Api) -> (String, Value, String) {
    let (run, call) = risky_call(alice).await;
    let bob = world.api("bob", &["approval:decide"]);
    let approval = call["approval"].as_str().unwrap();
    bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
    let start = format!("/v1/runs/{run}/tool-calls/{}/start", call["call"].as_str().unwrap());
    (run, call, start)
}

/// Refusals on the record since a position: who tried what, and why it was refused.
async fn refusals(world: &World, since: u64) -> Vec<(String, String, String)> {
    let events = world.ledger().range(since, 100).await.unwrap();
    let refused = events.iter().filter(|event| event.event_type == "CommandRefused").map(|event| {
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        let refused = &payload["CommandRefused"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&refused["command"]["principal"]["id"]), text(&refused["command"]["name"]), text(&refused["code"]))
    });
    refused.collect()
}

fn refusal(code: &str) -> Vec<(String, String, String)> {
    vec![("alice".to_owned(), "run.start_call".to_owned(), code.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_argument_is_refused_and_recorded() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let (run, call, start) = approved_call(&world, &alice).await;
    let head = world.head().await;
    let other = json!({"arguments": {"amount": 98.8}});
    let refused = alice.post(&start, &other).await.problem(409, "conflict");
    assert_eq!(refused["code"], "other_arguments");
    assert_eq!(refusals(&world, head).await, refusal("other_arguments"));
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);
    // Another call with other arguments has an approval of its own to wait for.
    let body = json!({"tool": "pay", "arguments": {"amount": 98.8}});
    let second = alice.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201);
    assert_eq!(second["status"], "awaiting_approval");
    assert_ne!(second["approval"], call["approval"]);
    // What was approved starts, also where the client says in its own words that this is what it executes.
    let same = alice.post(&start, &json!({"arguments": {"amount": 98.70}})).await.expect(200);
    assert_eq!(same["status"], "started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_was_registered_anew_is_refused_and_recorded() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let (run, _, start) = approved_call(&world, &alice).await;
    let anew = json!({
        "name": "pay", "schema": {}, "executor": "client", "risk": "low", "consequential": false,
    });
    alice.post("/v1/tools", &anew).await.expect(201);
    let head = world.head().await;
    let refused = alice.post(&start, &json!({})).await.problem(409, "conflict");
    assert_eq!(refused["code"], "other_tool");
    assert_eq!(refusals(&world, head).await, refusal("other_tool"));
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_refuses_what_was_approved_under_the_one_before() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let (run, call, start) = approved_call(&world, &alice).await;
    let stricter = crate::law::enact(&alice, |body| {
        let text = body["modules"]["tools.rego"].as_str().unwrap();
        let changed = text.replace("input.run.status == \"running\"", "input.run.status == \"never\"");
        assert_ne!(text, changed);
        body["modules"]["tools.rego"] = Value::String(changed);
    })
    .await;
    let denied = alice.post(&start, &json!({})).await.expect(200);
    assert_eq!(denied["status"], "denied");
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);
    let decisions = alice.get(&format!("/v1/runs/{run}/decisions?limit=100")).await.expect(200);
    let last = decisions["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["evaluation"]["bundle"], &last["allow"]), (&json!(stricter), &json!(false)), "{last:#}");
    assert_eq!(last["question"]["tool_call"]["approval"], call["approval"]);
    let closed = alice.post(&start, &json!({})).await.problem(409, "conflict");
    assert_eq!(closed["code"], "call_closed");
    assert!(world.xagent(&["replay", &run]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_approval_is_refused_and_recorded() {
    let world = World::new().await;
    let (_server, url) = world
        .server_with(|command| {
            command.env("XAGENT_APPROVAL_TTL_S", "1");
        })
        .await;
    let alice = Api::new(&url, "default", "alice", &["*", "tool:*"], &[]);
    let (run, _, start) = approved_call(&world, &alice).await;
    let events = alice.events(&run).await;
    let asked = events.iter().find(|event| event["event_type"] == "ApprovalRequested").unwrap();
    let expires_at_us = asked["payload"]["ApprovalRequested"]["expires_at_us"].as_i64().unwrap();
    until("the approval has lapsed", async || (xagent_tests::Now.now_us() > expires_at_us).then_some(())).await;
    let denied = alice.post(&start, &json!({})).await.expect(200);
    assert_eq!(denied["status"], "denied");
    assert_eq!(denied["deny"][0]["code"], "approval_invalid", "{denied:#}");
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);

    // Nor can it be granted any more, and who tried is on the record.
    let body = json!({"tool": "pay", "arguments": {"amount": 1}});
    let second = alice.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201);
    let granting = format!("/v1/approvals/{}/grant", second["approval"].as_str().unwrap());
    let asked_us = xagent_tests::Now.now_us();
    until("it has lapsed too", async || (xagent_tests::Now.now_us() > asked_us + 1_000_000).then_some(())).await;
    let head = world.head().await;
    let bob = Api::new(&url, "default", "bob", &["approval:decide"], &[]);
    let late = bob.post(&granting, &json!({})).await.problem(409, "conflict");
    assert_eq!(late["code"], "approval_expired");
    let expected = ("bob".to_owned(), "approval.grant".to_owned(), "approval_expired".to_owned());
    assert_eq!(refusals(&world, head).await, [expected]);
    assert!(world.xagent(&["replay", &run]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_approval_is_refused_and_recorded() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let (run, call, start) = approved_call(&world, &alice).await;
    alice.post(&start, &json!({})).await.expect(200);
    for _ in 0..2 {
        let head = world.head().await;
        let again = alice.post(&start, &json!({})).await.problem(409, "conflict");
        assert_eq!(again["code"], "approval_used");
        assert_eq!(refusals(&world, head).await, refusal("approval_used"));
        // Once while the call is under way, and once after it.
        alice.post(&result(&run, &call), &json!({"succeeded": true, "output": {}})).await;
    }
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 1);
    assert!(world.xagent(&["replay", &run]).await.status.success());
}
