//! A sample of what agents do, with known answers: for tests of queries.

use serde_json::{Value, json};

use crate::world::{Api, World};

/// What was recorded, by its ids.
pub struct Sample {
    /// Of the agent `reviewer`: one call succeeded, one was denied.
    pub reviewer: String,
    /// Of the agent `payer`: one call was approved by bob and succeeded.
    pub payer: String,
    /// Of the agent `payer`: one call was refused by carol.
    pub refused: String,
}

impl Sample {
    /// Recorded by alice, in the tenant `default`.
    pub async fn recorded(world: &World) -> Self {
        let alice = world.everything("alice");
        for tool in [tool("note", "low", &["path"]), tool("pay", "high", &[])] {
            alice.post("/v1/tools", &tool).await.expect(201);
        }
        let reviewer = started(&alice, "reviewer", "review the plan").await;
        let call = propose(&alice, &reviewer, "note", json!({"path": "docs/plan.md"})).await;
        finish(&alice, &reviewer, &call, true).await;
        let denied = propose(&alice, &reviewer, "note", json!({"path": "../secret.md"})).await;
        assert_eq!(denied["status"], "denied");
        completed(&alice, &reviewer).await;

        let payer = started(&alice, "payer", "pay the bill").await;
        let call = propose(&alice, &payer, "pay", json!({"amount": "12.50"})).await;
        answer(world, "bob", &call, "grant", json!({})).await;
        let start = format!("/v1/runs/{payer}/tool-calls/{}/start", text(&call["call"]));
        alice.post(&start, &json!({})).await.expect(200);
        finish(&alice, &payer, &call, true).await;
        completed(&alice, &payer).await;

        let refused = started(&alice, "payer", "pay it again").await;
        let call = propose(&alice, &refused, "pay", json!({"amount": "99"})).await;
        answer(world, "carol", &call, "refuse", json!({"reason": "paid already"})).await;
        Self { reviewer, payer, refused }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn tool(name: &str, risk: &str, paths: &[&str]) -> Value {
    json!({
        "name": name, "schema": {"type": "object"}, "executor": "client", "risk": risk, "paths": paths,
        "consequential": risk == "high", "roles": if risk == "high" { json!({"amount": "amount"}) } else { json!({}) },
    })
}

async fn started(api: &Api, agent: &str, goal: &str) -> String {
    text(&api.post("/v1/runs", &json!({"agent": agent, "goal": goal})).await.expect(201)["run"]).to_owned()
}

/// Proposes a call.
pub async fn propose(api: &Api, run: &str, tool: &str, arguments: Value) -> Value {
    let body = json!({"tool": tool, "arguments": arguments});
    api.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201)
}

async fn finish(api: &Api, run: &str, call: &Value, succeeded: bool) {
    let path = format!("/v1/runs/{run}/tool-calls/{}/result", text(&call["call"]));
    let body = json!({"succeeded": succeeded, "output": {"n": 1}, "duration_us": 1500});
    api.post(&path, &body).await.expect(200);
}

async fn answer(world: &World, who: &str, call: &Value, how: &str, body: Value) {
    let path = format!("/v1/approvals/{}/{how}", text(&call["approval"]));
    world.api(who, &["approval:decide"]).post(&path, &body).await.expect(200);
}

async fn completed(api: &Api, run: &str) {
    let body = json!({"achieved": true, "summary": "=done, as asked"});
    api.post(&format!("/v1/runs/{run}/complete"), &body).await.expect(200);
}
