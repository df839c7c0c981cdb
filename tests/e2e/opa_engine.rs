//! The whole system with a stock OPA as its engine.

use serde_json::{Value, json};
use xagent_opa::archive;
use xagent_policies::Bundle;
use xagent_tests::{OpaProcess, opa, until};

use crate::law::enact;
use crate::world::{Api, World};

#[tokio::test(flavor = "multi_thread")]
async fn opa_decides_is_switched_dies_and_comes_back_and_all_of_it_replays() {
    let Some(program) = opa("the system with OPA as its engine") else { return };
    let world = World::new().await;
    let file = world.workspace.with_file_name("bundle.tar.gz");
    std::fs::write(&file, archive(&Bundle::stock().unwrap()).unwrap()).unwrap();
    let watched = ["--watch".to_owned(), "--bundle".to_owned(), file.display().to_string()];
    let mut process = OpaProcess::start(&program, &watched);
    let (_server, url) = world
        .server_with(|command| {
            command.env("XAGENT_POLICY_ENGINE", "opa").env("XAGENT_OPA_URL", process.url());
            command.env("XAGENT_OPA_BUNDLE_FILE", &file).env("XAGENT_POLICY_TIMEOUT_MS", "2000");
        })
        .await;
    let alice = Api::new(&url, "default", "alice", &["*", "tool:*"], &[]);
    let run = alice.start_client_run().await;
    let path = format!("/v1/runs/{run}/tool-calls");
    let call = json!({"tool": "read_file", "arguments": {"path": "a"}});
    alice.post(&path, &call).await.expect(201);
    let switched = enact(&alice, |body| body["data"]["config"]["limits"]["calls_per_tool"] = json!(400)).await;
    alice.post(&path, &call).await.expect(201);

    process.kill();
    let denied = alice.post(&path, &call).await.problem(403, "denied");
    assert_eq!(denied["deny"][0]["code"], "policy_error");
    assert!(denied["deny"][0]["message"].as_str().unwrap().starts_with("engine_unavailable: "), "{denied:#}");
    let recorded = world.ledger().range(0, 1000).await.unwrap();
    let decision = denied["decision_id"].as_str().unwrap();
    assert!(recorded.iter().any(|event| event.aggregate_type == "access" && event.payload.contains(decision)));

    let restart = tokio::task::spawn_blocking(move || {
        process.restart();
        process
    });
    let _process = restart.await.unwrap();
    until("OPA decides again", async || (alice.post(&path, &call).await.status == 201).then_some(())).await;

    let decisions = alice.get(&format!("/v1/runs/{run}/decisions")).await.expect(200);
    let evaluations: Vec<&Value> = decisions["items"].as_array().unwrap().iter().map(|d| &d["evaluation"]).collect();
    assert!(evaluations.iter().all(|evaluation| evaluation["engine"]["name"] == "opa"), "{evaluations:#?}");
    assert!(evaluations.iter().all(|evaluation| evaluation["engine"]["mode"] == "server-strict"));
    assert!(evaluations.iter().any(|evaluation| evaluation["bundle"] == switched));
    assert!(evaluations.iter().any(|evaluation| evaluation["bundle"] != switched));
    let replay = world.xagent(&["--json", "replay", &run]).await;
    let report: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert!(replay.status.success(), "{report:#}");
    assert_eq!(report["runs"][0]["by_another_engine"], report["runs"][0]["decided_again"]);
}
