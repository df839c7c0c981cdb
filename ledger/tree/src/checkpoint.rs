//! Checkpoints: the size and root of a tree, signed so that strangers can hold the ledger to them.
//!
//! Form: C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint) in a C2SP signed note (c2sp.org/signed-note), ed25519.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use xagent_domain::Digest;

/// The signature type of ed25519 in signed notes.
const ED25519: u8 = 1;
/// How a signature line begins.
const SIGNATURE: &str = "\u{2014} ";

/// The size and root of a tree, under the name of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: String,
    /// Leaves in the tree.
    pub size: u64,
    /// Its root.
    pub root: Digest,
}

/// A key that checks signatures, written as `NAME+HASH+KEY` (C2SP signed-note, verifier keys).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

/// A key that signs.
pub struct Signer {
    name: String,
    key: SigningKey,
}

/// Why a text is no checkpoint, or not one of this key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It has another form.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// It is not signed by this key.
    #[error("not signed by the key `{0}`")]
    Unsigned(String),
    /// The key has another form.
    #[error("not a verifier key: NAME+HASH+KEY is expected")]
    Key,
}

impl Checkpoint {
    /// The text that is signed.
    fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }

    /// Reads a signed note and checks its signature.
    pub fn open(note: &str, verifier: &Verifier) -> Result<Self, CheckpointError> {
        let (body, signatures) = note.split_once("\n\n").ok_or(CheckpointError::Malformed("it has no signature"))?;
        let checkpoint = Self::read(body)?;
        let signed = format!("{body}\n");
        let ours = |line: &str| {
            let (name, signature) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
            let bytes = STANDARD.decode(signature).ok().filter(|_| name == verifier.name)?;
            let signature = bytes.strip_prefix(&verifier.hash())?;
            let signature = Signature::from_slice(signature).ok()?;
            verifier.key.verify_strict(signed.as_bytes(), &signature).ok()
        };
        match signatures.lines().find_map(ours) {
            Some(()) => Ok(checkpoint),
            None => Err(CheckpointError::Unsigned(verifier.name.clone())),
        }
    }

    fn read(body: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let mut lines = body.lines();
        let mut next =
            || lines.next().filter(|line| !line.is_empty()).ok_or_else(|| malformed("three lines are expected"));
        let (origin, size, root) = (next()?, next()?, next()?);
        let plain = size == "0" || !size.starts_with('0');
        let size = size.parse().ok().filter(|_| plain).ok_or_else(|| malformed("its size is no number"))?;
        let root: Vec<u8> = STANDARD.decode(root).map_err(|_| malformed("its root is not base64"))?;
        let root = <[u8; 32]>::try_from(root).map_err(|_| malformed("its root has not 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root: Digest::from_bytes(root) })
    }
}

impl Signer {
    /// The key of this name, made of a secret seed.
    pub fn new(name: &str, seed: &[u8; 32]) -> Self {
        Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) }
    }

    /// What checks its signatures.
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Signs a tree.
    pub fn sign(&self, size: u64, root: Digest) -> String {
        let body = Checkpoint { origin: self.name.clone(), size, root }.body();
        let mut signature = self.verifier().hash().to_vec();
        signature.extend_from_slice(&self.key.sign(body.as_bytes()).to_bytes());
        format!("{body}\n{SIGNATURE}{} {}\n", self.name, STANDARD.encode(signature))
    }
}

impl Verifier {
    /// The first four bytes of SHA-256(name || 0x0A || type || key).
    fn hash(&self) -> [u8; 4] {
        let mut text = self.name.clone().into_bytes();
        text.extend_from_slice(&[b'\n', ED25519]);
        text.extend_from_slice(self.key.as_bytes());
        let digest = Digest::of(&text);
        let [a, b, c, d, ..] = *digest.as_bytes();
        [a, b, c, d]
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.hash()), STANDARD.encode(key))
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
        let fits = !name.is_empty() && hash == format!("{:08x}", u32::from_be_bytes(verifier.hash()));
        fits.then_some(verifier).ok_or(CheckpointError::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the signed note of the specification's own example (golang.org/x/mod/sumdb/note).
    const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
                        then you don't know what your problem is.\n\n\
                        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_foreign_key_and_its_signature_are_understood() {
        let verifier: Verifier = VERIFIER.parse().unwrap();
        assert_eq!(verifier.to_string(), VERIFIER);
        let (body, signature) = NOTE.split_once("\n\n").unwrap();
        let signature = signature.trim_end().rsplit(' ').next().unwrap();
        let bytes = STANDARD.decode(signature).unwrap();
        let (hash, signature) = bytes.split_at(4);
        assert_eq!(hash, verifier.hash());
        let signature = Signature::from_slice(signature).unwrap();
        verifier.key.verify_strict(format!("{body}\n").as_bytes(), &signature).unwrap();
    }

    #[test]
    fn a_checkpoint_is_what_was_signed() {
        let signer = Signer::new("example.org/log", &[7; 32]);
        let note = signer.sign(20, Digest::of(b"root"));
        let opened = Checkpoint::open(&note, &signer.verifier()).unwrap();
        assert_eq!((opened.origin.as_str(), opened.size, opened.root), ("example.org/log", 20, Digest::of(b"root")));
        let again: Verifier = signer.verifier().to_string().parse().unwrap();
        assert!(Checkpoint::open(&note, &again).is_ok());
    }

    #[test]
    fn a_checkpoint_that_was_changed_or_is_another_s_is_refused() {
        let signer = Signer::new("example.org/log", &[7; 32]);
        let note = signer.sign(20, Digest::of(b"root"));
        let other = Signer::new("example.org/log", &[8; 32]).verifier();
        assert!(matches!(Checkpoint::open(&note, &other), Err(CheckpointError::Unsigned(_))));
        let longer = note.replacen("\n20\n", "\n21\n", 1);
        assert!(matches!(Checkpoint::open(&longer, &signer.verifier()), Err(CheckpointError::Unsigned(_))));
        for text in ["", "a\n\n", "a\nb\nc\n\n", "a\n020\nAAAA\n\n"] {
            assert!(
                matches!(Checkpoint::open(text, &signer.verifier()), Err(CheckpointError::Malformed(_))),
                "{text:?}"
            );
        }
        for key in ["", "a+b", "a+00000000+AAAA", &VERIFIER.replace("c74f20a3", "c74f20a4")] {
            assert!(key.parse::<Verifier>().is_err(), "{key}");
        }
    }
}
