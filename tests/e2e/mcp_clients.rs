//! The official conformance suite, Python client and Inspector of MCP, through the gateway.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use xagent_tests::{McpTools, folder};

use crate::world::{NamedProxy, World};

/// Scenarios and checks that ask for what the gateway does not offer, each with the reason.
const NOT_APPLICABLE: &str = include_str!("../mcp/not-applicable.txt");

/// The tools the suite calls by name.
const CALLED: [&str; 8] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "json_schema_2020_12_tool",
    "test_mirrored",
];

/// The other tools of the test server.
const OTHERS: [&str; 5] = ["test_environment", "test_large", "test_hang", "test_process", "test_described"];

/// A world whose server may start Node.js, with the test server declared and discovered as `probe`.
pub async fn world_with_probe(tools: &McpTools, arguments: &[&str]) -> World {
    let mut world = World::new().await;
    world.kill_server().await;
    let node = tools.node();
    world
        .start_server_with(|command| {
            command.env("XAGENT_UPSTREAM_PROGRAMS", &node).env("XAGENT_SECRET_ONE", "hush");
        })
        .await;
    declare_probe(&world, tools, arguments).await;
    world
}

async fn declare_probe(world: &World, tools: &McpTools, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp/server.mjs");
    let arguments: Vec<_> = [script.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
    let environment = json!({"GREETING": {"value": "hello"}, "TOKEN": {"secret": "ONE"}});
    let stdio = json!({"program": tools.node(), "arguments": arguments, "environment": environment});
    let root = world.everything("root");
    let body = json!({"name": "probe", "reach": {"stdio": stdio}, "timeout_ms": 5000});
    root.post("/v1/upstreams", &body).await.expect(201);
    let low = json!({"risk": "low", "consequential": false, "reads_untrusted": false});
    let trusted: serde_json::Map<_, _> =
        CALLED.iter().chain(&OTHERS).map(|name| ((*name).to_owned(), low.clone())).collect();
    let found = root.post("/v1/upstreams/probe/discover", &json!({"tools": trusted})).await.expect(200);
    assert_eq!(found["registered"].as_array().unwrap().len(), trusted.len(), "{found:#}");
}

/// The failed checks of a run of the suite, by scenario.
async fn failures(tools: &McpTools, url: &str, version: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let results = folder("conformance-");
    let mut suite = Command::new(tools.node());
    suite.arg(tools.program("conformance")).args(["server", "--url", url, "--suite", "all", "--spec-version", version]);
    suite.arg("-o").arg(results.path()).kill_on_drop(true);
    let output = suite.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut failures = BTreeMap::new();
    let mut checked = 0;
    for entry in std::fs::read_dir(results.path()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let scenario = name.strip_prefix("server-").and_then(|name| name.split("-2026-").next().map(str::to_owned));
        let text = std::fs::read_to_string(entry.path().join("checks.json")).unwrap();
        let checks: Vec<Value> = serde_json::from_str(&text).unwrap();
        checked += checks.len();
        let failed = checks.iter().filter(|check| check["status"] == "FAILURE");
        let failed: Vec<_> =
            failed.map(|check| (check["id"].as_str().unwrap().to_owned(), check["errorMessage"].to_string())).collect();
        failures.entry(scenario.unwrap()).or_insert_with(Vec::new).extend(failed);
    }
    assert!(checked > 50, "{said}");
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn every_applicable_scenario_of_the_conformance_suite_passes() {
    let Some(tools) = McpTools::find("the conformance suite") else { return };
    let world = world_with_probe(&tools, &[]).await;
    let proxy = NamedProxy::start(world.everything("alice"), "probe__", &CALLED).await;
    let reasons: BTreeMap<&str, &str> =
        NOT_APPLICABLE.lines().map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line}"))).collect();
    let mut excused = std::collections::BTreeSet::new();
    for version in ["2026-07-28", "2025-11-25"] {
        for (scenario, failed) in failures(&tools, &proxy.url, version).await {
            for (check, message) in failed {
                let reason = [scenario.as_str(), check.as_str()].into_iter().find(|name| reasons.contains_key(name));
                let reason = reason.unwrap_or_else(|| panic!("{version}: {scenario}: {check}: {message}"));
                excused.insert(reason.to_owned());
            }
        }
    }
    let needless: Vec<_> = reasons.keys().filter(|name| !excused.contains(**name)).collect();
    assert!(needless.is_empty(), "these pass, or are no longer asked: {needless:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_client_lists_and_calls_and_reads_a_refusal() {
    let Some(tools) = McpTools::find("the Python client") else { return };
    let world = World::new().await;
    let alice = world.everything("alice");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp/client.py");
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let mut client = Command::new("python3");
        client.arg(&script).args([&format!("{}/mcp", world.url), mode]).env("PYTHONPATH", tools.python_path());
        client.env("XAGENT_TOKEN", alice.bearer()).kill_on_drop(true);
        client.args(["http_fetch", r#"{"url": "http://169.254.169.254/latest"}"#, "list_files", "{}"]);
        let output = client.output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
        assert_eq!(said["version"], version);
        assert!(said["tools"].as_array().unwrap().contains(&json!("read_file")), "{said:#}");
        let refusal = said["answers"][0]["text"].as_str().unwrap();
        assert_eq!(said["answers"][0]["is_error"], true);
        for part in ["Refused by policy (decision dec_", "network_blocked", "169.254.169.254", "What to do:"] {
            assert!(refusal.contains(part), "no `{part}` in {refusal}");
        }
        assert!(said["answers"][1]["text"].as_str().unwrap().contains("no workspace"), "{said:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_lists_and_calls_and_shows_a_refusal() {
    let Some(tools) = McpTools::find("the Inspector") else { return };
    let world = World::new().await;
    let alice = world.everything("alice");
    let home = folder("inspector-");
    let inspect = async |arguments: &[&str]| {
        let mut inspector = Command::new(tools.node());
        inspector.arg(tools.program("mcp-inspector")).args([
            "--cli",
            &format!("{}/mcp", world.url),
            "--transport",
            "http",
        ]);
        inspector.args(["--header", &format!("Authorization: Bearer {}", alice.bearer())]).args(arguments);
        let output = inspector.env("HOME", home.path()).kill_on_drop(true).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_str::<Value>(&text).unwrap_or_else(|_| panic!("{text}\n{error}"))
    };
    let listed = inspect(&["--method", "tools/list"]).await;
    assert!(listed["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "write_file"), "{listed:#}");
    let url = "url=http://169.254.169.254/latest";
    let refused = inspect(&["--method", "tools/call", "--tool-name", "http_fetch", "--tool-arg", url]).await;
    assert_eq!(refused["isError"], true, "{refused:#}");
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("network_blocked"), "{refused:#}");
}
