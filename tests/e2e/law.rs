//! The law changes, and the law fails: runs keep the bundle they were decided under, and every failure denies.

use serde_json::{Value, json};
use xagent_policies::Bundle;

use crate::world::{Api, World};

/// The bundle in force by default, with modules and data changed.
pub fn bundle(change: impl FnOnce(&mut Value)) -> Value {
    let stock = Bundle::stock().unwrap();
    let data: Value = serde_json::from_str(stock.data()).unwrap();
    let modules = stock.modules().iter().filter(|(path, _)| !path.ends_with("_test.rego"));
    let mut body = json!({"data": data, "modules": modules.collect::<std::collections::BTreeMap<_, _>>()});
    change(&mut body);
    body
}

/// Publishes and activates a bundle.
pub async fn enact(api: &Api, change: impl FnOnce(&mut Value)) -> String {
    let published = api.post("/v1/bundles", &bundle(change)).await.expect(201);
    let digest = published["bundle"].as_str().unwrap().to_owned();
    api.post(&format!("/v1/bundles/{digest}/activate"), &json!({})).await.expect(200);
    digest
}

const NEVER: &str =
    "package xagent.api\n\ndecision := {\"allow\": true, \"deny\": [], \"obligations\": []} if input.no_such\n";

fn tools(source: &str) -> impl FnOnce(&mut Value) {
    let source = source.to_owned();
    move |body| {
        body["modules"].as_object_mut().unwrap().remove("tools_reasons.rego");
        body["modules"]["tools.rego"] = Value::String(source);
        body["data"]["big"] = (0..3000).collect();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_runs_replay_under_the_law_they_were_decided_under() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let path = format!("/v1/runs/{run}/tool-calls");
    alice.post(&path, &json!({"tool": "read_file", "arguments": {"path": "a"}})).await.expect(201);
    enact(&alice, |body| {
        let text = body["modules"]["tools.rego"].as_str().unwrap();
        let changed =
            text.replace("run_ok if input.run.status == \"running\"", "run_ok if input.run.status == \"never\"");
        assert_ne!(text, changed);
        body["modules"]["tools.rego"] = Value::String(changed);
    })
    .await;
    let denied = alice.post(&path, &json!({"tool": "read_file", "arguments": {"path": "a"}})).await.expect(201);
    assert_eq!((&denied["status"], &denied["deny"][0]["code"]), (&json!("denied"), &json!("run_not_running")));
    let decisions = alice.get(&format!("/v1/runs/{run}/decisions")).await.expect(200);
    let bundles: std::collections::BTreeSet<_> =
        decisions["items"].as_array().unwrap().iter().map(|d| d["evaluation"]["bundle"].to_string()).collect();
    assert_eq!(bundles.len(), 2);
    let replay = world.xagent(&["--json", "replay", "--all"]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_law_that_fails_denies_and_no_tool_runs() {
    let world = World::new().await;
    let alice = world.everything("alice");
    std::fs::write(world.workspace.join("a"), "a").unwrap();
    // The gate refuses a law that fails on whatever it is asked: these fail on what it is asked here.
    let laws = [
        ("undefined", "{\"allow\": true, \"deny\": [], \"obligations\": []} if input.no_such"),
        ("evaluation_error", "{\"allow\": to_number(input.tenant) > 0, \"deny\": [], \"obligations\": []}"),
        (
            "wrong_shape",
            "{\"allow\": false, \"deny\": object.get({\"a\": \"none\"}, input.arguments.path, []), \"obligations\": []}",
        ),
        (
            "timeout",
            "{\"allow\": n > 0, \"deny\": [], \"obligations\": []} if {\n\tinput.arguments.path == \"a\"\n\t\
             n := count([1 | some i in data.big; some j in data.big; some k in data.big; i + j == k])\n}",
        ),
    ];
    for (class, law) in laws {
        enact(&alice, tools(&format!("package xagent.tools\n\ndecision := {law}\n"))).await;
        let steps = json!([{"id": "read", "tool": "read_file", "arguments": {"path": "a"}}]);
        let run = alice.start_plan(steps, &world.workspace).await;
        let ended = alice.run_ended(&run).await;
        let reason = &ended["state"]["results"]["read"]["reasons"][0];
        assert_eq!(reason["code"], "policy_error", "{class}: {ended:#}");
        assert!(reason["message"].as_str().unwrap().starts_with(&format!("{class}: ")), "{reason}");
        assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);
        let replay = world.xagent(&["--json", "replay", &run]).await;
        let report: Value = serde_json::from_slice(&replay.stdout).unwrap();
        assert!(replay.status.success(), "{report:#}");
        let unanswered = report["runs"][0]["not_decidable_again"].as_array().unwrap().len();
        assert_eq!(unanswered, usize::from(class == "timeout"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_law_that_fails_denies_and_the_denial_is_recorded() {
    let world = World::new().await;
    let alice = world.everything("alice");
    enact(&alice, |body| body["modules"]["api.rego"] = json!(NEVER)).await;
    let head = world.head().await;
    let problem = alice.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.problem(403, "denied");
    assert_eq!(problem["deny"][0]["code"], "policy_error");
    let events = world.ledger().range(head, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(events[0].payload.contains(problem["decision_id"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_could_answer_differently_tomorrow_is_not_published() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let body = bundle(|body| body["modules"]["more.rego"] = json!("package more\n\nnow := time.now_ns()\n"));
    let problem = alice.post("/v1/bundles", &body).await.problem(422, "bundle-refused");
    assert!(problem["detail"].as_str().unwrap().starts_with("more.rego:3:8: `time.now_ns`"), "{problem:#}");
    let nowhere = format!("/v1/bundles/{}/activate", "0".repeat(64));
    alice.post(&nowhere, &json!({})).await.problem(404, "not-found");
}
