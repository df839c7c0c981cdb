//! What commands come with: a key, the state they were meant for, how long their caller waits; and what they are answered.

use std::time::Instant;

use serde_json::{Value, json};

use crate::world::{Answer, Api, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_creates_needs_a_key_and_others_do_not() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let head = world.head().await;
    let creating = [
        ("/v1/runs".to_owned(), json!({"agent": "a", "goal": "g"})),
        (format!("/v1/runs/{run}/tool-calls"), json!({"tool": "list_files"})),
    ];
    for (path, body) in creating {
        let answer = alice.answer(alice.request(reqwest::Method::POST, &path).json(&body)).await;
        let problem = answer.problem(400, "invalid-input");
        assert_eq!(problem["field"], "Idempotency-Key");
        assert!(problem["remedy"].as_str().unwrap().contains("Idempotency-Key: KEY"), "{problem:#}");
    }
    for key in ["", "two words", &"k".repeat(201)] {
        let problem = alice.post_with_key("/v1/runs", &json!({"agent": "a", "goal": "g"}), key).await;
        let problem = problem.problem(400, "invalid-input");
        assert_eq!(
            (&problem["field"], problem["value"].as_str().map(str::len)),
            (&json!("Idempotency-Key"), Some(key.len().min(100)))
        );
    }
    assert_eq!(world.head().await, head);
    let pause = alice.request(reqwest::Method::POST, &format!("/v1/runs/{run}/pause")).json(&json!({"reason": "r"}));
    alice.answer(pause).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_leads_to_its_proofs_and_is_marked_when_it_comes_again() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let body = json!({"agent": "a", "goal": "g"});
    let first = alice.post_with_key("/v1/runs", &body, "k").await;
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(first.header("location").unwrap(), format!("/v1/runs/{}", first.body["run"].as_str().unwrap()));
    let again = alice.post_with_key("/v1/runs", &body, "k").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let (first, again) = (first.expect(201), again.expect(201));
    assert_eq!(first, again);
    let inclusion = first["proof"]["inclusion"].as_array().unwrap();
    let leaves = first["receipt"]["leaf_hashes"].as_array().unwrap();
    assert_eq!(inclusion.len(), leaves.len());
    for (link, leaf) in inclusion.iter().zip(leaves) {
        let proof = alice.get(link.as_str().unwrap()).await.expect(200);
        assert_eq!((&proof["leaf_hash"], &proof["root"]), (leaf, &first["receipt"]["root"]));
    }
    let checkpoint = alice.get(first["proof"]["checkpoint"].as_str().unwrap()).await.expect(200);
    assert!(checkpoint["size"].as_u64() >= first["receipt"]["tree_size"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_carried_out_on_the_state_it_was_meant_for_or_not_at_all() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let path = format!("/v1/runs/{run}");
    let seen = alice.get(&path).await;
    let tag = seen.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", seen.body["sequence"]));
    let pause = |tag: &str, key: &str| {
        let request = alice.request(reqwest::Method::POST, &format!("{path}/pause"));
        let request = request.header("idempotency-key", key).header("if-match", tag).json(&json!({"reason": "r"}));
        alice.answer(request)
    };
    let paused = pause(&tag, "p").await.expect(200);
    assert_eq!(pause(&tag, "p").await.expect(200)["receipt"], paused["receipt"]);
    let head = world.head().await;
    let resume = alice.command(&format!("{path}/resume")).header("if-match", &tag).json(&json!({}));
    let moved = alice.answer(resume).await;
    let current = paused["receipt"]["sequence"].clone();
    assert_eq!(moved.header("etag").unwrap(), format!("\"{current}\""));
    let problem = moved.problem(412, "precondition-failed");
    assert_eq!((&problem["field"], &problem["current_sequence"]), (&json!("If-Match"), &current));
    assert_eq!(world.head().await, head);
    for wrong in ["12", "W/\"12\"", "\"12\", \"13\"", "\"x\""] {
        assert_eq!(pause(wrong, "q").await.problem(400, "invalid-input")["field"], "If-Match");
    }
    let tool = json!({"name": "t", "schema": {}, "executor": "client", "risk": "low"});
    let elsewhere = alice.command("/v1/tools").header("if-match", "\"1\"").json(&tool);
    assert_eq!(alice.answer(elsewhere).await.problem(400, "invalid-input")["field"], "If-Match");
    let resume = alice.command(&format!("{path}/resume")).header("if-match", format!("\"{current}\"")).json(&json!({}));
    alice.answer(resume).await.expect(200);
    // Who may not command does not learn where the run is.
    let poor = world.api("poor", &["run:read"]);
    let pause = poor.command(&format!("{path}/pause")).header("if-match", "\"1\"").json(&json!({"reason": "r"}));
    poor.answer(pause).await.problem(403, "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_waits_for_what_becomes_of_a_run() {
    let world = World::new().await;
    let alice = world.everything("alice");
    std::fs::write(world.workspace.join("a.txt"), "text").unwrap();
    let plan = json!({"steps": [{"id": "a", "tool": "read_file", "arguments": {"path": "a.txt"}}]});
    let body = json!({"agent": "a", "goal": "g", "plan": plan, "workspace": world.workspace});
    let ended = waiting(&alice, "/v1/runs", &body, "respond-async, wait=10").await;
    assert_eq!(ended.header("preference-applied"), Some("wait=10"));
    let ended = ended.expect(201);
    assert_eq!(ended["outcome"]["status"], "completed", "{ended:#}");
    let run = alice
        .get(&format!("/v1/runs/{}?at_least={}", ended["run"].as_str().unwrap(), ended["outcome"]["sequence"]))
        .await;
    assert_eq!(run.expect(200)["status"], "completed");

    let begun = Instant::now();
    let goes_on = waiting(&alice, "/v1/runs", &json!({"agent": "a", "goal": "g"}), "wait=1").await;
    assert!(begun.elapsed().as_secs() >= 1);
    assert_eq!(goes_on.header("preference-applied"), Some("wait=1"));
    let location = goes_on.header("location").unwrap().to_owned();
    assert_eq!(goes_on.expect(202)["outcome"], Value::Null);
    alice.get(&location).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_waits_for_what_becomes_of_a_tool_call() {
    let world = World::new().await;
    let alice = world.everything("alice");
    std::fs::write(world.workspace.join("a.txt"), "text").unwrap();
    let run = alice.start(&json!({"agent": "a", "goal": "g", "workspace": world.workspace})).await;
    let path = format!("/v1/runs/{run}/tool-calls");
    let call = json!({"tool": "read_file", "arguments": {"path": "a.txt"}, "label": "look"});
    let settled = waiting(&alice, &path, &call, "wait=10").await;
    let location = settled.header("location").unwrap().to_owned();
    let settled = settled.expect(201);
    assert_eq!(
        (&settled["status"], &settled["outcome"]["succeeded"]),
        (&json!("succeeded"), &json!(true)),
        "{settled:#}"
    );
    assert!(settled["outcome"]["output"]["text"].as_str().unwrap().contains("text"));
    let read = alice.get(&location).await.expect(200);
    assert_eq!(read, settled["outcome"]);
    assert_eq!((&read["label"], &read["tool"]), (&json!("look"), &json!("read_file")));

    let denied = waiting(&alice, &path, &json!({"tool": "read_file", "arguments": {"path": "../a"}}), "wait=10").await;
    let denied = denied.expect(201);
    assert_eq!(denied["outcome"]["deny"][0]["code"], "path_outside_workspace", "{denied:#}");
    let missing = alice.get(&format!("{path}/call_{}", "0".repeat(32))).await;
    missing.problem(404, "not-found");
}

async fn waiting(api: &Api, path: &str, body: &Value, prefer: &str) -> Answer {
    api.answer(api.command(path).header("prefer", prefer).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_commands_with_one_key_is_told_to_come_back() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let body = json!({"agent": "a", "goal": "g"});
    // The first waits for a run that does not end; the second meets it, unless it was faster.
    let mut tries = 0..;
    let (key, first, second) = until("the first is in flight", async || {
        let key = format!("k-{}", tries.next().unwrap());
        let first = alice.request(reqwest::Method::POST, "/v1/runs").header("idempotency-key", &key);
        let first = first.header("prefer", "wait=2").json(&body);
        let first = tokio::spawn({
            let alice = alice.clone();
            async move { alice.answer(first).await }
        });
        let second = alice.post_with_key("/v1/runs", &body, &key).await;
        (second.status == 409).then_some((key, first, second))
    })
    .await;
    assert_eq!(second.retry_after.as_deref(), Some("1"));
    assert_eq!(second.problem(409, "in-flight")["field"], "Idempotency-Key");
    let first = first.await.unwrap().expect(202);
    let again = alice.post_with_key("/v1/runs", &body, &key).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(201)["receipt"], first["receipt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_cannot_be_read_is_a_problem_that_names_field_and_value() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let queries = [
        ("/v1/runs/run_7".to_owned(), "run", "run_7"),
        ("/v1/runs?limit=0".to_owned(), "limit", "0"),
        ("/v1/runs?limit=x".to_owned(), "limit", "x"),
        ("/v1/runs?limit=1&limit=2".to_owned(), "limit", "1"),
        ("/v1/runs?cursor=9007199254740992".to_owned(), "cursor", "9007199254740992"),
        ("/v1/tools?color=red".to_owned(), "color", "red"),
        (format!("/v1/runs/{run}/events?from=1"), "from", "1"),
        ("/v1/evidence?run=x".to_owned(), "run", "x"),
        ("/v1/events/stream?decision=maybe".to_owned(), "decision", "maybe"),
        ("/v1/bundles/abc".to_owned(), "digest", "abc"),
    ];
    for (path, field, value) in queries {
        let problem = alice.get(&path).await.problem(400, "invalid-input");
        assert_eq!(
            (problem["field"].as_str(), problem["value"].as_str()),
            (Some(field), Some(value)),
            "{path}: {problem:#}"
        );
        assert!(!problem["remedy"].as_str().unwrap().is_empty());
    }
    let post = |name: &'static str, value: &[u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(value).unwrap();
        let request = alice.request(reqwest::Method::POST, "/v1/runs").json(&json!({"agent": "a", "goal": "g"}));
        alice.answer(request.header(name, value))
    };
    assert_eq!(post("idempotency-key", b"\xff").await.problem(400, "invalid-input")["field"], "Idempotency-Key");
    let csv = alice.command("/v1/runs").header("content-type", "text/csv").body("a,b");
    let problem = alice.answer(csv).await.problem(415, "unsupported-media-type");
    assert_eq!((&problem["field"], &problem["value"]), (&json!("Content-Type"), &json!("text/csv")));
    alice.get("/v1/runs/%ff").await.problem(400, "invalid-input");
    alice.get("/errors/%ff").await.problem(404, "not-found");
    let patch = alice.answer(alice.request(reqwest::Method::PATCH, "/v1/runs")).await;
    let allow = patch.header("allow").unwrap_or_default().to_owned();
    patch.problem(405, "method-not-allowed");
    assert!(allow.contains("POST") && allow.contains("GET"), "{allow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_registered_as_it_is_stays_so_and_that_is_on_the_record() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let tool = json!({"name": "t", "schema": {}, "executor": "client", "risk": "low"});
    let first = alice.post("/v1/tools", &tool).await.expect(201);
    let again = alice.post("/v1/tools", &tool).await.expect(201);
    let sequence = |answer: &Value| answer["receipt"]["sequence"].as_u64().unwrap();
    assert_eq!((sequence(&first), sequence(&again)), (2, 3));
    let tools = alice.get("/v1/tools").await.expect(200);
    assert_eq!(tools["items"].as_array().unwrap().iter().filter(|tool| tool["name"] == "t").count(), 1);
}
