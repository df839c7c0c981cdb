//! Keys of signed notes (C2SP signed-note): ed25519, each under a name. Whoever signs or checks checkpoints uses them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use xagent_domain::Digest;

use crate::CheckpointError;

/// The signature type of ed25519 in signed notes.
const ED25519: u8 = 1;

/// A key that checks signatures, written as `NAME+HASH+KEY` (C2SP signed-note, verifier keys).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

/// A key that signs. Its secret is never shown.
#[derive(Clone)]
pub struct Signer {
    name: String,
    key: SigningKey,
}

/// Whether a key may have this name: not empty, and without spaces, pluses and control characters.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

impl Signer {
    /// The key of this name, made of a secret seed.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, CheckpointError> {
        if !is_key_name(name) {
            return Err(CheckpointError::Name(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What checks its signatures.
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The signature of a note's text, with its key id before it.
    pub(crate) fn signature(&self, text: &str) -> Vec<u8> {
        let mut signature = self.verifier().id().to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        signature
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier())
    }
}

impl Verifier {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id as eight hex digits, by which people tell keys of one name apart.
    pub fn hash(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id()))
    }

    /// The first four bytes of SHA-256(name || 0x0A || type || key).
    pub(crate) fn id(&self) -> [u8; 4] {
        let mut text = self.name.clone().into_bytes();
        text.extend_from_slice(&[b'\n', ED25519]);
        text.extend_from_slice(self.key.as_bytes());
        let digest = Digest::of(&text);
        let [a, b, c, d, ..] = *digest.as_bytes();
        [a, b, c, d]
    }

    /// Whether the signature, without its key id, is this key's of this text.
    pub(crate) fn signed(&self, text: &str, signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature).ok();
        signature.is_some_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, self.hash(), STANDARD.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CheckpointError::Key);
        };
        let bytes = STANDARD.decode(key).map_err(|_| CheckpointError::Key)?;
        let key = bytes.strip_prefix(&[ED25519]).and_then(|key| <[u8; 32]>::try_from(key).ok());
        let key = key.and_then(|key| VerifyingKey::from_bytes(&key).ok()).ok_or(CheckpointError::Key)?;
        let verifier = Self { name: name.to_owned(), key };
        let fits = is_key_name(name) && hash == verifier.hash();
        fits.then_some(verifier).ok_or(CheckpointError::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the specification's own example (golang.org/x/mod/sumdb/note).
    const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn a_foreign_key_is_understood_and_written_as_it_was() {
        let verifier: Verifier = VERIFIER.parse().unwrap();
        assert_eq!((verifier.name(), verifier.hash().as_str()), ("PeterNeumann", "c74f20a3"));
        assert_eq!(verifier.to_string(), VERIFIER);
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let wrong = [
            VERIFIER.replace("c74f20a3", "c74f20a4"),
            VERIFIER.replace("c74f20a3", "C74F20A3"),
            VERIFIER.replace("PeterNeumann", "Peter Neumann"),
            VERIFIER.replace("PeterNeumann", ""),
            // Another signature type, and a key that is cut short.
            VERIFIER.replace("+ARpc", "+BBpc"),
            VERIFIER.replace("10TW", ""),
            "a+b".to_owned(),
            "a+00000000+AAAA".to_owned(),
            String::new(),
        ];
        for text in wrong {
            assert_eq!(text.parse::<Verifier>(), Err(CheckpointError::Key), "{text}");
        }
    }

    #[test]
    fn a_name_that_would_break_the_form_of_a_note_is_refused() {
        for name in ["", "a b", "a+b", "a\nb", "a\u{2003}b", "a\u{0}"] {
            assert_eq!(Signer::new(name, &[7; 32]).err(), Some(CheckpointError::Name(name.to_owned())), "{name:?}");
        }
        assert!(Signer::new("example.org/log", &[7; 32]).is_ok());
    }

    #[test]
    fn a_signer_does_not_show_its_secret() {
        let shown = format!("{:?}", Signer::new("example.org/log", &[7; 32]).unwrap());
        assert!(shown.starts_with("Signer(example.org/log+") && !shown.contains("7, 7"), "{shown}");
    }
}
