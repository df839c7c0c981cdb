//! Who calls: JWT bearer tokens (RFC 7519, RFC 6750), HS256 with a development secret. The algorithm is pinned.

use std::collections::BTreeSet;
use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use xagent_domain::{Principal, Tenant};

const ISSUER: &str = "xagent";
const AUDIENCE: &str = "xagent";
/// Clock differences tolerated, in seconds.
const LEEWAY_S: u64 = 5;
/// A longer token is not looked at.
const LONGEST: usize = 8 * 1024;

/// The secret of HS256 tokens. It is never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret of at least 32 bytes (RFC 7518 section 3.2).
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.len() < 32 {
            return Err(format!("the token secret has {} bytes: at least 32 are needed", bytes.len()));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The claims of a token (RFC 9068 where it has a name for them).
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    aud: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    #[serde(default = "Tenant::default_tenant")]
    tenant: Tenant,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    roles: BTreeSet<String>,
}

/// What a token is to grant.
#[derive(Clone, Debug)]
pub struct Grant {
    /// To whom.
    pub subject: String,
    /// In which tenant.
    pub tenant: Tenant,
    /// Which scopes.
    pub scopes: BTreeSet<String>,
    /// Which roles.
    pub roles: BTreeSet<String>,
    /// For how long, in seconds.
    pub lifetime_s: i64,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// None was sent.
    #[error("no bearer token: send `Authorization: Bearer TOKEN`; `xagent token` mints one for development")]
    Missing,
    /// It is not valid.
    #[error("the bearer token is not valid: {0}")]
    Invalid(String),
}

/// Mints a token at `now_s`, seconds since 1970.
pub fn mint(secret: &Secret, grant: &Grant, now_s: i64) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims {
        sub: grant.subject.clone(),
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        exp: now_s.saturating_add(grant.lifetime_s),
        nbf: now_s,
        iat: now_s,
        tenant: grant.tenant.clone(),
        scope: grant.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        roles: grant.roles.clone(),
    };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&secret.0))
}

/// Who calls, and until when that is believed.
#[derive(Debug)]
pub struct Known {
    /// Who.
    pub principal: Principal,
    /// The last second in which the token is accepted, since 1970, clock differences included.
    pub until_s: i64,
}

/// The principal an `Authorization` header stands for.
pub fn authenticate(secret: &Secret, authorization: Option<&str>) -> Result<Known, TokenError> {
    let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).ok_or(TokenError::Missing)?;
    if token.len() > LONGEST {
        return Err(TokenError::Invalid(format!("it is longer than {LONGEST} bytes")));
    }
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    let key = DecodingKey::from_secret(&secret.0);
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
        .map_err(|error| TokenError::Invalid(error.to_string()))?
        .claims;
    if claims.sub.is_empty() || claims.sub.len() > 200 || claims.sub.starts_with("system:") {
        return Err(TokenError::Invalid("its subject is empty, too long or reserved".to_owned()));
    }
    let scopes = claims.scope.split_ascii_whitespace().map(str::to_owned).collect();
    let until_s = claims.exp.saturating_add(LEEWAY_S.cast_signed());
    Ok(Known { principal: Principal { id: claims.sub, tenant: claims.tenant, scopes, roles: claims.roles }, until_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 4_000_000_000;

    fn secret() -> Secret {
        Secret::new(vec![7; 32]).unwrap()
    }

    fn signed(claims: &Value, algorithm: Algorithm, key: &[u8]) -> String {
        let token = jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap();
        format!("Bearer {token}")
    }

    fn claims() -> Value {
        json!({"sub": "alice", "iss": "xagent", "aud": "xagent", "exp": NOW, "nbf": 0, "iat": 0, "scope": "b a"})
    }

    #[test]
    fn a_minted_token_is_accepted_with_what_it_grants() {
        let header = signed(&claims(), Algorithm::HS256, &[7; 32]);
        let Known { principal, until_s } = authenticate(&secret(), Some(&header)).unwrap();
        assert_eq!(until_s, NOW + 5);
        assert_eq!((principal.id.as_str(), principal.tenant.as_str()), ("alice", "default"));
        assert_eq!(principal.scopes.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_token_that_misses_one_condition_is_refused() {
        let with = |name: &str, value: Value| {
            let mut changed = claims();
            changed[name] = value;
            signed(&changed, Algorithm::HS256, &[7; 32])
        };
        let none = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImlzcyI6InhhZ2VudCIsImF1ZCI6InhhZ2VudCIsImV4cCI6NDAwMDAwMDAwMCwibmJmIjowLCJpYXQiOjB9.";
        let cases = [
            with("exp", json!(1)),
            with("nbf", json!(NOW - 1)),
            with("iss", json!("other")),
            with("aud", json!("other")),
            with("sub", json!("system:worker")),
            signed(&claims(), Algorithm::HS256, &[8; 32]),
            signed(&claims(), Algorithm::HS512, &[7; 32]),
            none.to_owned(),
            "Bearer x".to_owned(),
        ];
        for header in cases {
            assert!(matches!(authenticate(&secret(), Some(&header)), Err(TokenError::Invalid(_))), "{header}");
        }
        assert!(matches!(authenticate(&secret(), Some("Basic x")), Err(TokenError::Missing)));
        assert!(matches!(authenticate(&secret(), None), Err(TokenError::Missing)));
    }
}
