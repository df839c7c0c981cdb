//! Hosts: a name in ASCII without its trailing dot, or an address.

use std::fmt;

use super::{Address, Problem};

/// RFC 1035 section 2.3.4.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A host as policies compare it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A name: ASCII, small letters, other scripts as punycode, so that a look-alike is another name.
    Name(String),
    /// An address, however it was spelt.
    Address(Address),
}

impl Host {
    /// The host of a parsed URL.
    pub(super) fn of(host: url::Host<&str>) -> Result<Self, Problem> {
        match host {
            url::Host::Ipv4(four) => Ok(Self::Address(Address::of(four.into()))),
            url::Host::Ipv6(six) => Ok(Self::Address(Address::of(six.into()))),
            url::Host::Domain(name) => Self::name(name),
        }
    }

    fn name(raw: &str) -> Result<Self, Problem> {
        let name = raw.strip_suffix('.').unwrap_or(raw).to_ascii_lowercase();
        if name.is_empty() || name.split('.').any(str::is_empty) {
            return Err(Problem("its host has an empty part"));
        }
        if name.len() > LONGEST_NAME || name.split('.').any(|label| label.len() > LONGEST_LABEL) {
            return Err(Problem("its host is too long"));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        if !name.bytes().all(plain) {
            return Err(Problem("its host holds characters that are in no name"));
        }
        Ok(Self::Name(name))
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}
