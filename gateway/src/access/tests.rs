//! Tokens that are almost good, each for one reason not; and that every reason there is has its line in the guide.

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 4_000_000_000;
const SECRET: [u8; 32] = [7; 32];

fn tokens() -> Tokens {
    Tokens { secret: Some(Secret::new(SECRET.to_vec()).unwrap()), issuer: None }
}

fn claims() -> Value {
    json!({"sub": "alice", "iss": "xagent", "aud": "xagent", "exp": NOW, "nbf": 0, "iat": 0, "scope": "b a"})
}

/// A token of whatever header, signed by HMAC.
fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(key);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

async fn why(token: &str) -> Why {
    tokens().verify(token).await.unwrap_err().why
}

fn hs256() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

#[tokio::test]
async fn a_good_token_is_accepted_with_what_it_grants() {
    let known = tokens().verify(&signed(&hs256(), &claims(), &SECRET)).await.unwrap();
    assert_eq!((known.until_s, known.credential), (NOW + 5, None));
    assert_eq!((known.principal.id.as_str(), known.principal.tenant.as_str()), ("alice", "default"));
    assert_eq!(known.principal.scopes.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn a_token_that_misses_one_condition_is_refused_for_that() {
    let with = |name: &str, value: Value| {
        let mut changed = claims();
        changed[name] = value;
        signed(&hs256(), &changed, &SECRET)
    };
    let without = |name: &str| {
        let mut changed = claims();
        changed.as_object_mut().unwrap().remove(name);
        signed(&hs256(), &changed, &SECRET)
    };
    for (token, expected) in [
        (with("exp", json!(1)), Why::Expired),
        (with("nbf", json!(NOW - 1)), Why::NotYetValid),
        (with("iss", json!("other")), Why::WrongIssuer),
        (with("aud", json!("other")), Why::WrongAudience),
        (with("sub", json!("system:worker")), Why::BadClaims),
        (without("exp"), Why::BadClaims),
        (without("iss"), Why::BadClaims),
        (without("aud"), Why::BadClaims),
        (without("sub"), Why::BadClaims),
        (signed(&hs256(), &claims(), &[8; 32]), Why::BadSignature),
        (signed(&json!({"alg": "none"}), &claims(), &SECRET), Why::Algorithm),
        (signed(&json!({"alg": "HS512"}), &claims(), &SECRET), Why::Algorithm),
        (signed(&json!({"alg": "RS256"}), &claims(), &SECRET), Why::Algorithm),
        (signed(&json!({}), &claims(), &SECRET), Why::Malformed),
        ("x".to_owned(), Why::Malformed),
        ("x.y.z".to_owned(), Why::Malformed),
        ("a.b.c.d".to_owned(), Why::Malformed),
    ] {
        assert_eq!(why(&token).await, expected, "{token}");
    }
}

#[tokio::test]
async fn a_token_that_brings_its_own_key_is_refused_though_its_signature_is_good() {
    for name in ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64"] {
        let mut header = hs256();
        header[name] = json!("x");
        assert_eq!(why(&signed(&header, &claims(), &SECRET)).await, Why::ForbiddenHeader, "{name}");
    }
}

#[tokio::test]
async fn where_there_is_no_secret_no_hmac_is_believed() {
    let none = Tokens { secret: None, issuer: None };
    assert_eq!(none.verify(&signed(&hs256(), &claims(), &SECRET)).await.unwrap_err().why, Why::Algorithm);
}

#[test]
fn a_request_has_one_credential() {
    let of = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(names::AUTHORIZATION, HeaderValue::from_static(value));
        }
        bearer(&headers).map(str::to_owned).map_err(|refused| refused.why)
    };
    assert_eq!(of(&["Bearer x"]), Ok("x".to_owned()));
    assert_eq!(of(&["bearer x"]), Ok("x".to_owned()));
    assert_eq!(of(&[]), Err(Why::Missing));
    assert_eq!(of(&["Basic x"]), Err(Why::Missing));
    assert_eq!(of(&["Bearer"]), Err(Why::Missing));
    assert_eq!(of(&["Bearer x", "Bearer x"]), Err(Why::Malformed));
}

#[test]
fn the_name_of_a_key_is_written_only_where_it_can_do_no_harm() {
    let named = |kid: &str| Refused::new(Why::UnknownKey, "").naming(Some(kid)).kid.unwrap();
    assert_eq!(named("2026-11_a.b"), "2026-11_a.b");
    for kid in ["../../etc/passwd", "' OR 1=1 --", "a b", "", &"x".repeat(65), "\n"] {
        assert_eq!(named(kid), "(not written)", "{kid}");
    }
}

#[test]
fn every_reason_has_its_line_in_the_guide() {
    let guide = include_str!("../../../docs/auth.md");
    for code in Why::CODES {
        assert_eq!(guide.matches(&format!("| `{code}` |")).count(), 1, "docs/auth.md has no line for `{code}`");
    }
}
