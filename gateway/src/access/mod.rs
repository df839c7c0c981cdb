//! Who calls: bearer tokens (RFC 7519, RFC 6750) signed by an issuer or with the development secret, and api keys.
//!
//! `rest` lets nobody in whom this does not know. A token is checked with a key of ours, by the algorithm of that key; all
//! that it says of itself is which key that should be. What is refused is recorded before it is answered.

mod claims;
mod door;
mod header;
mod jwks;
mod refused;
mod ring;
mod secret;
mod source;
mod tally;
mod token;

use axum::http::{HeaderMap, header as names};
use xagent_commands::{Commands, KeyRefusal};
use xagent_domain::{ApiKeyId, Principal};

pub use claims::{ClaimNames, IssuerOptions};
pub use door::{authenticate, refuse_cross_site};
pub use refused::{Refused, Why};
pub use ring::{KeyOptions, KeyRing};
pub use secret::{Grant, Secret, mint};
pub use source::{Place, SourceError};
pub use tally::{Refusal, Remote, Tally};
pub use token::Tokens;

/// How an api key begins.
const API_KEY: &str = "xak_";
/// A longer credential is not looked at, in bytes.
const LONGEST: usize = 8 * 1024;

/// Who calls, and until when that is believed.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who.
    pub principal: Principal,
    /// The api key they came with; none where it was a token.
    pub credential: Option<ApiKeyId>,
    /// The last second in which the credential is accepted, since 1970, clock differences included.
    pub until_s: i64,
}

/// The principal the headers of a request stand for.
pub async fn known(tokens: &Tokens, commands: &Commands, headers: &HeaderMap) -> Result<Known, Refused> {
    let credential = bearer(headers)?;
    if credential.starts_with(API_KEY) {
        return holder(commands, credential).await;
    }
    tokens.verify(credential).await
}

async fn holder(commands: &Commands, credential: &str) -> Result<Known, Refused> {
    let holder = commands.key_holder(credential).await.map_err(|refusal| {
        let why = match &refusal {
            KeyRefusal::Malformed => Why::ApiKeyMalformed,
            KeyRefusal::Unknown => Why::ApiKeyUnknown,
            KeyRefusal::WrongSecret => Why::ApiKeyWrongSecret,
            KeyRefusal::Expired => Why::ApiKeyExpired,
            KeyRefusal::Revoked => Why::ApiKeyRevoked,
            KeyRefusal::Away(_) => Why::ApiKeysAway,
        };
        Refused::new(why, format!("the api key is not accepted: {refusal}")).naming(key_id(credential).as_deref())
    })?;
    let until_s = holder.expires_at_us / 1_000_000;
    Ok(Known { principal: holder.principal, credential: Some(holder.key), until_s })
}

/// The id in a key, which is no secret, where it has one.
fn key_id(credential: &str) -> Option<String> {
    let id = credential.split('_').nth(2)?;
    format!("key_{id}").parse::<ApiKeyId>().ok().map(|id| id.to_string())
}

/// The credential of a request: one, as `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refused> {
    const MISSING: &str =
        "no bearer token: send `Authorization: Bearer TOKEN`; `xagent token` mints one for development";
    let mut all = headers.get_all(names::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        let several = headers.contains_key(names::AUTHORIZATION);
        let why = if several { Why::Malformed } else { Why::Missing };
        return Err(Refused::new(
            why,
            if several { "there are several `Authorization` headers: send one" } else { MISSING },
        ));
    };
    let text = value.to_str().map_err(|_| Refused::new(Why::Malformed, "the token holds what no token holds"))?;
    let Some((scheme, credential)) = text.split_once(' ') else { return Err(Refused::new(Why::Missing, MISSING)) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refused::new(Why::Missing, MISSING));
    }
    let credential = credential.trim_matches(' ');
    if credential.len() > LONGEST {
        return Err(Refused::new(
            Why::TooLong,
            format!("the bearer token is not valid: it is longer than {LONGEST} bytes"),
        ));
    }
    Ok(credential)
}

#[cfg(test)]
mod tests;
