//! Whatever a model's server sends becomes a recorded outcome: a correction the model is told of, another request, or the end
//! of the run with its reason.

use futures::future::join_all;
use serde_json::{Value, json};
use xagent_tests::{ChatServer, Script};

use crate::law::enact;
use crate::planner::{KEY, facts, planning, start};

fn finish() -> Value {
    json!({"calls": [{"name": "finish", "arguments": {"achieved": true, "summary": "done"}}]})
}

fn body(text: &str) -> Value {
    json!({"fault": {"body": {"content_type": "application/json", "text": text}}})
}

fn calls(calls: Value) -> Value {
    json!({"reply": {"calls": calls}})
}

/// What a model says once before it comes to its senses, and what is recorded of it.
fn unusable() -> Vec<(&'static str, Value, &'static str)> {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let many: Vec<Value> = (0..40).map(|_| json!({"name": "list_files"})).collect();
    vec![
        ("not-json", body("<html>busy</html>"), "it is not JSON"),
        ("nothing", body(""), "it is not JSON"),
        ("a-list", body("[1, 2]"), "it is not a JSON object"),
        ("no-choices", body("{\"choices\": []}"), "it has no `choices`"),
        ("an-error", body("{\"error\": {\"message\": \"overloaded\"}}"), "the server reports an error: overloaded"),
        ("nested", body(&deep), "it is not JSON"),
        (
            "nul",
            body("{\"choices\": [{\"message\": {\"content\": 7, \"x\": \"\\u0000\"}}]}"),
            "its `content` is no text",
        ),
        ("huge", body(&"x".repeat(5_000_000)), "it is longer than"),
        (
            "html",
            json!({"fault": {"body": {"content_type": "text/html", "text": "<p>\u{0}"}}}),
            "content type `text/html`",
        ),
        ("endless", json!({"fault": {"endless": {}}}), "it is longer than"),
        ("silent", json!({"reply": {}}), "it neither calls a function nor says anything"),
        ("cut-off", json!({"reply": {"content": "I", "finish_reason": "length"}}), "it was cut off"),
        (
            "same-ids",
            calls(json!([{"id": "x", "name": "list_files"}, {"id": "x", "name": "list_files"}])),
            "an id of its own",
        ),
        ("many", calls(json!(many)), "it calls 40 functions; at most 16"),
        ("finish-and-more", calls(json!([{"name": "finish"}, {"name": "list_files"}])), "stands alone"),
        (
            "no-such-goal",
            calls(json!([{"name": "goal_achieved", "arguments": {"number": 7, "summary": "s"}}])),
            "an open sub-goal",
        ),
    ]
}

/// Calls that are not fit to be proposed.
fn unfit() -> Vec<(&'static str, Value, &'static str)> {
    let deep = format!("{}{}", "{\"a\":".repeat(500), "1");
    vec![
        ("no-tool", json!({"name": "rm_rf"}), "there is no tool `rm_rf`"),
        ("odd-name", json!({"name": "read\u{0} file"}), "is not a tool name"),
        ("no-object", json!({"name": "list_files", "arguments": "[1]"}), "not a JSON object"),
        ("bad-json", json!({"name": "list_files", "arguments": "{\"path\":"}), "not JSON"),
        ("deep-json", json!({"name": "list_files", "arguments": deep}), "not JSON"),
        ("no-schema", json!({"name": "read_file", "arguments": {"file": "x"}}), "schema of the tool `read_file`"),
        ("big-number", json!({"name": "list_files", "arguments": "{\"limit\": 1e999}"}), "not JSON"),
    ]
}

/// Faults that pass: the request is sent again.
fn passing() -> Vec<(&'static str, Value)> {
    vec![
        ("too-many", json!({"fault": {"status": {"code": 429, "retry_after": 1, "body": null}}})),
        ("broken", json!({"fault": {"status": {"code": 500, "retry_after": null, "body": "oops"}}})),
        ("cut", json!({"reply": finish(), "fault": {"cut": {}}})),
        ("stalled", json!({"fault": {"stall": {}}})),
    ]
}

