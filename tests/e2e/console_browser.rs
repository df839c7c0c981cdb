//! The console in a real browser: a person finds the refused call, steps back in time, grants an approval, and watches.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use xagent_policies::Bundle;
use xagent_tests::Browser;

use crate::review::waiting;
use crate::world::World;

const PLAN: &str = include_str!("../../gateway/src/sample/repo_review.json");
const DRIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/console/drive.mjs");

/// The sample run, up to where it waits for a person.
async fn waiting_run(world: &World, goal: &str) -> String {
    let alice = world.everything("alice");
    let plan: Value = serde_json::from_str(PLAN).unwrap();
    let body = json!({"agent": "reviewer", "goal": goal, "plan": plan, "workspace": world.workspace});
    let run = alice.start(&body).await;
    alice.run_until(&run, "the run waits for an approval", waiting).await;
    run
}

/// The stock law, under which fewer calls need a person; as a folder.
fn laxer(folder: &Path) -> String {
    let stock = Bundle::stock().unwrap();
    let mut data: Value = serde_json::from_str(stock.data()).unwrap();
    data["config"]["free_risks"] = json!(["low", "medium", "high"]);
    std::fs::create_dir(folder).unwrap();
    for (path, text) in stock.modules() {
        std::fs::write(folder.join(path), text).unwrap();
    }
    std::fs::write(folder.join("data.json"), data.to_string()).unwrap();
    folder.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_finds_steps_grants_and_watches_and_every_page_can_be_used_by_all() {
    let Some(browser) = Browser::find("the console in a browser") else { return };
    let world = World::new().await;
    for (name, text) in [("README.md", "# Sample\n"), ("Cargo.toml", "unsafe_code = \"forbid\"\n")] {
        std::fs::write(world.workspace.join(name), text).unwrap();
    }
    let run = waiting_run(&world, "review this folder and write a report").await;
    let second = waiting_run(&world, "look again").await;
    let bob = world.api_of("default", "bob", &["*"], &[]);
    let token = world.workspace.with_file_name("token");
    std::fs::write(&token, bob.bearer()).unwrap();
    let laxer = laxer(&world.workspace.with_file_name("laxer"));
    let token = token.display().to_string();
    let recorded = world.xagent(&["--json", "what-if", &laxer, "--record", "--token-file", &token]).await;
    assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stderr));

    let settings = json!({
        "url": world.url, "packages": browser.packages, "chromium": browser.chromium,
        "pictures": std::env::var("XAGENT_TEST_PICTURES").ok(),
        "tokens": {"alice": world.everything("alice").bearer(), "bob": bob.bearer()}, "run": run, "second": second,
    });
    let mut command = tokio::process::Command::new(&browser.node);
    command.arg(DRIVE).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let home = world.workspace.with_file_name("browser");
    std::fs::create_dir(&home).unwrap();
    let mut driver = command.env("HOME", &home).env("XDG_CONFIG_HOME", &home).spawn().unwrap();
    driver.stdin.take().unwrap().write_all(settings.to_string().as_bytes()).await.unwrap();
    let output = driver.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["faults"], json!([]), "{seen:#}");
    assert_eq!((&seen["seen"]["pages"], &seen["seen"]["checks"], &seen["unmet"]), (&json!(11), &json!(44), &json!(0)));
}
