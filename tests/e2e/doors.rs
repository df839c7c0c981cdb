//! Who comes in, with what: tokens, scopes, bodies. What is refused stores nothing but the refusal.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::world::{Api, World, claims, signed};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_valid_token_is_not_let_in() {
    let world = World::new().await;
    let head = world.head().await;
    let secret = crate::world::SECRET;
    let good = claims("default", "alice", &["*"], &[]);
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        signed(&changed, Algorithm::HS256, secret)
    };
    let unsigned = {
        let token = signed(&good, Algorithm::HS256, secret);
        let claims = token.split('.').nth(1).unwrap();
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{claims}.")
    };
    let tokens = [
        ("expired", with("exp", json!(1_000_000_000))),
        ("not yet valid", with("nbf", json!(4_000_000_000_i64))),
        ("wrong audience", with("aud", json!("other"))),
        ("wrong issuer", with("iss", json!("other"))),
        ("wrongly signed", signed(&good, Algorithm::HS256, &"x".repeat(48))),
        ("another algorithm", signed(&good, Algorithm::HS512, secret)),
        ("alg none", unsigned),
        ("no token", String::new()),
    ];
    for (name, token) in tokens {
        let api = Api::with_token(&world.url, &token);
        for answer in [api.get("/v1/runs").await, api.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await] {
            let problem = answer.problem(401, "unauthenticated");
            assert_eq!(problem["field"], "Authorization", "{name}");
        }
    }
    let recorded = world.ledger().range(head, 1000).await.unwrap();
    assert!(!recorded.is_empty() && recorded.iter().all(|event| event.event_type == "RequestsRefused"));
    world.everything("alice").get("/v1/runs").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_denied_with_its_reasons_and_the_denial_is_recorded() {
    let world = World::new().await;
    let poor = world.api("poor", &["tool:*"]);
    let id = "0".repeat(32);
    let routes = [
        ("/v1/runs".to_owned(), json!({"agent": "a", "goal": "g"}), "run:start"),
        (
            "/v1/tools".to_owned(),
            json!({"name": "t", "schema": {}, "executor": "client", "risk": "low"}),
            "tool:register",
        ),
        ("/v1/bundles".to_owned(), json!({"modules": {}, "data": {}}), "bundle:write"),
        (format!("/v1/runs/run_{id}/tool-calls"), json!({"tool": "list_files"}), "call:propose"),
        (format!("/v1/runs/run_{id}/pause"), json!({"reason": "r"}), "run:control"),
    ];
    for (path, body, scope) in routes {
        let head = world.head().await;
        let problem = poor.post(&path, &body).await.problem(403, "denied");
        assert_eq!(problem["deny"][0]["code"], "missing_scope", "{path}");
        assert!(problem["deny"][0]["message"].as_str().unwrap().contains(scope), "{problem:#}");
        recorded_denial(&world, problem["decision_id"].as_str().unwrap(), head + 1).await;
    }
    for (path, scope) in [("/v1/runs", "run:read"), ("/v1/tools", "run:read")] {
        let problem = poor.get(path).await.problem(403, "denied");
        assert!(problem["deny"][0]["message"].as_str().unwrap().contains(scope));
    }
}

