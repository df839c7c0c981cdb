//! What a token says of itself before it is believed: which algorithm, which key (RFC 7515 section 4.1). Nothing else is taken.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Refused, Why};

/// A longer header is not decoded, in characters.
const LONGEST: usize = 2048;
/// Keys that come with a token or from where it points, and extensions that must be understood. RFC 8725 section 3.10.
const FORBIDDEN: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64"];

/// The header of a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm it claims.
    pub algorithm: String,
    /// The key it names.
    pub kid: Option<String>,
}

/// The header of a compact JWS.
pub fn header(token: &str) -> Result<Header, Refused> {
    let malformed = |detail: &str| Refused::new(Why::Malformed, format!("the bearer token is not valid: {detail}"));
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    let [first, claims, signature] = parts.as_slice() else { return Err(malformed("it does not have three parts")) };
    if first.is_empty() || claims.is_empty() || first.len() > LONGEST {
        return Err(malformed("a part of it is empty or too long"));
    }
    let decoded = URL_SAFE_NO_PAD.decode(first).map_err(|_| malformed("its header is not base64url"))?;
    let fields: Map<String, Value> =
        serde_json::from_slice(&decoded).map_err(|_| malformed("its header is not a JSON object"))?;
    if let Some(name) = FORBIDDEN.iter().find(|name| fields.contains_key(**name)) {
        let detail = format!("the bearer token is not valid: its header has `{name}`, which is not taken from a token");
        return Err(Refused::new(Why::ForbiddenHeader, detail).naming(fields.get("kid").and_then(Value::as_str)));
    }
    let kid = match fields.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= 256 => Some(kid.clone()),
        Some(_) => return Err(malformed("its `kid` is no text of at most 256 bytes")),
    };
    let Some(Value::String(algorithm)) = fields.get("alg") else { return Err(malformed("it names no `alg`")) };
    if signature.is_empty() {
        let refused = Refused::new(Why::Algorithm, "the bearer token is not valid: it is not signed");
        return Err(refused.naming(kid.as_deref()));
    }
    Ok(Header { algorithm: algorithm.clone(), kid })
}