fn rule(goal: &str, mut once: Value) -> Value {
    once["when"] = json!({"any": format!("Goal: {goal}.")});
    once["times"] = json!(1);
    once
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_model_says_is_recorded_and_the_run_goes_on_or_ends_with_the_reason() {
    let mut rules = Vec::new();
    rules.extend(unusable().into_iter().map(|(goal, once, _)| rule(goal, once)));
    rules.extend(unfit().into_iter().map(|(goal, call, _)| rule(goal, calls(json!([call])))));
    rules.extend(passing().into_iter().map(|(goal, once)| rule(goal, once)));
    let when = |goal: &str| json!({"any": format!("Goal: {goal}.")});
    let refusal = format!("{{\"error\": {{\"message\": \"wrong key {KEY}\"}}}}");
    rules.extend([
        json!({"when": when("always-odd"), "fault": {"body": {"content_type": "application/json", "text": "odd"}}}),
        json!({"when": when("no-entry"), "fault": {"status": {"code": 401, "retry_after": null, "body": refusal}}}),
        json!({"when": when("bad-request"), "fault": {"status": {"code": 400, "retry_after": null, "body": refusal}}}),
        json!({"when": when("come-back-tomorrow"), "fault": {"status": {"code": 429, "retry_after": 86400, "body": null}}}),
        json!({"when": when("restless"), "reply": calls(json!([{"name": "list_files", "arguments": {}}]))["reply"]}),
        json!({"when": when("spendthrift"), "reply": {"calls": [{"name": "list_files", "arguments": {}}], "usage": [600, 0]}}),
        json!({"when": when("over-the-law"), "reply": {"calls": [{"name": "list_files", "arguments": {}}], "usage": [6000, 0]}}),
        json!({"reply": finish()}),
    ]);
    let model = ChatServer::start(Script::of(json!({"rules": rules}))).await;
    let world = planning(&model, &[("XAGENT_MODEL_SILENCE_S", "1")]).await;
    let alice = world.everything("alice");
    enact(&alice, |body| body["data"]["config"]["limits"]["tokens_per_run"] = json!(5000)).await;
    let run = async |goal: &str, chat: Value| {
        let run = start(&alice, &world, &format!("{goal}."), chat).await;
        let ended = alice.run_ended(&run).await;
        (ended["status"].clone(), ended["state"]["summary"].as_str().unwrap().to_owned(), run)
    };

    join_all(unusable().into_iter().map(async |(goal, _, reason)| {
        let (status, summary, run) = run(goal, json!({"stream": goal == "endless"})).await;
        assert_eq!((&status, summary.as_str()), (&json!("completed"), "done"), "{goal}");
        let consulted = facts(&alice, &run, "PlannerConsulted").await;
        let recorded = consulted[0]["proposal"]["unusable"]["reason"].as_str().unwrap();
        assert!(recorded.contains(reason), "{goal}: {recorded}");
        assert_eq!(consulted.len(), 2, "{goal}");
    }))
    .await;
    join_all(unfit().into_iter().map(async |(goal, _, reason)| {
        let (status, _, run) = run(goal, json!({})).await;
        assert_eq!(status, "completed", "{goal}");
        let rejected = facts(&alice, &run, "ToolCallRejected").await;
        assert_eq!(rejected.len(), 1, "{goal}");
        assert!(rejected[0]["reason"].as_str().unwrap().contains(reason), "{goal}: {}", rejected[0]);
    }))
    .await;
    join_all(passing().into_iter().map(async |(goal, _)| {
        let (status, _, run) = run(goal, json!({"stream": goal == "cut"})).await;
        assert_eq!(status, "completed", "{goal}");
        let consulted = facts(&alice, &run, "PlannerConsulted").await;
        let exchange = &consulted[0]["exchange"];
        assert_eq!((&exchange["attempts"], exchange["failures"].as_array().unwrap().len()), (&json!(2), 1), "{goal}");
    }))
    .await;
    for request in
        model.requests().iter().filter(|request| request.body["messages"].to_string().contains("could not be used"))
    {
        assert_eq!(request.body["messages"].as_array().unwrap().last().unwrap()["role"], "user");
    }

    let ends = async |goal: &str, chat: Value, consultations: usize, reason: &str| {
        let (status, summary, run) = run(goal, chat).await;
        assert_eq!(status, "failed", "{goal}: {summary}");
        assert!(summary.contains(reason) && !summary.contains(KEY), "{goal}: {summary}");
        assert_eq!(facts(&alice, &run, "PlannerConsulted").await.len(), consultations, "{goal}");
        assert!(!alice.events(&run).await.iter().any(|event| event.to_string().contains(KEY)), "{goal}");
    };
    tokio::join!(
        ends("always-odd", json!({}), 4, "4 consultations in a row led to nothing; the last: it is not JSON"),
        ends("no-entry", json!({}), 1, "the model's server answers 401"),
        ends("bad-request", json!({}), 1, "wrong key [key]"),
        ends("come-back-tomorrow", json!({}), 4, "the model's server answers 429"),
        ends("restless", json!({"budget": {"steps": 3}}), 3, "the budget is used up: 3 of 3 consultations"),
        ends("spendthrift", json!({"budget": {"tokens": 1000}}), 2, "the budget is used up: 1200 of 1000 tokens"),
        ends("over-the-law", json!({"budget": {"steps": 2}}), 2, "2 of 2 consultations"),
    );
    let (_, _, over) = run("over-the-law", json!({"budget": {"steps": 1}})).await;
    let decided = facts(&alice, &over, "DecisionMade").await;
    assert_eq!(
        decided.last().unwrap()["deny"][0]["code"],
        "budget_exceeded",
        "the law counts the tokens of the planner"
    );
    assert_eq!(facts(&alice, &over, "ToolCallStarted").await.len(), 0);

    let replay = world.xagent(&["--json", "replay", "--all"]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
    for (field, chat) in [
        ("/planner/chat/temperature", json!({"temperature": 2.5})),
        ("/planner/chat/tools", json!({"tools": ["no_such"]})),
        ("/planner/chat/url", json!({"url": "http://169.254.169.254/v1"})),
        ("/planner/chat/budget/steps", json!({"budget": {"steps": 0}})),
        ("/planner/chat/context_bytes", json!({"context_bytes": 10})),
    ] {
        let request = json!({"agent": "a", "goal": "g", "planner": {"chat": chat}, "workspace": world.workspace});
        assert_eq!(alice.post("/v1/runs", &request).await.problem(400, "invalid-input")["field"], field);
    }
}
