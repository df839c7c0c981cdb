//! Live streams: who sees what, each event once and in order, whatever becomes of the connection.

use futures::future::join_all;
use rand::Rng;
use serde_json::{Value, json};
use xagent_domain::tool::Tool;
use xagent_domain::{Metadata, Tenant};
use xagent_ledger::{Append, Expected, Ledger};
use xagent_tests::registered;

use crate::world::{Api, World};

/// Appends so many events of a size, each in a command of its own.
pub async fn append(ledger: &Ledger, tenant: &str, count: usize, size: usize) {
    for number in 0..count {
        let append = Append {
            tenant: tenant.parse::<Tenant>().unwrap(),
            aggregate_id: format!("{tenant}/live-{}", number % 7),
            expected: Expected::Any,
            events: vec![registered(format!("live-{number}"), "x".repeat(size))],
            blobs: Vec::new(),
            metadata: Metadata::default(),
            command: None,
        };
        ledger.append::<Tool>(append).await.unwrap();
    }
}

pub fn positions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["position"].as_u64().unwrap()).collect()
}

/// Where the events of a tenant and type behind a position are.
pub async fn recorded(world: &World, tenant: &str, event_type: &str, after: u64) -> Vec<u64> {
    let events = world.ledger().range(after, 100_000).await.unwrap();
    let of = events.iter().filter(|event| event.tenant.as_str() == tenant && event.event_type == event_type);
    of.map(|event| event.position).collect()
}

