//! `.signatures.json`: a JWT over the hashes of a bundle's files, as `opa sign` makes it, checked by keys known here.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::BundleError;
use super::files::SIGNATURES;
use super::structured::{is_structured, written};

/// A key that signs bundles. Its algorithm is fixed here; what a token says of it is not believed.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// For example `RS256`.
    pub algorithm: Algorithm,
    /// The public key as PEM, or the secret of an `HS...` algorithm.
    pub key: String,
    /// What the signature must be for; empty where that does not matter.
    #[serde(default)]
    pub scope: String,
}

/// What is demanded of a bundle's signature.
#[derive(Clone)]
pub enum Trust {
    /// Nothing: it is read for its content.
    Unchecked,
    /// One of these keys, by id. Where there is none, a bundle must not be signed: nobody could check it.
    Keys(BTreeMap<String, Key>),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Signatures {
    signatures: Vec<String>,
    #[serde(default)]
    plugin: String,
}

#[derive(Deserialize)]
struct Claims {
    files: Vec<SignedFile>,
    #[serde(default)]
    keyid: String,
    #[serde(default)]
    scope: String,
}

#[derive(Deserialize)]
struct SignedFile {
    name: String,
    hash: String,
    #[serde(default)]
    algorithm: String,
}

fn wrong(detail: impl ToString) -> BundleError {
    BundleError::Signature(detail.to_string())
}

/// The id of the key by which exactly these files are signed; none where nothing is demanded.
pub(super) fn verify(files: &BTreeMap<String, Vec<u8>>, trust: &Trust) -> Result<Option<String>, BundleError> {
    let Trust::Keys(keys) = trust else { return Ok(None) };
    let signatures = match (files.get(SIGNATURES), keys.is_empty()) {
        (None, true) => return Ok(None),
        (None, false) => return Err(wrong("it is missing, and this server takes signed bundles only: see `opa sign`")),
        (Some(_), true) => {
            return Err(wrong("no key is known here to check it with: configure one, or remove the signature"));
        }
        (Some(signatures), false) => signatures,
    };
    let signatures: Signatures = serde_json::from_slice(signatures).map_err(wrong)?;
    if !matches!(signatures.plugin.as_str(), "" | "_default") {
        return Err(wrong(format!("the plugin `{}` is not known here", signatures.plugin)));
    }
    let [token] = signatures.signatures.as_slice() else { return Err(wrong("there is to be exactly one signature")) };
    let (id, claims) = signed(token, keys)?;
    compare(files, claims)?;
    Ok(Some(id))
}

fn signed(token: &str, keys: &BTreeMap<String, Key>) -> Result<(String, Claims), BundleError> {
    let header = jsonwebtoken::decode_header(token).map_err(wrong)?;
    // The key's id stands in the header, or, in older bundles, among the claims; it only picks among known keys.
    let unverified = jsonwebtoken::dangerous::insecure_decode::<Claims>(token).map_err(wrong)?.claims;
    let id = header.kid.unwrap_or(unverified.keyid);
    let Some(key) = keys.get(&id) else {
        let known: Vec<_> = keys.keys().map(String::as_str).collect();
        return Err(wrong(format!("the key `{id}` is not known here, only `{}`", known.join("`, `"))));
    };
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let claims = jsonwebtoken::decode::<Claims>(token, &decoding(key)?, &validation);
    let claims = claims.map_err(|error| wrong(format!("not signed by the key `{id}`: {error}")))?.claims;
    if claims.scope != key.scope {
        return Err(wrong(format!("signed for the scope `{}`, not for `{}`", claims.scope, key.scope)));
    }
    Ok((id, claims))
}

fn decoding(key: &Key) -> Result<DecodingKey, BundleError> {
    let pem = key.key.as_bytes();
    let key = match key.algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Ok(DecodingKey::from_secret(pem)),
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => DecodingKey::from_rsa_pem(pem),
        other => return Err(wrong(format!("the algorithm {other:?} is not known here"))),
    };
    key.map_err(|error| wrong(format!("the key that is configured is no public key as PEM: {error}")))
}

/// Every file is signed, and every signed file is there, as it was.
fn compare(files: &BTreeMap<String, Vec<u8>>, claims: Claims) -> Result<(), BundleError> {
    let mut signed = BTreeMap::new();
    for file in claims.files {
        signed.insert(file.name.trim_start_matches('/').to_owned(), file);
    }
    for (path, content) in files.iter().filter(|(path, _)| path.as_str() != SIGNATURES) {
        let file = signed.remove(path).ok_or_else(|| wrong(format!("`{path}` is not signed")))?;
        let hash = hash(path, content, &file.algorithm)?;
        if !hash.eq_ignore_ascii_case(&file.hash) {
            return Err(wrong(format!("`{path}` is not what was signed: its hash is {hash}, not {}", file.hash)));
        }
    }
    match signed.keys().next() {
        Some(path) => Err(wrong(format!("`{path}` was signed and is missing"))),
        None => Ok(()),
    }
}

fn hash(path: &str, content: &[u8], algorithm: &str) -> Result<String, BundleError> {
    let structured = match is_structured(path) {
        true => Some(std::str::from_utf8(content).map_err(|error| error.to_string()).and_then(written)),
        false => None,
    };
    let structured = structured.transpose().map_err(|error| wrong(format!("`{path}`: {error}")))?;
    let bytes = structured.as_deref().unwrap_or(content);
    let hash = match algorithm {
        "SHA-256" => Sha256::digest(bytes).to_vec(),
        "SHA-384" => Sha384::digest(bytes).to_vec(),
        "SHA-512" => Sha512::digest(bytes).to_vec(),
        other => return Err(wrong(format!("`{path}`: the hash `{other}` is none of SHA-256, SHA-384 and SHA-512"))),
    };
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}
