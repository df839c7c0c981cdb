//! Runs that continue other runs: recordings answer, the law decides, nothing outside is touched.

use serde_json::{Value, json};
use xagent_tests::{ChatServer, Script};

use crate::planner::{facts, planning, start};
use crate::review::waiting;
use crate::world::{Api, World};

const PLAN: &str = include_str!("../../gateway/src/sample/repo_review.json");
const MODEL: &str = include_str!("../data/chat/repo_review.json");

fn folder(world: &World) {
    for (name, text) in [
        ("README.md", "# Sample\n"),
        ("Cargo.toml", "unsafe_code = \"forbid\"\n"),
        ("AUTHORS", "ann\n"),
        (".env", "K=1\n"),
    ] {
        std::fs::write(world.workspace.join(name), text).unwrap();
    }
}

/// Takes everything out of the workspace: a tool that is called now finds nothing, or leaves something behind.
fn emptied(world: &World) {
    for entry in std::fs::read_dir(&world.workspace).unwrap() {
        let path = entry.unwrap().path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.unwrap();
    }
}

fn is_empty(world: &World) -> bool {
    std::fs::read_dir(&world.workspace).unwrap().next().is_none()
}

async fn approved(world: &World, api: &Api, run: &str) -> Value {
    let approval = api.run_until(run, "the run waits for an approval", waiting).await;
    let bob = world.api("bob", &["approval:decide"]);
    bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
    api.run_ended(run).await
}

async fn forked(api: &Api, run: &str, body: Value) -> String {
    let forked = api.post(&format!("/v1/runs/{run}/fork"), &body).await.expect(201);
    assert_eq!((&forked["from"], &forked["at"]), (&json!(run), &body["at"]));
    forked["run"].as_str().unwrap().to_owned()
}

async fn is_identical(world: &World, run: &str) {
    let replay = world.xagent(&["--json", "replay", run]).await;
    let report: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert!(replay.status.success(), "{report:#}");
    assert_eq!(report["runs"][0]["decided_again"], report["runs"][0]["decisions"]);
}

/// The comparison of two runs, and the exit code of the command that made it.
async fn compared(world: &World, first: &str, second: &str) -> (Value, Option<i32>) {
    let output = world.xagent(&["--json", "runs", "compare", first, second]).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}")), output.status.code())
}

