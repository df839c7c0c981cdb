//! Thousands of requests made from the API's own description: none brings the server to a fault, and what it answers is
//! what it says it answers.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};
use xagent_tests::schemathesis;

use crate::world::{Api, World};

/// Requests, at least.
const CASES: u32 = 2000;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_what_its_description_says_it_is() {
    let Some(program) = schemathesis("the API against its description") else { return };
    let world = World::new().await;
    let folder = world.workspace.with_file_name("schemathesis");
    std::fs::create_dir(&folder).unwrap();
    for file in ["schemathesis.toml", "hooks.py"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis").join(file);
        std::fs::copy(from, folder.join(file)).unwrap();
    }
    let alice = world.everything("alice");
    dictionaries(&alice, &folder).await;
    let setting = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let mut command = tokio::process::Command::new(program);
    command.current_dir(&folder).kill_on_drop(true).stdin(std::process::Stdio::null());
    command.args(["run", &format!("{}/openapi.json", world.url), "--checks", "all", "--no-color"]);
    command.args(["--header", &format!("Authorization: Bearer {}", alice.bearer())]);
    command.args(["--seed", &setting("XAGENT_TEST_SCHEMATHESIS_SEED", "1")]);
    command.args(["--max-examples", &setting("XAGENT_TEST_SCHEMATHESIS_EXAMPLES", "8")]);
    command.args(["--suppress-health-check", "all", "--continue-on-failure", "--max-failures", "20"]);
    let output = command.output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let generated =
        said.lines().find_map(|line| line.trim().split_once(" generated")?.0.replace(',', "").parse::<u32>().ok());
    assert!(generated.is_some_and(|generated| generated >= CASES), "{said}");
}

/// Things that are there, so that requests reach beyond 404.
async fn dictionaries(alice: &Api, folder: &Path) {
    let tool = json!({"name": "pay", "schema": {}, "executor": "client", "risk": "high", "consequential": true});
    alice.post("/v1/tools", &tool).await.expect(201);
    let (mut runs, mut calls, mut approvals) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let run = alice.start_client_run().await;
        for tool in ["pay", "list_files"] {
            let call = alice.post(&format!("/v1/runs/{run}/tool-calls"), &json!({"tool": tool})).await.expect(201);
            calls.push(call["call"].clone());
            approvals.extend(call.get("approval").cloned());
        }
        runs.push(Value::String(run));
    }
    let bundles = vec![alice.get("/v1/bundles").await.expect(200)["active"].clone()];
    for (name, entries) in [("runs", runs), ("calls", calls), ("approvals", approvals), ("bundles", bundles)] {
        assert!(!entries.is_empty(), "there are no {name}");
        let lines = entries.iter().fold(String::new(), |mut lines, entry| {
            writeln!(lines, "{entry}").unwrap();
            lines
        });
        std::fs::write(folder.join(format!("{name}.txt")), lines).unwrap();
    }
}
