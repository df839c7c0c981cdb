//! An issuer's keys over time: they change, they are away, they come back, and the server is never started anew.

use serde_json::{Value, json};
use xagent_tests::until;

use crate::world::issuer::{Answers, Issuer, SigningKey, issued, set};
use crate::world::{Api, World};

fn reader(url: &str, key: &SigningKey) -> Api {
    Api::with_token(url, &key.sign(&issued("default", "alice", &["run:read"])))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_are_taken_and_a_rotation_needs_no_restart() {
    let (first, second, third) = (SigningKey::rsa("a"), SigningKey::ec("b"), SigningKey::ed("c"));
    let issuer = Issuer::start(Answers::With(set(&[&first, &second]))).await;
    let world = World::new().await;
    let environment = issuer.environment();
    let (_server, url) = world.server_with(|serve| _ = serve.envs(environment).env("XAGENT_JWKS_REFRESH_S", "1")).await;
    reader(&url, &first).get("/v1/runs").await.expect(200);
    reader(&url, &second).get("/v1/runs").await.expect(200);
    issuer.answer(Answers::With(set(&[&second, &third])));
    until("the new key is taken", async || (reader(&url, &third).get("/v1/runs").await.status == 200).then_some(()))
        .await;
    until("the old key is not", async || (reader(&url, &first).get("/v1/runs").await.status == 401).then_some(()))
        .await;
    reader(&url, &second).get("/v1/runs").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_known_is_asked_for_at_once_where_that_is_due() {
    let (first, second) = (SigningKey::ec("a"), SigningKey::ec("b"));
    let issuer = Issuer::start(Answers::With(set(&[&first]))).await;
    let world = World::new().await;
    let environment = issuer.environment();
    let (_server, url) =
        world.server_with(|serve| _ = serve.envs(environment).env("XAGENT_JWKS_REFRESH_S", "86400")).await;
    reader(&url, &first).get("/v1/runs").await.expect(200);
    issuer.answer(Answers::With(set(&[&first, &second])));
    // The background asks once a day: it is the token that makes it ask, a second after the last time at the soonest.
    until("the new key is taken", async || (reader(&url, &second).get("/v1/runs").await.status == 200).then_some(()))
        .await;
    reader(&url, &first).get("/v1/runs").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_borne_while_the_keys_are_young_enough_and_no_longer() {
    let key = SigningKey::ec("a");
    let issuer = Issuer::start(Answers::With(set(&[&key]))).await;
    let world = World::new().await;
    let more = [("XAGENT_JWKS_REFRESH_S", "1"), ("XAGENT_JWKS_MAX_AGE_S", "6")];
    let environment = issuer.environment();
    let (_server, url) = world.server_with(|serve| _ = serve.envs(environment).envs(more)).await;
    reader(&url, &key).get("/v1/runs").await.expect(200);
    for outage in [Answers::Broken, Answers::With("<html>".to_owned()), Answers::With("x".repeat(300_000))] {
        issuer.answer(outage);
        let asked = issuer.hits();
        until("the issuer was asked in vain", async || (issuer.hits() > asked + 1).then_some(())).await;
        reader(&url, &key).get("/v1/runs").await.expect(200);
        issuer.answer(Answers::With(set(&[&key])));
        let asked = issuer.hits();
        until("the issuer was asked again", async || (issuer.hits() > asked + 1).then_some(())).await;
    }
    issuer.answer(Answers::Broken);
    let away = until("the keys are too old", async || {
        let answer = reader(&url, &key).get("/v1/runs").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    away.problem(503, "unavailable");
    let ready = Api::with_token(&url, "").get("/readyz").await.expect(200);
    assert_eq!(ready["token_keys"]["ready"], false, "{ready:#}");
    issuer.answer(Answers::With(set(&[&key])));
    until("the keys are back", async || (reader(&url, &key).get("/v1/runs").await.status == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_comes_by_way_of_a_redirect_and_a_server_without_keys_believes_nobody() {
    let key = SigningKey::ec("a");
    let (elsewhere, issuer) = tokio::join!(Issuer::start(Answers::With(set(&[&key]))), Issuer::start(Answers::Broken));
    issuer.answer(Answers::Redirect(elsewhere.url()));
    let world = World::new().await;
    let environment = issuer.environment();
    let (_server, url) = world.server_with(|serve| _ = serve.envs(environment)).await;
    reader(&url, &key).get("/v1/runs").await.problem(503, "unavailable");
    assert!(issuer.hits() > 0);
    assert_eq!(elsewhere.hits(), 0);
    // Those of its own it knows all the same.
    Api::new(&url, "default", "alice", &["run:read"], &[]).get("/v1/runs").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_file_and_claims_of_other_names_are_taken_as_configured() {
    let key = SigningKey::ed("a");
    let world = World::new().await;
    let file = world.workspace.with_file_name("jwks.json");
    std::fs::write(&file, set(&[&key])).unwrap();
    let settings = [
        ("XAGENT_JWT_ISSUER", "https://issuer.test/"),
        ("XAGENT_JWT_AUDIENCE", "api://xagent,other"),
        ("XAGENT_JWT_TENANT_CLAIM", "org"),
        ("XAGENT_JWT_SCOPE_CLAIM", "permissions"),
        ("XAGENT_JWT_ROLES_CLAIM", "/realm_access/roles"),
    ];
    let (_server, url) = world.server_with(|serve| _ = serve.env("XAGENT_JWKS", &file).envs(settings)).await;
    let mut claims = issued("default", "anna", &[]);
    claims["aud"] = json!("api://xagent");
    claims["org"] = json!("acme");
    claims["realm_access"] = json!({"roles": ["auditor"]});
    let anna = |claims: &Value| Api::with_token(&url, &key.sign(claims));
    anna(&claims).get("/v1/runs").await.expect(200);
    claims["realm_access"] = json!({"roles": []});
    anna(&claims).get("/v1/runs").await.problem(403, "denied");
    claims["permissions"] = json!(["run:start", "run:read"]);
    let run = anna(&claims).start_client_run().await;
    let events = world.ledger().stream(&"acme".parse().unwrap(), "run", &run, 0, 1).await.unwrap();
    assert_eq!(events.len(), 1, "the tenant is that of the configured claim");
    claims["org"] = Value::Null;
    anna(&claims).get("/v1/runs").await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_an_issuer_and_an_issuer_without_keys_are_said_at_the_start() {
    let world = World::new().await;
    let said = async |settings: &[(&str, &str)]| {
        let mut serve = world.command(&["serve", "--listen", "127.0.0.1:0"]);
        let output = serve.envs(settings.iter().copied()).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let error = said(&[("XAGENT_JWKS", "https://issuer.test/jwks.json")]).await;
    assert!(error.contains("--jwt-issuer"), "{error}");
    let error = said(&[("XAGENT_JWT_ISSUER", "https://issuer.test/")]).await;
    assert!(error.contains("--jwks"), "{error}");
    let anybody = [("XAGENT_JWKS", "http://issuer.test/jwks.json"), ("XAGENT_JWT_ISSUER", "x")];
    let error = said(&anybody).await;
    assert!(error.contains("neither an https URL nor a file"), "{error}");
}
