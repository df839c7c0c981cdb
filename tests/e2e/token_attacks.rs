//! Tokens that are made to deceive: all refused, each for its reason, all recorded without themselves, none at a cost that
//! whoever sends them decides.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::world::issuer::{Answers, ISSUER, Issuer, SigningKey, issued, set, token};
use crate::world::{Api, SECRET, World, claims, signed};

/// A world whose server takes tokens of an issuer and development tokens.
struct Scene {
    world: World,
    _server: tokio::process::Child,
    url: String,
    issuer: Issuer,
    rsa: SigningKey,
    ec: SigningKey,
}

impl Scene {
    async fn new(set_more: impl FnOnce(&mut tokio::process::Command)) -> Self {
        let (rsa, ec) = (SigningKey::rsa("rsa-1"), SigningKey::ec("ec-1"));
        let issuer = Issuer::start(Answers::With(set(&[&rsa, &ec]))).await;
        let world = World::new().await;
        let environment = issuer.environment();
        let (server, url) = world
            .server_with(|serve| {
                serve.envs(environment);
                set_more(serve);
            })
            .await;
        Self { world, _server: server, url, issuer, rsa, ec }
    }
}

fn hmac(header: &Value, claims: &Value, secret: &[u8]) -> String {
    token(header, claims, &EncodingKey::from_secret(secret), Algorithm::HS256)
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    changed[name] = value;
    changed
}

