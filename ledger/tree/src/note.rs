//! Signed notes (c2sp.org/signed-note): a text and the signatures under it. Checkpoints are read from and written to them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key::is_key_name;
use crate::{CheckpointError, Signer, Verifier};

/// How a signature line begins.
const SIGNATURE: &str = "\u{2014} ";
/// A longer note is not looked at: sixteen post-quantum signatures fit.
const LONGEST: usize = 256 * 1024;
/// A note of more signatures is refused.
const SIGNATURES: usize = 64;

/// A note of the right form. Its text means nothing before [`Note::signers`] has found who signed it.
#[derive(Debug)]
pub(crate) struct Note<'a> {
    text: &'a str,
    signatures: Vec<Line<'a>>,
}

/// One signature under a note.
#[derive(Debug)]
struct Line<'a> {
    name: &'a str,
    /// Key id, then the signature itself.
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a str) -> Result<Self, CheckpointError> {
        let malformed = |what| move || CheckpointError::Malformed(what);
        if note.len() > LONGEST {
            return Err(malformed("it is longer than 256 KiB")());
        }
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(malformed("it has control characters")());
        }
        let end = note.rfind("\n\n").ok_or_else(malformed("it has no signature"))? + 1;
        let (text, rest) = note.split_at(end);
        let lines = rest[1..].strip_suffix('\n').ok_or_else(malformed("its last line does not end"))?;
        let lines: Vec<_> = lines.split('\n').collect();
        if lines.len() > SIGNATURES {
            return Err(malformed("it has more than 64 signatures")());
        }
        let signatures = lines.into_iter().map(Line::parse).collect::<Option<_>>();
        Ok(Self { text, signatures: signatures.ok_or_else(malformed("a signature has another form"))? })
    }

    /// What is signed.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Those of `keys` that signed it. Signatures of unknown keys are ignored; one of a known key that does not hold
    /// spoils the note.
    pub fn signers<'k>(&self, keys: &'k [Verifier]) -> Result<Vec<&'k Verifier>, CheckpointError> {
        let mut signers = Vec::new();
        for key in keys {
            for line in &self.signatures {
                let Some(signature) = line.by(key) else { continue };
                if !key.signed(self.text, signature) {
                    return Err(CheckpointError::Unsigned(named(key)));
                }
                if !signers.contains(&key) {
                    signers.push(key);
                }
            }
        }
        let names = || keys.iter().map(named).collect::<Vec<_>>().join(" or ");
        if signers.is_empty() { Err(CheckpointError::Unsigned(names())) } else { Ok(signers) }
    }
}

/// Keys of one name are told apart by their hashes.
fn named(key: &Verifier) -> String {
    format!("`{}` ({})", key.name(), key.hash())
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
        let bytes = STANDARD.decode(base64).ok()?;
        (is_key_name(name) && bytes.len() > 4).then_some(Self { name, bytes })
    }

    /// The signature, where it claims to be by this key.
    fn by(&self, key: &Verifier) -> Option<&[u8]> {
        self.bytes.strip_prefix(&key.id()).filter(|_| self.name == key.name())
    }
}

