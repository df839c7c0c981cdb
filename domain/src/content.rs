//! Content-addressed text: small parts inside the event, large ones once in the blob table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CanonicalJson, Digest};

/// Parts longer than this many bytes live in the blob table.
pub const INLINE_LIMIT: usize = 16 * 1024;

/// A text named by its digest: what was asked, answered or decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// SHA-256 of the UTF-8 bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// For example `application/json`.
    pub media_type: String,
    /// The text, where it is short enough to stand in the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A text to be stored once under its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of `text`.
    pub digest: Digest,
    /// For example `text/plain`.
    pub media_type: String,
    /// The text itself.
    pub text: String,
}

impl Content {
    /// Splits `text` into what the event holds and what the blob table must hold before it.
    pub fn of(text: String, media_type: &str) -> (Self, Option<Blob>) {
        let digest = Digest::of(text.as_bytes());
        let (size, media_type) = (text.len() as u64, media_type.to_owned());
        if text.len() <= INLINE_LIMIT {
            return (Self { digest, size, media_type, text: Some(text) }, None);
        }
        let blob = Blob { digest, media_type: media_type.clone(), text };
        (Self { digest, size, media_type, text: None }, Some(blob))
    }

    /// As [`Content::of`], for canonical JSON.
    pub fn json(canonical: CanonicalJson) -> (Self, Option<Blob>) {
        Self::of(canonical.into_string(), "application/json")
    }

    /// Whether the inline text, if there is one, is what the digest says.
    pub fn holds(&self) -> bool {
        self.text.as_ref().is_none_or(|text| Digest::of(text.as_bytes()) == self.digest)
    }
}