/// The sequence of the proposal of a step.
async fn proposed(api: &Api, run: &str, label: &str) -> u64 {
    let events = api.events(run).await;
    let of = |event: &&Value| event["payload"]["ToolCallProposed"]["label"] == label;
    events.iter().find(of).unwrap()["sequence"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_of_the_sample_run_is_answered_by_recordings_and_touches_nothing() {
    let world = World::new().await;
    folder(&world);
    let alice = world.everything("alice");
    let steps = serde_json::from_str::<Value>(PLAN).unwrap()["steps"].clone();
    let run = alice.start_plan(steps, &world.workspace).await;
    let original = approved(&world, &alice, &run).await;
    assert_eq!(original["status"], "completed");
    emptied(&world);

    for at in [3, proposed(&alice, &run, "unsafe").await, proposed(&alice, &run, "report").await] {
        let fork = forked(&alice, &run, json!({"at": at})).await;
        let ended = approved(&world, &alice, &fork).await;
        assert_eq!(
            (&ended["status"], &ended["state"]["summary"]),
            (&json!("completed"), &original["state"]["summary"])
        );
        let answers = facts(&alice, &fork, "ToolCallCompleted").await;
        assert!(!answers.is_empty() && answers.iter().all(|end| end["outcome"]["recording"]["run"] == json!(run)));
        assert!(is_empty(&world), "a tool was at work");
        let forked = &facts(&alice, &fork, "RunForked").await[0];
        let events = alice.events(&run).await;
        let left = events.iter().find(|event| event["sequence"] == at).unwrap();
        assert_eq!(
            (&forked["from"], &forked["at_sequence"], &forked["at_position"]),
            (&json!(run), &json!(at), &left["position"])
        );
        is_identical(&world, &fork).await;
        let (comparison, code) = compared(&world, &run, &fork).await;
        assert_eq!((&comparison["same"], code), (&json!(true), Some(0)), "{comparison:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_of_a_model_s_run_goes_on_by_what_the_model_replied_when_it_is_gone() {
    let model = ChatServer::start(Script::parse(MODEL).unwrap()).await;
    let world = planning(&model, &[]).await;
    folder(&world);
    std::fs::remove_file(world.workspace.join(".env")).unwrap();
    let alice = world.everything("alice");
    let run = start(&alice, &world, "review this folder and write a report", json!({})).await;
    let original = approved(&world, &alice, &run).await;
    assert_eq!(original["status"], "completed", "{original:#}");
    let asked = model.requests().len();
    model.stop().await;
    emptied(&world);
    // From the middle of a turn whose calls are not all over, and from its beginning.
    for at in [proposed(&alice, &run, "2.2").await, 3] {
        let fork = forked(&alice, &run, json!({"at": at})).await;
        let ended = approved(&world, &alice, &fork).await;
        assert_eq!(ended["status"], "completed", "{:#}", ended["state"]["summary"]);
        assert_eq!(ended["state"]["planner"]["recorded"]["from"], json!(run));
        let consulted = facts(&alice, &fork, "PlannerConsulted").await;
        assert!(consulted.iter().all(|made| made["exchange"]["attempts"] == 0), "the model was asked");
        assert!(is_empty(&world), "a tool was at work");
        is_identical(&world, &fork).await;
        let (comparison, code) = compared(&world, &run, &fork).await;
        assert_eq!((&comparison["same"], code), (&json!(true), Some(0)), "{comparison:#}");
        // A fork can be continued like any other run.
        let again = forked(&alice, &fork, json!({"at": ended["sequence"]})).await;
        assert_eq!(alice.run_ended(&again).await["state"]["summary"], ended["state"]["summary"]);
        is_identical(&world, &again).await;
    }
    assert_eq!(asked, 11);
}

/// The stock law without secret paths.
async fn lenient(api: &Api) -> String {
    let body = crate::law::bundle(|body| body["data"]["config"]["secret_patterns"] = json!([]));
    api.post("/v1/bundles", &body).await.expect(201)["bundle"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_law_that_allows_a_fork_goes_another_way_and_says_which_recording_is_missing() {
    let world = World::new().await;
    folder(&world);
    let alice = world.everything("alice");
    let steps = json!([
        {"id": "readme", "tool": "read_file", "arguments": {"path": "README.md"}},
        {"id": "secret", "tool": "read_file", "arguments": {"path": ".env"}},
        {"id": "note", "tool": "write_file", "arguments": {"path": "scratch/note.md", "content": "{{secret.status}}"}},
    ]);
    let run = alice.start_plan(steps, &world.workspace).await;
    assert_eq!(alice.run_ended(&run).await["state"]["results"]["secret"]["status"], "denied");
    let policy = lenient(&alice).await;
    let in_force = alice.get("/v1/bundles").await.expect(200)["active"].clone();
    let at = proposed(&alice, &run, "secret").await;
    emptied(&world);

    let fork = forked(&alice, &run, json!({"at": at, "policy": policy})).await;
    let ended = alice.run_ended(&fork).await;
    let secret = &ended["state"]["results"]["secret"];
    assert_eq!((&secret["status"], &secret["reasons"][0]["code"]), (&json!("refused"), &json!("recording_missing")));
    let missing = &facts(&alice, &fork, "RecordingMissing").await[0];
    let asked = &facts(&alice, &fork, "ToolCallProposed").await[0];
    assert_eq!((&missing["from"], &missing["tool"]), (&json!(run), &json!("read_file")));
    assert_eq!(missing["arguments_digest"], asked["arguments_digest"]);
    assert_eq!(missing["tool_digest"], asked["tool"]["digest"]);
    // What comes of it is another call than the recorded one, so that one is missing too.
    assert_eq!(ended["state"]["results"]["note"]["reasons"][0]["code"], "recording_missing");
    assert!(is_empty(&world));
    for made in facts(&alice, &fork, "DecisionMade").await {
        let of_call = made["question"]["tool_call"].is_object();
        let by = if of_call { &json!(policy) } else { &in_force };
        assert_eq!(&made["evaluation"]["bundle"], by, "{made:#}");
    }
    assert_eq!(alice.get("/v1/bundles").await.expect(200)["active"], in_force, "the law in force is as it was");
    is_identical(&world, &fork).await;

    let (comparison, code) = compared(&world, &run, &fork).await;
    assert_eq!((code, &comparison["same"]), (Some(1), &json!(false)));
    let parting = &comparison["parting"];
    assert_eq!((&parting["differs"], &parting["label"]), (&json!("decision"), &json!("secret")));
    assert_eq!(parting["first_sequence"], json!(at));
    let differs: Vec<_> = comparison["calls"].as_array().unwrap().iter().map(|pair| pair["differs"].clone()).collect();
    assert_eq!(differs, [json!([]), json!(["decision", "outcome"]), json!(["arguments", "outcome"])]);
    let told = world.xagent(&["runs", "compare", &run, &fork]).await;
    let text = String::from_utf8(told.stdout).unwrap();
    for line in [
        "They part at `secret`",
        "the law said something else.",
        "read_file deny (secret_path): denied",
        "read_file allow: refused, no recording",
        "read_file allow: succeeded, taken over",
    ] {
        assert!(text.contains(line), "`{line}` is missing in:\n{text}");
    }

    // The same on the command line.
    let told = world.xagent(&["fork", &run, "--at", &at.to_string(), "--policy", &policy]).await;
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text} {}", String::from_utf8_lossy(&told.stderr));
    for line in [
        "  secret    read_file     .env".to_owned(),
        format!("no recording of it in {run}"),
        "is completed: 3 steps: 1 succeeded, 0 failed, 0 denied, 2 refused".to_owned(),
        format!("Compare them with `xagent runs compare {run} run_"),
    ] {
        assert!(text.contains(&line), "`{line}` is missing in:\n{text}");
    }
    let told = world.xagent(&["--json", "fork", &run, "--at", "3"]).await;
    let said: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&said["from"], &said["at"], &said["status"]), (&json!(run), &json!(3), &json!("completed")));

    // A file for a stranger holds the fork with the law it was decided by.
    let file = world.workspace.with_file_name("fork.xe");
    let exported = world.xagent(&["evidence", "export", file.to_str().unwrap(), "--run", &fork]).await;
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_fork_needs_its_scope_and_the_law_in_force() {
    let world = World::new().await;
    folder(&world);
    let alice = world.everything("alice");
    let note = |text: &str| json!({"id": "note", "tool": "write_file", "arguments": {"path": "scratch/n.md", "content": text}});
    let secret = json!({"id": "secret", "tool": "read_file", "arguments": {"path": ".env"}});
    let run = alice.start_plan(json!([note("one")]), &world.workspace).await;
    assert_eq!(alice.run_ended(&run).await["status"], "completed");
    std::fs::remove_file(world.workspace.join("scratch/n.md")).unwrap();
    let body = json!({"at": 3, "live": true, "plan": {"steps": [
        note("one"), {"id": "other", "tool": "write_file", "arguments": {"path": "scratch/o.md", "content": "two"}}, secret,
    ]}});
    let path = format!("/v1/runs/{run}/fork");
    let reader = world.api("alice", &["run:fork", "run:read", "audit:read", "tool:*"]);
    let denied = reader.post(&path, &body).await.problem(403, "denied");
    assert_eq!(denied["deny"][0]["code"], "missing_scope");
    let policy = lenient(&alice).await;
    let mut other = body.clone();
    other["policy"] = json!(policy);
    assert_eq!(alice.post(&path, &other).await.problem(400, "invalid-input")["field"], "/live");

    let fork = alice.post(&path, &body).await.expect(201)["run"].as_str().unwrap().to_owned();
    let ended = alice.run_ended(&fork).await;
    let status = |step: &str| ended["state"]["results"][step]["status"].clone();
    assert_eq!([status("note"), status("other"), status("secret")], ["succeeded", "succeeded", "denied"]);
    assert!(!world.workspace.join("scratch/n.md").exists(), "what is recorded is not done again");
    assert_eq!(std::fs::read_to_string(world.workspace.join("scratch/o.md")).unwrap(), "two");
    is_identical(&world, &fork).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_fork_is_answered_and_posts_no_results() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let tool = json!({"name": "note", "schema": {"type": "object"}, "executor": "client", "risk": "low"});
    alice.post("/v1/tools", &tool).await.expect(201);
    let run = alice.start_client_run().await;
    let propose = async |run: &str, text: &str| {
        let body = json!({"tool": "note", "arguments": {"text": text}});
        alice.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201)
    };
    for output in ["first", "second"] {
        let call = propose(&run, "same").await;
        let result = json!({"succeeded": true, "output": output, "duration_us": 5});
        let path = format!("/v1/runs/{run}/tool-calls/{}/result", call["call"].as_str().unwrap());
        alice.post(&path, &result).await.expect(200);
    }
    let fork = forked(&alice, &run, json!({"at": 3})).await;
    // The same call again and again: each is answered by the next recording, then by the last.
    for expected in ["\"first\"", "\"second\"", "\"second\""] {
        let call = propose(&fork, "same").await;
        let id = call["call"].as_str().unwrap();
        let ended = alice
            .run_until(&fork, "the call is answered", |run| (run["state"]["closed"][id] == "succeeded").then_some(()));
        ended.await;
        let answers = facts(&alice, &fork, "ToolCallCompleted").await;
        assert_eq!(answers.last().unwrap()["outcome"]["output"]["text"], expected);
    }
    let call = propose(&fork, "other").await;
    let id = call["call"].as_str().unwrap();
    alice.run_until(&fork, "the call is refused", |run| (run["state"]["closed"][id] == "refused").then_some(())).await;
    is_identical(&world, &fork).await;
    let path = format!("/v1/runs/{run}/fork");
    for (body, field) in [
        (json!({"at": 0}), "/at"),
        (json!({"at": 999}), "/at"),
        (json!({"at": 1}), "/at"),
        (json!({"at": 3, "policy": "0".repeat(64)}), "/policy"),
    ] {
        assert_eq!(alice.post(&path, &body).await.problem(400, "invalid-input")["field"], field, "{body}");
    }
    let stranger = world.api("eve", &["run:fork", "run:read"]);
    assert_eq!(
        stranger.post(&path, &json!({"at": 3})).await.problem(403, "denied")["deny"][0]["code"],
        "missing_scope"
    );
}
