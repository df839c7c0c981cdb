//! A JSON Web Key Set (RFC 7517) as keys to check with. Each is pinned to one algorithm by what it is; what does not fit is
//! left out and said.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// Keys of one set at most.
const MOST: usize = 100;
/// Bits of an RSA modulus: fewer can be broken, more cost more than they are worth.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key, and the one algorithm it is for.
#[derive(Clone)]
pub struct TrustedKey {
    pub kid: Option<String>,
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// The keys of a set. A set without any is none.
pub fn parse(text: &[u8]) -> Result<Vec<TrustedKey>, String> {
    let set: Value = serde_json::from_slice(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let Some(keys) = set.get("keys").and_then(Value::as_array) else {
        return Err("it is no key set: it has no array `keys`".to_owned());
    };
    if keys.len() > MOST {
        return Err(format!("it has {} keys: {MOST} at most are taken", keys.len()));
    }
    let mut trusted = Vec::new();
    let mut unfit = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        match key.as_object().ok_or("it is no object").and_then(trusted_key) {
            Ok(key) => trusted.push(key),
            Err(reason) => unfit.push(format!("key {index}: {reason}")),
        }
    }
    if trusted.is_empty() {
        return Err(format!("none of its keys can be used: {}", unfit.join("; ")));
    }
    if !unfit.is_empty() {
        tracing::info!(keys = trusted.len(), left_out = unfit.join("; "), "jwks.keys.left_out");
    }
    Ok(trusted)
}

fn trusted_key(jwk: &Map<String, Value>) -> Result<TrustedKey, &'static str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if jwk.contains_key("d") || jwk.contains_key("k") {
        return Err("it is secret, and must not be in a set that is published");
    }
    if text("use").is_some_and(|r#use| r#use != "sig") {
        return Err("it is not for signatures");
    }
    let operations = jwk.get("key_ops").and_then(Value::as_array);
    if operations.is_some_and(|all| !all.iter().any(|one| one == "verify")) {
        return Err("it is not for verifying");
    }
    let (algorithm, name, key) = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            let (n, e) = (text("n").ok_or("it has no `n`")?, text("e").ok_or("it has no `e`")?);
            if !RSA_BITS.contains(&bits(n)?) {
                return Err("its modulus does not have 2048 to 8192 bits");
            }
            (Algorithm::RS256, "RS256", DecodingKey::from_rsa_components(n, e))
        }
        (Some("EC"), Some("P-256")) => {
            let (x, y) = (text("x").ok_or("it has no `x`")?, text("y").ok_or("it has no `y`")?);
            bits(x)?;
            bits(y)?;
            (Algorithm::ES256, "ES256", DecodingKey::from_ec_components(x, y))
        }
        (Some("OKP"), Some("Ed25519")) => {
            let x = text("x").ok_or("it has no `x`")?;
            bits(x)?;
            (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(x))
        }
        _ => return Err("its kind is none of RSA, EC on P-256, OKP on Ed25519"),
    };
    if text("alg").is_some_and(|alg| alg != name) {
        return Err("its `alg` is none of RS256, ES256, EdDSA, or does not fit its kind");
    }
    let kid = text("kid").filter(|kid| kid.len() <= 256).map(str::to_owned);
    Ok(TrustedKey { kid, algorithm, key: key.map_err(|_| "its numbers are not base64url")? })
}

fn bits(number: &str) -> Result<usize, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(number).map_err(|_| "its numbers are not base64url without padding")?;
    let significant = bytes.iter().skip_while(|byte| **byte == 0).count();
    Ok(significant * 8)
}
