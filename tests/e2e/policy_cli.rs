//! `xagent policy`, as a policy author uses it: offline first, then against a server.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::world::World;

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn answered(output: &Output, code: i32) -> Value {
    let shown = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{shown:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {shown:?}"))
}

fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} does not say `{from}`");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

const RUNNING: &str = "input.run.status == \"running\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_law_is_checked_tested_compared_and_tried_without_a_server() {
    let world = World::new().await;
    let law = world.workspace.join("law");
    let offline = |arguments: &'static [&'static str]| world.xagent_offline(arguments);
    let exported = answered(&offline(&["--json", "policy", "export", "law"]).await, 0);
    let checked = answered(&offline(&["--json", "policy", "check", "law"]).await, 0);
    assert_eq!((&checked["passes"], &checked["bundle"]), (&json!(true), &exported["bundle"]));
    let tested = answered(&offline(&["--json", "policy", "test", "law"]).await, 0);
    assert_eq!(tested["tests_passed"], checked["tests_passed"]);
    assert!(!tested["coverage"]["tools.rego"]["covered"].as_array().unwrap().is_empty());
    let text = said(&offline(&["policy", "test", "law", "--coverage"]).await);
    assert!(text.contains("passed  ") && text.contains("%  tools.rego"), "{text}");
    assert_eq!(offline(&["policy", "test", "law", "--at-least", "100"]).await.status.code(), Some(1));

    std::fs::write(world.workspace.join("input.json"), "{}").unwrap();
    let asked = ["--json", "policy", "eval", "law", "--input", "input.json", "--question", "api"];
    let decided = answered(&world.xagent_offline(&asked).await, 0);
    assert_eq!((&decided["decision"]["allow"], &decided["bundle"]), (&json!(false), &exported["bundle"]));
    let same = answered(&offline(&["--json", "policy", "diff", "stock", "law"]).await, 0);
    assert_eq!((&same["modules"], &same["data"]), (&json!([]), &json!([])));

    change(&law, "tools.rego", RUNNING, "input.run.status == \"paused\"");
    change(&law, "data.json", "12000", "12001");
    let diff = answered(&offline(&["--json", "policy", "diff", "stock", "law"]).await, 0);
    assert_eq!(diff["modules"][0]["rules"][0]["rule"], "data.xagent.tools.run_ok", "{diff:#}");
    assert_eq!(diff["data"][0]["pointer"], "/config/limits/commands_per_minute");
    let text = said(&offline(&["policy", "diff", "stock", "law"]).await);
    assert!(text.contains("changed data.json/config/limits/commands_per_minute\n    - 12000\n    + 12001"), "{text}");

    // Tests fail by now, and everything else that is wrong is told together with its place.
    let failed = offline(&["policy", "test", "law"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("failed data.xagent.tools_test.test_"), "{}", said(&failed));
    std::fs::write(law.join("more.rego"), "package more\n\nx := time.now_ns()\n\ny := 1.5\n").unwrap();
    let refused = offline(&["policy", "check", "law"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let text = said(&refused);
    let first = "more.rego:3:6: `time.now_ns` answers differently from call to call: use input.context.now_us\n";
    assert!(text.starts_with(first) && text.contains("more.rego:5:6: `1.5` is a float"), "{text}");
    let findings = answered(&offline(&["--json", "policy", "check", "law"]).await, 1);
    assert_eq!(findings["findings"][1]["code"], "floats");
    assert_eq!(offline(&["policy", "check", "nowhere"]).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_law_is_published_switched_shown_and_retired_against_a_server() {
    let world = World::new().await;
    let law = world.workspace.join("law");
    let law = law.to_str().unwrap();
    let policy = async |arguments: &[&str]| world.xagent(&[&["--json", "policy"], arguments].concat()).await;
    answered(&policy(&["export", law]).await, 0);
    let before = answered(&policy(&["list"]).await, 0)["active"].as_str().unwrap().to_owned();
    change(Path::new(law), "data.json", "12000", "12001");
    let archive = world.workspace.join("bundle.tar.gz");
    let packed = answered(&policy(&["pack", law, "--output", archive.to_str().unwrap()]).await, 0);
    let digest = packed["bundle"].as_str().unwrap();
    let published = answered(&policy(&["publish", archive.to_str().unwrap()]).await, 0);
    assert_eq!((&published["bundle"], &published["activated"]), (&json!(digest), &json!(false)));
    let diff = answered(&policy(&["diff", &before, digest]).await, 0);
    assert_eq!(diff["data"][0]["after"], 12001);
    answered(&policy(&["activate", digest]).await, 0);
    assert_eq!(answered(&policy(&["list"]).await, 0)["active"], json!(digest));
    let back = answered(&policy(&["rollback", "--to", &before]).await, 0);
    assert_eq!(back["bundle"], json!(before));
    answered(&policy(&["retire", digest, "--reason", "too much"]).await, 0);
    let shown = answered(&policy(&["show", digest]).await, 0);
    assert_eq!(shown["status"], "retired");
    let module = world.xagent(&["policy", "show", digest, "--module", "base.rego"]).await;
    assert_eq!(said(&module), std::fs::read_to_string(Path::new(law).join("base.rego")).unwrap());
    let text = said(&world.xagent(&["policy", "list"]).await);
    assert!(text.contains(&format!("{digest}  retired")) && text.contains("because too much"), "{text}");
    std::fs::write(world.workspace.join("input.json"), "{}").unwrap();
    let input = world.workspace.join("input.json");
    let decided = answered(&policy(&["eval", digest, "--input", input.to_str().unwrap()]).await, 0);
    assert_eq!(decided["decision"]["allow"], json!(false));

    let again = policy(&["activate", digest]).await;
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("was retired: too much"));
    std::fs::write(Path::new(law).join("more.rego"), "package more\n\nx := time.now_ns()\n").unwrap();
    let refused = policy(&["publish", law]).await;
    assert_eq!(refused.status.code(), Some(2));
    let error: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(error["findings"][0]["code"], "non_deterministic", "{error:#}");
}
