//! The sample run: refused three times, approved once, replayed.

use serde_json::{Value, json};

use crate::world::{World, until};

const PLAN: &str = include_str!("../../gateway/src/sample/repo_review.json");

/// The approval a run waits for.
pub fn waiting(run: &Value) -> Option<String> {
    let approvals = run["state"]["approvals"].as_object()?;
    approvals.iter().find(|(_, approval)| approval["state"] == "waiting").map(|(id, _)| id.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_refused_where_it_oversteps_and_goes_on() {
    let world = World::new().await;
    for (name, text) in [("README.md", "# Sample\n"), ("Cargo.toml", "unsafe_code = \"forbid\"\n"), (".env", "KEY=1\n")]
    {
        std::fs::write(world.workspace.join(name), text).unwrap();
    }
    let alice = world.api("alice", &["run:start", "run:read", "audit:read", "tool:*"]);
    let steps = serde_json::from_str::<Value>(PLAN).unwrap()["steps"].clone();
    let run = alice.start_plan(steps, &world.workspace).await;
    let approval = alice.run_until(&run, "the run waits for an approval", waiting).await;
    assert!(!world.workspace.join("review/report.md").exists());

    let problem = world.everything("alice").post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await;
    assert_eq!(problem.problem(403, "denied")["deny"][0]["code"], "self_approval");
    let bob = world.api("bob", &["approval:decide"]);
    bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);

    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let results = &ended["state"]["results"];
    let denied = |step: &str| results[step]["reasons"][0]["code"].as_str().unwrap().to_owned();
    assert_eq!(
        [denied("passwd"), denied("parent"), denied("metadata")],
        ["path_outside_workspace", "path_outside_workspace", "network_blocked"]
    );
    let report = std::fs::read_to_string(world.workspace.join("review/report.md")).unwrap();
    assert!(report.contains("Files: 2\n") && report.contains("it is absolute"), "{report}");
    assert!(world.workspace.join("scratch/notes.md").exists());

    assert_eq!(alice.count(&run, "ToolCallStarted").await, 6);
    assert_eq!(alice.count(&run, "ToolCallCompleted").await, 6);
    assert_eq!(alice.count(&run, "ApprovalGranted").await, 1);
    let sequence = ended["sequence"].as_u64().unwrap();
    until("the view has the last event", async || {
        let view = world.views().get(&"default".parse().unwrap(), &run).await.unwrap();
        view.filter(|view| view.sequence == sequence).map(drop)
    })
    .await;
    let replay = world.xagent(&["--json", "replay", &run]).await;
    let report: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert!(replay.status.success(), "{report:#}");
    assert_eq!(report["runs"][0]["decided_again"], report["runs"][0]["decisions"]);
    assert_eq!(report["runs"][0]["state"], "identical");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_be_read_as_of_any_sequence() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    alice.post(&format!("/v1/runs/{run}/pause"), &json!({"reason": "lunch"})).await.expect(200);
    let at = async |sequence: u64| alice.get(&format!("/v1/runs/{run}?at={sequence}")).await.expect(200);
    assert_eq!(at(3).await["status"], "running");
    assert_eq!(at(99).await["status"], "paused");
    let fresh = alice.get(&format!("/v1/runs/{run}?at_least=5")).await.expect(200);
    assert_eq!(fresh["status"], "paused");
}
