//! `xagent tail`: follows the record, comes back where it is cut off, and tells each event once.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use xagent_tests::PATIENCE;

use crate::law::enact;
use crate::live::{append, positions, recorded};
use crate::world::World;

fn tail(world: &World, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = world.command(arguments).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn lines(from: &mut Lines<BufReader<ChildStdout>>, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < count {
        lines.push(tokio::time::timeout(PATIENCE, from.next_line()).await.unwrap().unwrap().unwrap());
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_tells_each_event_once_though_its_connection_ends() {
    let world = World::new().await;
    let (alice, start) = (world.everything("alice"), world.head().await);
    let from = (start + 1).to_string();
    let (_tail, mut told) = tail(&world, &["--json", "tail", "--type", "ToolRegistered", "--from", &from]);
    append(&world.ledger(), "default", 50, 10).await;
    let mut seen = lines(&mut told, 50).await;
    for risks in [json!([]), json!(["low"])] {
        enact(&alice, |body| body["data"]["config"]["free_risks"] = risks).await;
        append(&world.ledger(), "default", 50, 10).await;
        seen.extend(lines(&mut told, 50).await);
    }
    let seen: Vec<Value> = seen.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(positions(&seen), recorded(&world, "default", "ToolRegistered", start).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_tells_denials_as_lines_without_colours_where_there_is_no_terminal() {
    let world = World::new().await;
    let poor = world.api("poor", &["run:read"]);
    let (_tail, mut told) = tail(&world, &["tail", "--denied", "--from", "1"]);
    poor.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(403);
    let line = lines(&mut told, 1).await.remove(0);
    assert!(line.contains("DecisionMade") && line.contains("denied") && line.contains("missing_scope"), "{line}");
    assert!(!line.contains('\u{1b}'), "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_ends_with_an_error_where_there_is_nothing_to_follow() {
    let world = World::new().await;
    let run = format!("run_{}", "0".repeat(32));
    let output = world.xagent(&["--json", "tail", "--run", &run]).await;
    assert_eq!(output.status.code(), Some(2));
    let said: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(said["error"].as_str().unwrap().contains(&run), "{said}");
    let output = world.xagent(&["--json", "tail", "--url", "http://127.0.0.1:1"]).await;
    assert_eq!(output.status.code(), Some(2));
}
