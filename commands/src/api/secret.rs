//! The form of an api key: `xak_TENANT_ID_SECRET` with a checksum at its end, so that scanners find it and nothing else.
//!
//! ID and SECRET are 32 and 64 hex digits, the checksum is the CRC-32 (ISO-HDLC) of everything before it in 8 more. As a
//! regular expression: `xak_[a-z0-9-]{1,63}_[0-9a-f]{32}_[0-9a-f]{72}`.

use std::fmt::Write;

use rand::RngCore;
use subtle::ConstantTimeEq;
use xagent_domain::{ApiKeyId, Digest, Tenant};

const PREFIX: &str = "xak_";
/// Hex digits of a secret.
const SECRET: usize = 64;
/// Hex digits of a checksum.
const CHECKSUM: usize = 8;

/// A key just drawn.
pub(super) struct Drawn {
    /// The key itself, for its holder only.
    pub text: String,
    /// What is recorded of its secret.
    pub digest: Digest,
}

/// A key as somebody presents it: of the right form, nothing more.
pub(super) struct Presented<'a> {
    pub tenant: Tenant,
    pub key: ApiKeyId,
    secret: &'a str,
}

/// Draws the secret of a key.
pub(super) fn draw(tenant: &Tenant, key: ApiKeyId) -> Drawn {
    let mut bytes = [0; SECRET / 2];
    rand::rng().fill_bytes(&mut bytes);
    let mut secret = String::with_capacity(SECRET);
    for byte in bytes {
        let _infallible = write!(secret, "{byte:02x}");
    }
    let id = key.to_string();
    let start = format!("{PREFIX}{tenant}_{}_{secret}", id.trim_start_matches("key_"));
    Drawn { digest: Digest::of(secret.as_bytes()), text: format!("{start}{}", checksum(&start)) }
}

impl<'a> Presented<'a> {
    /// The parts of a key, where `text` has its form and its checksum.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (start, end) = text.split_at_checked(text.len().checked_sub(CHECKSUM)?)?;
        if checksum(start) != end {
            return None;
        }
        let mut parts = start.strip_prefix(PREFIX)?.split('_');
        let (tenant, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = parts.next().is_none() && secret.len() == SECRET && is_hex(secret) && is_hex(id);
        let (tenant, key) = (tenant.parse().ok()?, format!("key_{id}").parse().ok()?);
        is_whole.then_some(Self { tenant, key, secret })
    }

    /// Compared in constant time.
    pub fn is_secret_of(&self, digest: &Digest) -> bool {
        Digest::of(self.secret.as_bytes()).as_bytes().ct_eq(digest.as_bytes()).into()
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn() -> (ApiKeyId, Drawn) {
        let key = "key_0123456789abcdef0123456789abcdef".parse().unwrap();
        (key, draw(&"acme-2".parse().unwrap(), key))
    }

    #[test]
    fn a_key_is_read_back_and_has_the_form_that_scanners_look_for() {
        let (key, drawn) = drawn();
        let presented = Presented::parse(&drawn.text).unwrap();
        assert_eq!((presented.key, presented.tenant.as_str()), (key, "acme-2"));
        assert!(presented.is_secret_of(&drawn.digest));
        assert!(!presented.is_secret_of(&Digest::of(b"other")));
        let start = "xak_acme-2_0123456789abcdef0123456789abcdef_";
        assert!(drawn.text.starts_with(start) && drawn.text.len() == start.len() + 72);
    }

    #[test]
    fn one_character_missing_changed_or_too_much_is_no_key() {
        let (_, drawn) = drawn();
        for at in 0..drawn.text.len() {
            let mut missing = drawn.text.clone();
            let removed = missing.remove(at);
            let changed = format!("{}{}{}", &missing[..at], if removed == '0' { '1' } else { '0' }, &missing[at..]);
            assert!(Presented::parse(&missing).is_none(), "{missing}");
            assert!(Presented::parse(&changed).is_none(), "{changed}");
        }
        for text in
            [String::new(), "xak_".to_owned(), drawn.text.to_uppercase(), format!("{}0", drawn.text), "é".repeat(99)]
        {
            assert!(Presented::parse(&text).is_none(), "{text}");
        }
    }
}