const TOOLS: &str = "type=ToolRegistered";

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_every_event_of_their_tenant_in_order_while_it_is_appended() {
    let world = World::new().await;
    let (alice, ledger, start) = (world.everything("alice"), world.ledger(), world.head().await);
    let (mut first, mut second) = (alice.live(TOOLS, None).await, alice.live(TOOLS, None).await);
    let (mut socket, mut other) =
        (alice.socket(TOOLS).await, world.api_of("other", "o", &["*"], &[]).live(TOOLS, None).await);
    assert!(socket.message().await.unwrap()["heartbeat"]["from"].as_u64().unwrap() > start);
    let appends = (0..4).map(|_| append(&ledger, "default", 100, 10));
    let appends = async { tokio::join!(join_all(appends), append(&ledger, "other", 20, 10)) };
    let (_, first, second, of_socket, other) =
        tokio::join!(appends, first.events(400), second.events(400), socket.events(400), other.events(20));
    let expected = recorded(&world, "default", "ToolRegistered", start).await;
    assert_eq!(positions(&first), expected);
    assert_eq!(first, second);
    assert_eq!(first, of_socket);
    assert_eq!(positions(&other), recorded(&world, "other", "ToolRegistered", start).await);
    let late = alice.live(&format!("{TOOLS}&from=1"), None).await.events(400).await;
    assert_eq!(late, first[..400], "who comes later reads the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_cut_off_resumes_without_loss_or_repetition() {
    const EVENTS: usize = 300;
    let world = World::new().await;
    let (alice, ledger) = (world.everything("alice"), world.ledger());
    // Cut off before its first event, it knows where it began.
    let begun = alice.live(TOOLS, None).await.block().await.is_some().then(|| world.head());
    let start = begun.unwrap().await;
    let writing = tokio::spawn(async move { append(&ledger, "default", EVENTS, 10).await });
    let (mut seen, mut last) = (Vec::new(), Some(start));
    while seen.len() < EVENTS {
        let mut live = alice.live(TOOLS, last).await;
        let count = rand::rng().random_range(0..60).min(EVENTS - seen.len());
        live.block().await.unwrap();
        seen.extend(live.events(count).await);
        last = live.last;
    }
    writing.await.unwrap();
    let mut of_socket = Vec::new();
    let mut from = start + 1;
    while of_socket.len() < EVENTS {
        let mut socket = alice.socket(&format!("{TOOLS}&from={from}")).await;
        of_socket.extend(socket.events(100.min(EVENTS - of_socket.len())).await);
        from = of_socket.last().unwrap()["position"].as_u64().unwrap() + 1;
    }
    assert_eq!(positions(&seen), recorded(&world, "default", "ToolRegistered", start).await);
    assert_eq!(seen, of_socket);
}

/// A run with one call of `pay`, done, of an agent.
async fn pay(api: &Api, agent: &str) -> String {
    let run = api.post("/v1/runs", &json!({"agent": agent, "goal": "g"})).await.expect(201)["run"].clone();
    let run = run.as_str().unwrap().to_owned();
    let path = format!("/v1/runs/{run}/tool-calls");
    let call = api.post(&path, &json!({"tool": "pay", "arguments": {}})).await.expect(201);
    if call["status"] == "started" {
        let path = format!("{path}/{}/result", call["call"].as_str().unwrap());
        api.post(&path, &json!({"succeeded": true, "output": {}})).await.expect(200);
    }
    run
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_what_it_asked_for_and_what_it_sees_is_what_pages_show() {
    let world = World::new().await;
    let scopes = ["run:start", "call:propose"];
    let (alice, poor) = (world.everything("alice"), world.api("poor", &scopes));
    let tool = json!({"name": "pay", "schema": {}, "executor": "client", "risk": "low"});
    alice.post("/v1/tools", &tool).await.expect(201);
    let (paid, denied) = (pay(&alice, "buyer").await, pay(&poor, "beggar").await);
    let all = alice.events(&paid).await;
    let of = async |query: String, count| alice.live(&format!("from=1&{query}"), None).await.events(count).await;
    assert_eq!(of(format!("run={paid}"), all.len()).await, all);
    assert_eq!(of("agent=buyer".to_owned(), all.len()).await, all);
    let both = of("type=RunStarted,GoalSet".to_owned(), 4).await;
    assert_eq!(types(&both), ["RunStarted", "GoalSet", "RunStarted", "GoalSet"]);
    let calls = of(format!("tool=pay&run={paid}"), 4).await;
    assert_eq!(types(&calls), ["ToolCallProposed", "DecisionMade", "ToolCallStarted", "ToolCallCompleted"]);
    let denial = &of("decision=deny".to_owned(), 1).await[0];
    assert_eq!((&denial["aggregate_id"], &denial["payload"]["DecisionMade"]["allow"]), (&json!(denied), &json!(false)));
    let allowed = of("decision=allow&tool=pay".to_owned(), 1).await;
    assert_eq!(allowed[0]["aggregate_id"], json!(paid));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_nothing_and_whoever_may_not_read_is_told_why() {
    let world = World::new().await;
    let (alice, other) = (world.everything("alice"), world.api_of("other", "olga", &["*"], &[]));
    let run = alice.start_client_run().await;
    let mut live = other.live("from=1", None).await;
    append(&world.ledger(), "default", 20, 10).await;
    append(&world.ledger(), "other", 1, 10).await;
    let seen = live.events(2).await;
    assert_eq!(types(&seen), ["DecisionMade", "ToolRegistered"], "that it reads is itself recorded");
    assert!(seen.iter().all(|event| event["tenant"] == "other"));
    assert_eq!(seen[0]["payload"]["DecisionMade"]["question"]["command"]["name"], "read.events");
    let refusals = [
        (other.live(&format!("run={run}"), None).await, 404, "not-found", Value::Null),
        (alice.live("from=1000000", None).await, 400, "invalid-input", json!("from")),
        (alice.live("", Some(1_000_000)).await, 400, "invalid-input", json!("Last-Event-ID")),
        (alice.live("type=Tool%20Registered", None).await, 400, "invalid-input", json!("type")),
        (alice.live("colour=red", None).await, 400, "invalid-input", json!("colour")),
        (alice.live("tenant=other", None).await, 400, "invalid-input", json!("tenant")),
        (world.api("poor", &["run:read"]).live("", None).await, 403, "denied", Value::Null),
        (Api::with_token(&world.url, "x").live("", None).await, 401, "unauthenticated", json!("Authorization")),
    ];
    for (live, status, kind, field) in refusals {
        assert_eq!(live.status, status);
        let problem = live.refusal().await;
        assert_eq!((&problem["type"], &problem["field"]), (&json!(format!("/errors/{kind}")), &field), "{problem:#}");
    }
    alice.get("/v1/ws").await.problem(400, "invalid-input");
}