/// The note of a text, signed by each of `signers` in turn.
pub(crate) fn sign<'s>(text: &str, signers: impl IntoIterator<Item = &'s Signer>) -> String {
    let line = |signer: &Signer| format!("{SIGNATURE}{} {}\n", signer.name(), STANDARD.encode(signer.signature(text)));
    let lines: String = signers.into_iter().map(line).collect();
    format!("{text}\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the signed note of the specification's own example (golang.org/x/mod/sumdb/note).
    const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
                        then you don't know what your problem is.\n\n\
                        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn keys(texts: &[&str]) -> Vec<Verifier> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn signer(name: &str, seed: u8) -> Signer {
        Signer::new(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn a_foreign_note_is_understood() {
        let keys = keys(&[VERIFIER]);
        assert_eq!(Note::parse(NOTE).unwrap().signers(&keys).unwrap(), [&keys[0]]);
    }

    #[test]
    fn every_changed_character_of_a_note_is_noticed() {
        let keys = keys(&[VERIFIER]);
        for (at, old) in NOTE.char_indices() {
            let new = if old == 'A' { 'B' } else { 'A' };
            let changed = format!("{}{new}{}", &NOTE[..at], &NOTE[at + old.len_utf8()..]);
            assert!(Note::parse(&changed).and_then(|note| note.signers(&keys).map(drop)).is_err(), "{changed}");
        }
    }

    #[test]
    fn signatures_of_unknown_keys_are_ignored_and_those_of_known_ones_must_all_hold() {
        let (one, two, other) = (signer("log", 1), signer("log", 2), signer("log", 3));
        let note = sign("text\n", [&one, &two]);
        let (known, stranger) = ([one.verifier(), two.verifier()], [other.verifier()]);
        let parsed = Note::parse(&note).unwrap();
        assert_eq!(parsed.signers(&known).unwrap().len(), 2);
        assert_eq!(parsed.signers(&known[1..]).unwrap(), [&known[1]]);
        assert!(matches!(parsed.signers(&stranger), Err(CheckpointError::Unsigned(_))));
        assert!(matches!(parsed.signers(&[]), Err(CheckpointError::Unsigned(_))));

        let elsewhere = sign("another text\n", [&one]);
        let wrong = elsewhere.rsplit('\n').nth(1).unwrap();
        let spoilt = format!("{note}{wrong}\n");
        assert!(Note::parse(&spoilt).unwrap().signers(&known).is_err(), "a signature of a known key does not hold");
        assert!(Note::parse(&spoilt).unwrap().signers(&known[1..]).is_ok(), "of that key nothing is known");
    }

    #[test]
    fn a_signature_under_another_name_is_another_key_s() {
        let note = sign("text\n", [&signer("log", 1)]).replace("\u{2014} log ", "\u{2014} gol ");
        let note = Note::parse(&note).unwrap();
        assert!(note.signers(&[signer("log", 1).verifier()]).is_err());
    }

    #[test]
    fn sixteen_signatures_and_empty_lines_in_the_text_are_accepted() {
        let signers: Vec<_> = (0..16).map(|seed| signer("log", seed)).collect();
        let keys: Vec<_> = signers.iter().map(Signer::verifier).collect();
        let note = sign("one\n\nthree\n", &signers);
        let note = Note::parse(&note).unwrap();
        assert_eq!((note.text(), note.signers(&keys).unwrap().len()), ("one\n\nthree\n", 16));
    }

    #[test]
    fn what_has_another_form_is_refused() {
        let good = sign("text\n", [&signer("log", 1)]);
        let many: Vec<_> = std::iter::repeat_n(signer("log", 1), SIGNATURES + 1).collect();
        let wrong = [
            String::new(),
            "text\n".to_owned(),
            "text\n\n".to_owned(),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("{good}more\n"),
            good.replace("text\n", "text\r\n"),
            good.replace("text", "te\txt"),
            good.replace("\u{2014} log", "- log"),
            good.replace("\u{2014} log", "\u{2014} l+g"),
            good.replace("\u{2014} log ", "\u{2014}  "),
            good.replace("=\n", "\n"),
            good.replace("=\n", "= \n"),
            format!("text\n\n{SIGNATURE}log AAAAAA==\n"),
            sign("text\n", &many),
            format!("{}{good}", "x".repeat(LONGEST)),
        ];
        for note in wrong {
            assert!(matches!(Note::parse(&note), Err(CheckpointError::Malformed(_))), "{note:.200}");
        }
        // Base64 with bits left over is another text for the same bytes.
        let (start, end) = good.trim_end().split_at(good.trim_end().find('=').unwrap() - 1);
        let last = end.chars().next().unwrap();
        let loose = format!("{start}{}{}\n", char::from(last as u8 + 1), &end[1..]);
        assert!(Note::parse(&loose).is_err(), "{loose}");
    }
}
