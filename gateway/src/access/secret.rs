//! Development tokens: HS256 with a secret that this installation alone has.

use std::collections::BTreeSet;
use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;
use xagent_domain::Tenant;

/// Who issues development tokens, and for whom.
pub const ISSUER: &str = "xagent";
pub const AUDIENCE: &str = "xagent";

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

    pub(super) fn decoding(&self) -> DecodingKey {
        DecodingKey::from_secret(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The claims of a token (RFC 9068 where it has a name for them).
#[derive(Serialize)]
struct Claims {
    sub: String,
    iss: String,
    aud: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    tenant: Tenant,
    scope: String,
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
