//! Paths and URLs in one form before the law sees them. Pure; what cannot be brought into that form names its problem.

use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};
use xagent_domain::run::{PathUse, UrlUse};

/// A path relative to the workspace. `.` is the workspace itself.
pub fn path_use(argument: &str, raw: &str) -> PathUse {
    let (normal, problem) = match normal_path(raw) {
        Ok(normal) => (normal, String::new()),
        Err(problem) => (String::new(), problem.to_owned()),
    };
    PathUse { argument: argument.to_owned(), raw: raw.to_owned(), normal, problem }
}

fn normal_path(raw: &str) -> Result<String, &'static str> {
    if raw.is_empty() {
        return Err("it is empty");
    }
    if raw.chars().any(char::is_control) {
        return Err("it holds control characters");
    }
    if raw.contains('\\') {
        return Err("it holds a backslash");
    }
    if raw.starts_with('/') {
        return Err("it is absolute, and only paths in the workspace are allowed");
    }
    let drive = raw.as_bytes();
    if raw.starts_with('~') || (drive.len() > 1 && drive[0].is_ascii_alphabetic() && drive[1] == b':') {
        return Err("it names a place outside the workspace");
    }
    let parts: Vec<_> = raw.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("it leaves the workspace through `..`");
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// A URL in its parts. Addresses are those its host spells; a name is resolved by the caller.
pub fn url_use(argument: &str, raw: &str) -> UrlUse {
    let problem = |problem: String| UrlUse {
        argument: argument.to_owned(),
        raw: raw.to_owned(),
        scheme: String::new(),
        host: String::new(),
        port: 0,
        addresses: Vec::new(),
        problem,
    };
    let url = match Url::parse(raw) {
        Ok(url) => url,
        Err(error) => return problem(error.to_string()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return problem("it holds credentials".to_owned());
    }
    let Some(host) = url.host() else { return problem("it has no host".to_owned()) };
    let Some(port) = url.port_or_known_default() else { return problem("it has no port".to_owned()) };
    let (host, addresses) = match host {
        Host::Domain(name) => (name.trim_end_matches('.').to_ascii_lowercase(), Vec::new()),
        Host::Ipv4(address) => (address.to_string(), vec![address.to_string()]),
        Host::Ipv6(address) => {
            let address = canonical_address(IpAddr::V6(address));
            (address.clone(), vec![address])
        }
    };
    let scheme = url.scheme().to_owned();
    UrlUse { scheme, host, port, addresses, ..problem(String::new()) }
}

/// The address as policies compare it: an IPv4 address inside an IPv6 one is that IPv4 address.
pub fn canonical_address(address: IpAddr) -> String {
    match address {
        IpAddr::V6(six) => embedded_ipv4(six).map_or_else(|| six.to_string(), |four| four.to_string()),
        IpAddr::V4(four) => four.to_string(),
    }
}

/// IPv4-mapped (RFC 4291 section 2.5.5.2) and the deprecated IPv4-compatible form (section 2.5.5.1).
fn embedded_ipv4(address: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let compatible = address.segments()[..6] == [0; 6] && address.segments()[6] != 0;
    address.to_ipv4_mapped().or_else(|| address.to_ipv4().filter(|_| compatible))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_out_in_one_form_or_with_a_problem() {
        for (raw, normal) in [("a//b/./c", "a/b/c"), ("./a", "a"), (".", "."), ("a/..b", "a/..b"), ("é", "é")] {
            let path = path_use("p", raw);
            assert_eq!((path.normal.as_str(), path.problem.as_str()), (normal, ""), "{raw}");
        }
        let outside =
            ["", "/etc/passwd", "../x", "a/../../x", "a/..", "a\\..\\b", "~/x", "c:/x", "a\0b", "a\nb", "//server/x"];
        for raw in outside {
            let path = path_use("p", raw);
            assert!(path.normal.is_empty() && !path.problem.is_empty(), "{raw:?}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let spellings = [
            ("http://127.0.0.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://017700000001/", "127.0.0.1"),
            ("http://[::ffff:10.0.0.1]/", "10.0.0.1"),
            ("http://[::ffff:a9fe:a9fe]/", "169.254.169.254"),
            ("http://[::10.0.0.1]/", "10.0.0.1"),
            ("http://[::1]/", "::1"),
            ("http://[fe80::1]/", "fe80::1"),
        ];
        for (raw, address) in spellings {
            assert_eq!(url_use("u", raw).addresses, [address], "{raw}");
        }
    }

    #[test]
    fn urls_come_out_in_parts_or_with_a_problem() {
        let url = url_use("u", "HTTPS://Example.COM./a?b");
        assert_eq!((url.scheme.as_str(), url.host.as_str(), url.port), ("https", "example.com", 443));
        assert!(url.addresses.is_empty() && url.problem.is_empty());
        for raw in
            ["", "x", "http://", "http://a:b@c/", "http://a@c/", "file:///etc/passwd", "mailto:a@b", "http://a b/"]
        {
            assert!(!url_use("u", raw).problem.is_empty(), "{raw}");
        }
    }
}
