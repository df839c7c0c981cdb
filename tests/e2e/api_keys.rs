//! The life of an api key: issued once and shown once, good for what it grants, good nowhere once it is revoked.

use serde_json::{Value, json};
use xagent_stack::{Server, Stack};
use xagent_tests::until;

use crate::world::{Api, World};

fn request(scopes: &[&str]) -> Value {
    json!({"name": "ci", "scopes": scopes, "lifetime_s": 3600})
}

/// Who issues keys, and has these scopes beside.
fn issuer(world: &World, scopes: &[&str]) -> Api {
    world.api("alice", &[&["api_key:write", "api_key:read"], scopes].concat())
}

async fn issued(by: &Api, scopes: &[&str]) -> (String, String) {
    let issued = by.post("/v1/api-keys", &request(scopes)).await.expect(201);
    let text = |name: &str| issued[name].as_str().unwrap().to_owned();
    (text("key"), text("api_key"))
}

async fn revoke(by: &Api, key: &str) {
    by.post(&format!("/v1/api-keys/{key}/revoke"), &json!({"reason": "it was in a log"})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_acts_as_its_issuer_with_what_it_grants_and_its_secret_is_nowhere() {
    let world = World::new().await;
    let alice = issuer(&world, &["run:start", "run:read", "audit:read", "run:control"]);
    let (id, key) = issued(&alice, &["run:start", "run:read"]).await;
    let with_key = Api::with_token(&world.url, &key);
    let run = with_key.start_client_run().await;
    with_key.get(&format!("/v1/runs/{run}")).await.expect(200);
    let denied = with_key.post(&format!("/v1/runs/{run}/pause"), &json!({"reason": "r"})).await;
    assert_eq!(denied.problem(403, "denied")["deny"][0]["code"], "missing_scope");
    let started = world.ledger().stream(&"default".parse().unwrap(), "run", &run, 0, 10).await.unwrap();
    let metadata: Value = serde_json::from_str(&started[0].metadata).unwrap();
    assert_eq!((&metadata["actor"], &metadata["credential"]), (&json!("alice"), &json!(id)));

    let secret = &key[key.len() - 72..];
    let everything = world.ledger().range(0, 1000).await.unwrap();
    assert!(everything.iter().any(|event| event.event_type == "ApiKeyIssued"));
    assert!(!everything.iter().any(|event| event.payload.contains(secret) || event.payload.contains(&secret[..64])));
    let listed = alice.get("/v1/api-keys").await.expect(200);
    assert!(!listed.to_string().contains(&secret[..64]));
    let item = &listed["items"][0];
    assert_eq!((&item["key"], &item["status"], &item["principal"]), (&json!(id), &json!("active"), &json!("alice")));
    assert!(world.xagent(&["replay", &run]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_grants_nothing_that_its_issuer_does_not_have_and_issues_none() {
    let world = World::new().await;
    let alice = issuer(&world, &["run:read", "tool:search"]);
    for scopes in [&["run:start"][..], &["*"], &["tool:*"], &["run:read", "audit:read"]] {
        let problem = alice.post("/v1/api-keys", &request(scopes)).await.problem(403, "denied");
        assert_eq!(problem["deny"][0]["code"], "key_exceeds_issuer", "{scopes:?}");
    }
    let mut with_role = request(&["run:read"]);
    with_role["roles"] = json!(["operator"]);
    let problem = alice.post("/v1/api-keys", &with_role).await.problem(403, "denied");
    assert_eq!(problem["deny"][0]["code"], "key_exceeds_issuer");
    let (_, key) = issued(&alice, &["api_key:write", "run:read", "tool:search"]).await;
    let problem = Api::with_token(&world.url, &key).post("/v1/api-keys", &request(&["run:read"])).await;
    assert_eq!(problem.problem(403, "denied")["deny"][0]["code"], "key_exceeds_issuer");
    world.api("poor", &["run:read"]).post("/v1/api-keys", &request(&[])).await.problem(403, "denied");
    for (field, value) in
        [("lifetime_s", json!(0)), ("lifetime_s", json!(40_000_000)), ("name", json!("")), ("scopes", json!(["a b"]))]
    {
        let mut wrong = request(&["run:read"]);
        wrong[field] = value;
        let problem = alice.post("/v1/api-keys", &wrong).await.problem(400, "invalid-input");
        assert_eq!(problem["field"], format!("/{field}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_good_at_no_server_and_its_streams_end() {
    let world = World::new().await;
    let (_second, second_url) = world.another_server().await;
    let alice = issuer(&world, &["run:read", "audit:read"]);
    let (id, key) = issued(&alice, &["run:read", "audit:read"]).await;
    let (here, there) = (Api::with_token(&world.url, &key), Api::with_token(&second_url, &key));
    here.get("/v1/runs").await.expect(200);
    there.get("/v1/runs").await.expect(200);
    let (mut live, mut socket) = (there.live("type=RunStarted", None).await, there.socket("type=RunStarted").await);
    revoke(&alice, &id).await;
    // At once: the other server has not been told, and asks.
    let before = world.head().await;
    there.get("/v1/runs").await.problem(401, "unauthenticated");
    here.get("/v1/runs").await.problem(401, "unauthenticated");
    let refused = world.refused_since(before).await;
    assert!(
        refused.iter().all(|entry| entry["reason"] == "api_key_revoked" && entry["kid"] == json!(id)),
        "{refused:#?}"
    );
    assert_eq!(live.end().await["reason"], "key_revoked");
    while let Some(message) = socket.message().await {
        if message["close"].is_u64() {
            assert_eq!(message, json!({"close": 1008, "reason": "key_revoked"}));
            break;
        }
    }
    revoke(&alice, &id).await;
    let listed = alice.get("/v1/api-keys").await.expect(200);
    assert_eq!(
        (&listed["items"][0]["status"], &listed["items"][0]["revoked_because"]),
        (&json!("revoked"), &json!("it was in a log"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_guessed_expired_or_of_another_tenant_is_refused_and_recorded_without_its_secret() {
    let world = World::new().await;
    let alice = issuer(&world, &["run:read"]);
    let (id, key) = issued(&alice, &["run:read"]).await;
    let brief = json!({"name": "brief", "scopes": ["run:read"], "lifetime_s": 1});
    let brief = alice.post("/v1/api-keys", &brief).await.expect(201)["api_key"].as_str().unwrap().to_owned();
    let brief = Api::with_token(&world.url, &brief);
    until("its time is over", async || (brief.get("/v1/runs").await.status == 401).then_some(())).await;
    let sealed = |start: String| format!("{start}{:08x}", crc32fast::hash(start.as_bytes()));
    let (start, secret) = (&key[..key.len() - 72], &key[key.len() - 72..key.len() - 8]);
    let cases = [
        ("one digit wrong", format!("{}0{}", &key[..50], &key[51..]), "api_key_malformed"),
        ("cut off", key[..key.len() - 1].to_owned(), "api_key_malformed"),
        ("another secret", sealed(format!("{start}{}", "0".repeat(64))), "api_key_wrong_secret"),
        (
            "another tenant's name",
            sealed(format!("{}{secret}", start.replace("xak_default_", "xak_other_"))),
            "api_key_unknown",
        ),
        ("another id", sealed(format!("xak_default_{}_{secret}", "0".repeat(32))), "api_key_unknown"),
    ];
    for (name, guess, reason) in cases {
        if guess == key {
            continue;
        }
        let before = world.head().await;
        Api::with_token(&world.url, &guess).get("/v1/runs").await.problem(401, "unauthenticated");
        let refused = world.refused_since(before).await;
        assert_eq!((refused.len(), &refused[0]["reason"]), (1, &json!(reason)), "{name}");
        assert_eq!(refused[0]["credential"], "api_key");
        assert!(!refused[0].to_string().contains(secret), "{name}");
    }
    // Another tenant neither sees nor revokes it.
    let other = world.api_of("other", "eve", &["*"], &[]);
    assert_eq!(other.get("/v1/api-keys").await.expect(200)["items"], json!([]));
    other.post(&format!("/v1/api-keys/{id}/revoke"), &json!({"reason": "r"})).await.problem(404, "not-found");
    Api::with_token(&world.url, &key).get("/v1/runs").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_issues_one_key_and_does_not_show_it_again() {
    let world = World::new().await;
    let alice = issuer(&world, &["run:read"]);
    let first = alice.post_with_key("/v1/api-keys", &request(&["run:read"]), "once").await.expect(201);
    let again = alice.post_with_key("/v1/api-keys", &request(&["run:read"]), "once").await.expect(201);
    assert_eq!((&first["key"], &first["receipt"]), (&again["key"], &again["receipt"]));
    assert!(first["api_key"].is_string() && again["api_key"].is_null(), "{again:#}");
    let other = alice.post_with_key("/v1/api-keys", &request(&[]), "once").await;
    other.problem(422, "key-reused");
    assert_eq!(alice.get("/v1/api-keys").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_ledger_is_away_no_key_is_good() {
    let world = World::with_own_postgres().await;
    let (_, key) = issued(&issuer(&world, &["run:read"]), &["run:read"]).await;
    let with_key = Api::with_token(&world.url, &key);
    with_key.get("/v1/tools").await.expect(200);
    world.server(Server::Postgres, Stack::kill).await;
    with_key.get("/v1/tools").await.problem(503, "unavailable");
    world.server(Server::Postgres, Stack::start_again).await;
    until("the key is good again", async || (with_key.get("/v1/tools").await.status == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_issued_listed_and_revoked_at_the_command_line() {
    let world = World::new().await;
    let issue = ["--json", "keys", "issue", "--name", "ci", "--scope", "run:read", "--days", "7"];
    let output = world.xagent(&issue).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let issued: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (id, key) = (issued["key"].as_str().unwrap(), issued["api_key"].as_str().unwrap());
    Api::with_token(&world.url, key).get("/v1/runs").await.expect(200);
    let listed = String::from_utf8(world.xagent(&["keys", "list"]).await.stdout).unwrap();
    assert!(listed.contains(id) && listed.contains("active") && listed.contains("run:read"), "{listed}");
    let mistaken = world.xagent(&["keys", "revoke", key, "--reason", "r"]).await;
    let said = String::from_utf8(mistaken.stderr).unwrap();
    assert!(said.contains("key_") && !said.contains(key), "{said}");
    let revoked = world.xagent(&["keys", "revoke", id, "--reason", "done"]).await;
    assert!(String::from_utf8(revoked.stdout).unwrap().contains("is revoked"));
    Api::with_token(&world.url, key).get("/v1/runs").await.problem(401, "unauthenticated");
    let listed: Value = serde_json::from_slice(&world.xagent(&["--json", "keys", "list"]).await.stdout).unwrap();
    assert_eq!(listed["items"][0]["status"], "revoked");
}
