//! Checkpoints: the size and root of a tree, signed so that strangers can hold the ledger to them.
//!
//! Form: C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint) in a C2SP signed note (c2sp.org/signed-note), ed25519.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xagent_domain::Digest;

use crate::note::{Note, sign};
use crate::{Signer, Verifier};

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

/// Why a text is no checkpoint, or not one of these keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It has another form.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// It is not signed by any of these keys, or a signature under one of their names does not hold.
    #[error("not signed by the key {0}")]
    Unsigned(String),
    /// The key has another form.
    #[error("not a verifier key: NAME+HASH+KEY is expected")]
    Key,
    /// No key can have this name.
    #[error("`{0}` is no name for a key: it must not be empty or hold spaces or `+`; take one like example.org/ledger")]
    Name(String),
}

impl Checkpoint {
    /// Reads a signed note and checks its signature.
    pub fn open(note: &str, verifier: &Verifier) -> Result<Self, CheckpointError> {
        Self::open_any(note, std::slice::from_ref(verifier))
    }

    /// Reads a signed note that any of `keys` may have signed.
    pub fn open_any(note: &str, keys: &[Verifier]) -> Result<Self, CheckpointError> {
        Self::signers(note, keys).map(|(checkpoint, _)| checkpoint)
    }

    /// Reads a signed note, and says which of `keys` signed it. At least one did.
    pub fn signers<'k>(note: &str, keys: &'k [Verifier]) -> Result<(Self, Vec<&'k Verifier>), CheckpointError> {
        let note = Note::parse(note)?;
        let checkpoint = Self::read(note.text())?;
        let signers = note.signers(keys)?;
        Ok((checkpoint, signers))
    }

    /// Lines past the third are extensions: they are signed, and mean nothing to us.
    fn read(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let lines: Vec<_> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        let [origin, size, root, ..] = lines[..] else { return Err(malformed("three lines are expected")) };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(malformed("it has an empty line"));
        }
        let plain = size.bytes().all(|digit| digit.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let size = size.parse().ok().filter(|_| plain).ok_or_else(|| malformed("its size is no number"))?;
        let root: Vec<u8> = STANDARD.decode(root).map_err(|_| malformed("its root is not base64"))?;
        let root = <[u8; 32]>::try_from(root).map_err(|_| malformed("its root has not 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root: Digest::from_bytes(root) })
    }
}

impl Signer {
    /// The checkpoint of a tree, as a note.
    pub fn sign(&self, size: u64, root: Digest) -> String {
        self.sign_with(&[], size, root)
    }

    /// The same, signed by `others` too: whoever trusts one of them learns of this key.
    pub fn sign_with(&self, others: &[&Self], size: u64, root: Digest) -> String {
        let text = format!("{}\n{size}\n{}\n", self.name(), STANDARD.encode(root.as_bytes()));
        sign(&text, std::iter::once(self).chain(others.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(seed: u8) -> Signer {
        Signer::new("example.org/log", &[seed; 32]).unwrap()
    }

    #[test]
    fn a_checkpoint_is_what_was_signed() {
        let note = signer(7).sign(20, Digest::of(b"root"));
        let opened = Checkpoint::open(&note, &signer(7).verifier()).unwrap();
        assert_eq!((opened.origin.as_str(), opened.size, opened.root), ("example.org/log", 20, Digest::of(b"root")));
        let again: Verifier = signer(7).verifier().to_string().parse().unwrap();
        assert!(Checkpoint::open(&note, &again).is_ok());
    }

    #[test]
    fn a_checkpoint_of_the_specification_is_understood() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let read = Checkpoint::read(text).unwrap();
        assert_eq!((read.origin.as_str(), read.size), ("example.com/behind-the-sofa", 20_852_163));
        assert!(read.root.to_string().starts_with("0ac5186a91863e8e"));
    }

    #[test]
    fn a_checkpoint_that_was_changed_or_is_another_s_is_refused() {
        let note = signer(7).sign(20, Digest::of(b"root"));
        assert!(matches!(Checkpoint::open(&note, &signer(8).verifier()), Err(CheckpointError::Unsigned(_))));
        let longer = note.replacen("\n20\n", "\n21\n", 1);
        assert!(matches!(Checkpoint::open(&longer, &signer(7).verifier()), Err(CheckpointError::Unsigned(_))));
    }

    #[test]
    fn a_checkpoint_of_two_keys_holds_under_either() {
        let (old, new, other) = (signer(7).verifier(), signer(8).verifier(), signer(9).verifier());
        let note = signer(8).sign_with(&[&signer(7)], 20, Digest::of(b"root"));
        for keys in [vec![old.clone()], vec![new.clone()], vec![other.clone(), old.clone(), new.clone()]] {
            assert_eq!(Checkpoint::open_any(&note, &keys).unwrap().size, 20);
        }
        let both = [old, new, other];
        assert_eq!(Checkpoint::signers(&note, &both).unwrap().1, [&both[0], &both[1]]);
        assert!(Checkpoint::open(&note, &both[2]).is_err());
    }

    #[test]
    fn extension_lines_are_signed_and_otherwise_ignored() {
        let text = format!("example.org/log\n20\n{}\nextension 1\n", STANDARD.encode([1; 32]));
        let note = sign(&text, [&signer(7)]);
        assert_eq!(Checkpoint::open(&note, &signer(7).verifier()).unwrap().size, 20);
        let changed = note.replace("extension 1", "extension 2");
        assert!(matches!(Checkpoint::open(&changed, &signer(7).verifier()), Err(CheckpointError::Unsigned(_))));
    }

    #[test]
    fn a_signed_text_that_is_no_checkpoint_is_refused() {
        let root = STANDARD.encode([1; 32]);
        let wrong = [
            "a\n20\n".to_owned(),
            format!("\n20\n{root}\n"),
            format!("a\n\n{root}\n"),
            format!("a\n020\n{root}\n"),
            format!("a\n+20\n{root}\n"),
            format!("a\n-1\n{root}\n"),
            format!("a\n 20\n{root}\n"),
            format!("a\n18446744073709551616\n{root}\n"),
            "a\n20\nAAAA\n".to_owned(),
            format!("a\n20\n{}\n", root.trim_end_matches('=')),
            format!("a\n20\n{root} \n"),
        ];
        for text in wrong {
            let opened = Checkpoint::open(&sign(&text, [&signer(7)]), &signer(7).verifier());
            assert!(matches!(opened, Err(CheckpointError::Malformed(_))), "{text:?}");
        }
        let empty = sign(&format!("a\n0\n{root}\n"), [&signer(7)]);
        assert_eq!(Checkpoint::open(&empty, &signer(7).verifier()).unwrap().size, 0);
    }
}