/// The denial, and nothing else, is in the access stream.
async fn recorded_denial(world: &World, decision: &str, position: u64) {
    let events = world.ledger().range(position - 1, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].aggregate_type.as_str(), events[0].event_type.as_str()), ("access", "DecisionMade"));
    let payload: Value = serde_json::from_str(&events[0].payload).unwrap();
    assert_eq!(payload["DecisionMade"]["decision"], decision);
    assert_eq!(payload["DecisionMade"]["allow"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_named_by_its_field_and_stores_nothing() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let calls = format!("/v1/runs/{run}/tool-calls");
    let head = world.head().await;
    let cases = [
        ("/v1/runs", "{\"agent\": \"a\", ".to_owned(), ""),
        ("/v1/runs", "[]".to_owned(), ""),
        ("/v1/runs", "{\"agent\":\"a\",\"goal\":\"g\",\"color\":\"red\"}".to_owned(), "/color"),
        ("/v1/runs", "{\"agent\":\"a\"}".to_owned(), "/goal"),
        ("/v1/runs", "{\"agent\":7,\"goal\":\"g\"}".to_owned(), "/agent"),
        ("/v1/runs", "{\"agent\":\"\",\"goal\":\"g\"}".to_owned(), "/agent"),
        ("/v1/runs", "{\"agent\":\"a\",\"goal\":\"g\",\"plan\":{\"steps\":[]}}".to_owned(), "/plan/steps"),
        ("/v1/runs", "{\"agent\":\"a\",\"goal\":\"g\",\"workspace\":\"/etc\"}".to_owned(), "/workspace"),
        (&calls, "{\"tool\":\"no_such_tool\"}".to_owned(), "/tool"),
        (&calls, "{\"tool\":\"a b\"}".to_owned(), "/tool"),
        (&calls, "{\"tool\":\"read_file\",\"arguments\":{}}".to_owned(), "/arguments"),
        (&calls, "{\"tool\":\"read_file\",\"arguments\":{\"path\":1}}".to_owned(), "/arguments/path"),
        (&calls, "{\"tool\":\"read_file\",\"arguments\":{\"path\":\"a\",\"x\":1}}".to_owned(), "/arguments"),
        (&calls, "{\"tool\":\"list_files\",\"arguments\":{\"limit\":9007199254740993}}".to_owned(), "/arguments/limit"),
    ];
    for (path, body, field) in cases {
        let problem = alice.post_text(path, body.clone()).await.problem(400, "invalid-input");
        assert_eq!(problem["field"], field, "{body}: {problem:#}");
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    let problem = alice.post_with_key("/v1/runs", &json!({"agent": "a", "goal": "g"}), "two words").await;
    assert_eq!(problem.problem(400, "invalid-input")["field"], "Idempotency-Key");
    let problem = alice.get("/v1/runs/run_7").await.problem(400, "invalid-input");
    assert_eq!(problem["field"], "run");
    let problem = alice.get("/v1/runs?color=red").await.problem(400, "invalid-input");
    assert_eq!(problem["field"], "color");
    assert_eq!(world.head().await, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_fifty_megabytes_is_refused_and_stores_nothing() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let head = world.head().await;
    let body = format!("{{\"agent\":\"a\",\"goal\":\"{}\"}}", "x".repeat(50 * 1024 * 1024));
    alice.post_text("/v1/runs", body).await.problem(413, "too-large");
    assert_eq!(world.head().await, head);
    alice.start_client_run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_so_and_every_problem_has_its_page() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let nowhere = format!("/v1/runs/run_{}", "0".repeat(32));
    for path in ["/v1/nothing", &nowhere, &format!("{nowhere}/events")] {
        let problem = alice.get(path).await.problem(404, "not-found");
        let page = alice.get(problem["type"].as_str().unwrap()).await.expect(200);
        assert!(page.as_str().unwrap().contains("**What to do.**"));
    }
    alice.post("/livez", &json!({})).await.problem(405, "method-not-allowed");
    assert_eq!(alice.get("/livez").await.expect(200), json!("ok\n"));
    let ready = alice.get("/readyz").await.expect(200);
    assert_eq!(ready["ledger"]["ready"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_other() {
    let world = World::new().await;
    let run = world.everything("alice").start_client_run().await;
    let mallory = world.api_of("other", "mallory", &["*", "tool:*"], &[]);
    for path in ["", "/events", "/decisions"] {
        mallory.get(&format!("/v1/runs/{run}{path}")).await.problem(404, "not-found");
    }
    let call = mallory.post(&format!("/v1/runs/{run}/tool-calls"), &json!({"tool": "list_files"})).await;
    call.problem(404, "not-found");
    assert_eq!(mallory.get("/v1/runs").await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_driven_by_its_principal_or_an_operator() {
    let world = World::new().await;
    let run = world.everything("alice").start_client_run().await;
    let path = format!("/v1/runs/{run}/tool-calls");
    let call = json!({"tool": "list_files"});
    let bob = world.api("bob", &["call:propose"]).post(&path, &call).await.problem(403, "denied");
    assert_eq!(bob["deny"][0]["code"], "not_your_run");
    let operator = world.api_of("default", "olga", &["call:propose"], &["operator"]);
    operator.post(&path, &call).await.expect(201);
}