/// Every kind of attack, by name, with the reason it is refused for.
fn attacks(scene: &Scene, elsewhere: &str) -> Vec<(&'static str, String, &'static str)> {
    let Scene { rsa, ec, .. } = scene;
    let (good, own) = (issued("default", "mallory", &["*"]), claims("default", "mallory", &["*"], &[]));
    let attacker = SigningKey::rsa("rsa-1");
    let unsigned = |alg: &str| {
        let signed = hmac(&json!({"alg": alg, "kid": "rsa-1"}), &good, &[0; 32]);
        signed.rsplit_once('.').unwrap().0.to_owned() + "."
    };
    let brought = |name: &str, value: Value| {
        let header = with(&attacker.header(), name, value);
        token(&header, &good, &attacker.private, attacker.algorithm)
    };
    let named = |kid: &str| token(&with(&rsa.header(), "kid", json!(kid)), &good, &rsa.private, rsa.algorithm);
    let hs = json!({"alg": "HS256", "kid": "rsa-1"});
    let signed_by_rsa = rsa.sign(&good);
    let (head, rest) = signed_by_rsa.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let other = rsa.sign(&with(&good, "sub", json!("bob")));
    let other_payload = other.split('.').nth(1).unwrap();
    vec![
        ("unsigned, none", unsigned("none"), "algorithm"),
        ("unsigned, NONE", unsigned("NONE"), "algorithm"),
        ("unsigned, RS256", unsigned("RS256"), "algorithm"),
        ("none with a signature", hmac(&json!({"alg": "none"}), &good, &[0; 32]), "algorithm"),
        ("the public PEM as HMAC secret", hmac(&hs, &good, &rsa.pem), "bad_signature"),
        ("the public DER as HMAC secret", hmac(&hs, &good, &rsa.der), "bad_signature"),
        ("the JWK as HMAC secret", hmac(&hs, &own, rsa.jwk().to_string().as_bytes()), "bad_signature"),
        ("the modulus as HMAC secret", hmac(&hs, &own, rsa.jwk()["n"].as_str().unwrap().as_bytes()), "bad_signature"),
        ("HMAC under the name of RS256", hmac(&rsa.header(), &good, SECRET.as_bytes()), "bad_signature"),
        ("an empty HMAC secret", hmac(&hs, &own, b""), "bad_signature"),
        (
            "ES256 under the name of the RSA key",
            { token(&json!({"alg": "ES256", "kid": "rsa-1"}), &good, &ec.private, ec.algorithm) },
            "unknown_key",
        ),
        ("RS384", hmac(&json!({"alg": "RS384", "kid": "rsa-1"}), &good, &[0; 32]), "algorithm"),
        ("HS512 with our secret", signed(&own, Algorithm::HS512, SECRET), "algorithm"),
        ("another's key under our name", attacker.sign(&good), "bad_signature"),
        ("jwk", brought("jwk", attacker.jwk()), "forbidden_header"),
        ("jku", brought("jku", json!(elsewhere)), "forbidden_header"),
        ("x5u", brought("x5u", json!(elsewhere)), "forbidden_header"),
        ("x5c", brought("x5c", json!(["MIIB"])), "forbidden_header"),
        ("crit", brought("crit", json!(["exp"])), "forbidden_header"),
        ("kid as a path", named("../../../../../../dev/null"), "unknown_key"),
        ("kid as SQL", named("x' UNION SELECT 'secret' --"), "unknown_key"),
        ("kid as a URL", named(elsewhere), "unknown_key"),
        ("kid without end", named(&"k".repeat(300)), "malformed"),
        ("expired", rsa.sign(&with(&good, "exp", json!(1_000_000_000))), "expired"),
        ("not yet valid", rsa.sign(&with(&good, "nbf", json!(4_000_000_000_i64))), "not_yet_valid"),
        ("without end of time", rsa.sign(&with(&good, "exp", Value::Null)), "bad_claims"),
        ("of another issuer", rsa.sign(&with(&good, "iss", json!("https://evil.test/"))), "wrong_issuer"),
        ("ours, said to be of the issuer", signed(&good, Algorithm::HS256, SECRET), "wrong_issuer"),
        ("the issuer's, said to be ours", rsa.sign(&own), "wrong_issuer"),
        ("for another audience", rsa.sign(&with(&good, "aud", json!(["other", "more"]))), "wrong_audience"),
        ("for no audience", rsa.sign(&with(&good, "aud", Value::Null)), "bad_claims"),
        ("of no tenant there can be", rsa.sign(&with(&good, "tenant", json!("*"))), "bad_claims"),
        ("of the system", rsa.sign(&with(&good, "sub", json!("system:worker"))), "bad_claims"),
        ("another's claims", format!("{head}.{other_payload}.{signature}"), "bad_signature"),
        ("without its signature", format!("{head}.{payload}"), "malformed"),
        ("without the end of its signature", signed_by_rsa[..signed_by_rsa.len() - 6].to_owned(), "bad_signature"),
        ("without its beginning", signed_by_rsa[9..].to_owned(), "malformed"),
        ("not a token", "' OR 1=1 --".to_owned(), "malformed"),
        ("oversized", rsa.sign(&with(&good, "more", json!("x".repeat(9000)))), "too_long"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_made_to_deceive_is_refused_for_its_reason_and_recorded_without_itself() {
    let elsewhere = Issuer::start(Answers::With(set(&[&SigningKey::rsa("rsa-1")]))).await;
    let scene = Scene::new(|_| {}).await;
    let Scene { world, url, .. } = &scene;
    // The very same key and claims, unspoilt, are let in.
    for good in [&scene.rsa, &scene.ec].map(|key| key.sign(&issued("default", "alice", &["run:read"]))) {
        Api::with_token(url, &good).get("/v1/runs").await.expect(200);
    }
    let head = world.head().await;
    let attacks = attacks(&scene, &elsewhere.url());
    for (name, token, reason) in &attacks {
        let before = world.head().await;
        let problem = Api::with_token(url, token).get("/v1/runs").await.problem(401, "unauthenticated");
        assert_eq!(problem["field"], "Authorization", "{name}");
        let refused = world.refused_since(before).await;
        assert_eq!(refused.len(), 1, "{name}: {refused:#?}");
        assert_eq!((&refused[0]["reason"], &refused[0]["count"]), (&json!(reason), &json!(1)), "{name}");
        assert_eq!((&refused[0]["route"], &refused[0]["remote"]), (&json!("/v1/runs"), &json!("loopback")), "{name}");
        assert_eq!(refused[0]["trace_id"], problem["trace_id"], "{name}");
    }
    let events = world.ledger().range(head, 1000).await.unwrap();
    assert_eq!(events.len(), attacks.len());
    for (name, token, _) in &attacks {
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!events.iter().any(|event| event.payload.contains(part)), "{name} is in the record");
        }
    }
    assert!(!events.iter().any(|event| event.payload.contains("UNION") || event.payload.contains("dev/null")));
    assert_eq!(elsewhere.hits(), 0, "nobody goes where a token points");
    // Four names of keys were not known; none is asked for more often than once a second.
    assert!(scene.issuer.hits() <= 2 + attacks.len(), "{}", scene.issuer.hits());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_tokens_of_unknown_keys_costs_the_issuer_nothing_and_the_ledger_a_few_events() {
    const FLOOD: usize = 400;
    let scene = Scene::new(|serve| _ = serve.env("XAGENT_JWKS_MIN_GAP_S", "3600")).await;
    let Scene { world, url, rsa, .. } = &scene;
    let good = issued("default", "mallory", &["*"]);
    Api::with_token(url, &rsa.sign(&good)).get("/v1/runs").await.expect(200);
    let (before, asked) = (world.head().await, scene.issuer.hits());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let knock = |number: usize| {
        let header = with(&rsa.header(), "kid", json!(format!("guess-{number}")));
        let token = token(&header, &good, &rsa.private, rsa.algorithm);
        let request = http.get(format!("{url}/v1/runs")).bearer_auth(token);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let statuses = futures::future::join_all((0..FLOOD).map(knock)).await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    let refused = world.refused_since(before).await;
    let count: u64 = refused.iter().map(|entry| entry["count"].as_u64().unwrap()).sum();
    assert_eq!(count, FLOOD as u64, "each is counted");
    let events = world.head().await - before;
    assert!(events < FLOOD as u64 / 4, "{events} events for {FLOOD} refusals");
    assert_eq!(scene.issuer.hits(), asked, "the issuer is not asked again before its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_an_issuer_and_no_secret_no_hmac_is_believed() {
    let scene = Scene::new(|serve| _ = serve.env_remove("XAGENT_JWT_SECRET")).await;
    let before = scene.world.head().await;
    let own = claims("default", "mallory", &["*"], &[]);
    let tokens = [
        signed(&own, Algorithm::HS256, SECRET),
        hmac(&json!({"alg": "HS256", "kid": "rsa-1"}), &with(&own, "iss", json!(ISSUER)), &scene.rsa.pem),
    ];
    for token in tokens {
        Api::with_token(&scene.url, &token).get("/v1/runs").await.problem(401, "unauthenticated");
    }
    let reasons: Vec<_> = scene.world.refused_since(before).await.iter().map(|entry| entry["reason"].clone()).collect();
    assert_eq!(reasons, ["algorithm", "algorithm"]);
}
