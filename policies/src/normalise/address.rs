//! IP addresses: however one is spelt, it is one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Problem;

/// An address as policies compare it: an IPv4 address inside an IPv6 one is that IPv4 address, and the connection goes
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The address an address stands for.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V6(six) => Self(embedded(six).map_or(address, IpAddr::V4)),
            IpAddr::V4(_) => Self(address),
        }
    }

    /// Reads an address: IPv4 in every form `inet_aton` takes (decimal, octal, hexadecimal, short), IPv6 with or
    /// without brackets. Zones are refused: they name an interface of this machine.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inside = bare.unwrap_or(text);
        if inside.contains(':') {
            if inside.contains('%') {
                return Err(Problem("it names a zone of this machine"));
            }
            let six: Ipv6Addr = inside.parse().map_err(|_| Problem("it is no IPv6 address"))?;
            return Ok(Self::of(IpAddr::V6(six)));
        }
        let four = bare.is_none().then(|| inet_aton(text)).flatten();
        four.map(|four| Self(IpAddr::V4(four))).ok_or(Problem("it is no IP address"))
    }

    /// The address itself.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// IPv4-mapped and IPv4-compatible (RFC 4291 section 2.5.5), NAT64 (RFC 6052 and RFC 8215), 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let last = || Some(four(s[6], s[7]));
    match s {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => last(),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => last(),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => last(),
        [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

fn four(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// One to four parts; the last fills what the others leave.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 8 * (4 - leading.len() as u32);
    if *last >= 1_u64 << room {
        return None;
    }
    let high = leading.iter().enumerate().fold(0_u64, |sum, (index, part)| sum | (part << (24 - 8 * index)));
    u32::try_from(high | last).ok().map(Ipv4Addr::from)
}

fn number(part: &str) -> Option<u64> {
    let lower = part.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit()) && (1..=16).contains(&digits.len());
    plain.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Address::parse(text).ok().map(|address| address.to_string())
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let spellings = [
            ("127.0.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("0X7F000001", "127.0.0.1"),
            ("017700000001", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("10.0.258", "10.0.1.2"),
            ("[::ffff:a9fe:a9fe]", "169.254.169.254"),
            ("::ffff:0:10.0.0.1", "10.0.0.1"),
            ("64:ff9b::10.0.0.1", "10.0.0.1"),
            ("64:ff9b:1::10.0.0.1", "10.0.0.1"),
            ("2002:a00:1::", "10.0.0.1"),
            ("::10.0.0.1", "10.0.0.1"),
            ("::1", "::1"),
            ("::", "::"),
            ("FE80:0:0::1", "fe80::1"),
        ];
        for (text, expected) in spellings {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let wrong = [
            "",
            ".",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.256",
            "4294967296",
            "1..2",
            "0x",
            "08",
            "1.2.3.4.",
            " 1.2.3.4",
            "١.1.1.1",
            "[1.2.3.4]",
            "fe80::1%eth0",
            "[fe80::1%25eth0]",
            "1:2",
            ":::",
            "[::1",
            "a",
            "-1",
            "+1",
        ];
        for text in wrong {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn all_spellings_of_any_address_agree(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let [a, b, c, d] = address.octets();
            let (high, low) = (bits >> 16, bits & 0xffff);
            let spellings = [
                address.to_string(), bits.to_string(), format!("{bits:#x}"), format!("0{bits:o}"),
                format!("{a:#x}.{b}.0{c:o}.{d}"), format!("{a}.{}", bits & 0xff_ffff), format!("{a}.{b}.{low}"),
                format!("::ffff:{address}"), format!("[::ffff:{high:x}:{low:x}]"), format!("64:ff9b::{address}"),
                format!("2002:{high:x}:{low:x}::1"),
            ];
            for spelling in spellings {
                prop_assert_eq!(canonical(&spelling), Some(address.to_string()), "{}", spelling);
            }
        }

        #[test]
        fn the_normal_form_stays_as_it_is(bits: u128) {
            let once = Address::of(IpAddr::V6(Ipv6Addr::from(bits)));
            prop_assert_eq!(Address::parse(&once.to_string()), Ok(once));
        }

        #[test]
        fn no_text_is_too_odd_to_be_read_or_refused(text in "\\PC{0,40}|[0-9a-fx.:\\[\\]%]{0,40}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
