//! Several servers over one ledger: none is misled by what it remembers, and no call is made twice.

use serde_json::json;

use crate::agentdojo::in_stream_and_views_exactly_once;
use crate::crash::fetchable;
use crate::law::enact;
use crate::world::{Api, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_run_may_go_to_any_server() {
    let world = World::new().await;
    let (_other, url) = world.another_server().await;
    let scopes = &["*", "tool:*"];
    let here = world.everything("alice");
    let there = Api::new(&url, "default", "alice", scopes, &[]);
    let bob = Api::new(&url, "default", "bob", scopes, &[]);
    let tool = json!({"name": "pay", "schema": {}, "executor": "client", "risk": "high"});
    there.post("/v1/tools", &tool).await.expect(201);
    let run = here.start_client_run().await;
    let done = json!({"succeeded": true, "output": {}});
    for _ in 0..5 {
        let path = format!("/v1/runs/{run}/tool-calls");
        let call = there.post(&path, &json!({"tool": "pay", "arguments": {"amount": 1}})).await.expect(201);
        let id = call["call"].as_str().unwrap();
        bob.post(&format!("/v1/approvals/{}/grant", call["approval"].as_str().unwrap()), &json!({})).await.expect(200);
        here.post(&format!("{path}/{id}/start"), &json!({})).await.expect(200);
        there.post(&format!("{path}/{id}/result"), &done).await.expect(200);
        let again = here.post(&format!("{path}/{id}/result"), &done).await.problem(409, "conflict");
        assert_eq!(again["code"], "call_closed");
    }
    there.post(&format!("/v1/runs/{run}/pause"), &json!({"reason": "r"})).await.expect(200);
    let paused = here.post(&format!("/v1/runs/{run}/tool-calls"), &json!({"tool": "pay"})).await;
    assert_eq!(paused.problem(409, "conflict")["code"], "run_status");
    assert!(world.xagent(&["replay", &run]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_several_servers_make_each_call_once() {
    const RUNS: usize = 12;
    const STEPS: usize = 6;
    let world = World::new().await;
    let alice = world.everything("alice");
    let counter = fetchable(&alice, false).await;
    counter.open();
    let (_second, _) = world.another_server().await;
    let (_third, _) = world.another_server().await;
    let starts = (0..RUNS).map(|run| {
        let step = |step: usize| {
            json!({"id": format!("s{step}"), "tool": "http_fetch", "arguments": {"url": format!("{}{run}/{step}", counter.url())}})
        };
        let steps = (0..STEPS).map(step).collect::<Vec<_>>();
        let (alice, workspace) = (alice.clone(), world.workspace.clone());
        async move { alice.start_plan(json!(steps), &workspace).await }
    });
    for run in futures::future::join_all(starts).await {
        assert_eq!(alice.run_ended(&run).await["status"], "completed");
        assert_eq!(alice.count(&run, "ToolCallInterrupted").await, 0);
    }
    for (run, step) in (0..RUNS).flat_map(|run| (0..STEPS).map(move |step| (run, step))) {
        assert_eq!(counter.hits_of(&format!("/{run}/{step}")), 1, "run {run}, step {step}");
    }
    in_stream_and_views_exactly_once(&world).await;
    assert!(world.xagent(&["verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_law_activated_on_one_server_is_soon_that_of_all() {
    let world = World::new().await;
    let (_other, url) = world.another_server().await;
    let there = Api::new(&url, "default", "alice", &["*", "tool:*"], &[]);
    let run = there.start_client_run().await;
    let digest = enact(&world.everything("alice"), |body| body["data"]["config"]["free_risks"] = json!([])).await;
    until("the other server decides under the new law", async || {
        let body = json!({"tool": "list_files", "arguments": {}});
        let call = there.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201);
        let page = there.get(&format!("/v1/runs/{run}/decisions?limit=1000")).await.expect(200);
        let last = page["items"].as_array().unwrap().last().unwrap().clone();
        (last["evaluation"]["bundle"] == digest && call["status"] == "awaiting_approval").then_some(())
    })
    .await;
}
