//! URLs: scheme, host and port, with nothing that two readers could read differently.

use url::Url;
use xagent_domain::run::UrlUse;

use super::{Address, Host, Problem, is_invisible};

const LONGEST: usize = 8192;

/// A URL that every reader reads alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUrl {
    url: Url,
    host: Host,
    port: u16,
}

impl WebUrl {
    /// Reads a URL, strictly: the lenient readings of the WHATWG standard (backslashes, tabs and line ends, credentials)
    /// are refused.
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        if raw.len() > LONGEST {
            return Err(Problem("it is too long"));
        }
        if raw.chars().any(|c| c.is_control() || c.is_whitespace() || is_invisible(c)) {
            return Err(Problem("it holds spaces, control or invisible characters"));
        }
        if raw.contains('\\') {
            return Err(Problem("it holds a backslash"));
        }
        if !raw.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//") && !rest.starts_with("///")) {
            return Err(Problem("it is not of the form scheme://host/path"));
        }
        let url = Url::parse(raw).map_err(|_| Problem("it is no URL"))?;
        let authority = raw.split_once("//").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
        if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
            return Err(Problem("it holds credentials"));
        }
        if authority.contains('%') {
            return Err(Problem("its host is percent-encoded or names a zone"));
        }
        let host = Host::of(url.host().ok_or(Problem("it has no host"))?)?;
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(Problem("it has no port"))?;
        Ok(Self { url, host, port })
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, given or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The scheme, in small letters.
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// The URL to connect to: where its host is an address, the one the law decides on.
    pub fn to_connect(&self) -> String {
        let mut url = self.url.clone();
        if let Some(address) = self.host.address() {
            // Only a URL without a host refuses one, and this has one.
            let _unchanged = url.set_ip_host(address.ip());
        }
        url.into()
    }
}

/// A URL in its parts. Addresses are those its host spells; a name is resolved by the caller.
pub fn url_use(argument: &str, raw: &str) -> UrlUse {
    let (argument, raw_text) = (argument.to_owned(), raw.to_owned());
    match WebUrl::parse(raw) {
        Ok(url) => UrlUse {
            argument,
            raw: raw_text,
            scheme: url.scheme().to_owned(),
            host: url.host().to_string(),
            port: url.port(),
            addresses: url.host().address().iter().map(Address::to_string).collect(),
            problem: String::new(),
        },
        Err(problem) => UrlUse {
            argument,
            raw: raw_text,
            scheme: String::new(),
            host: String::new(),
            port: 0,
            addresses: Vec::new(),
            problem: problem.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_come_out_in_parts() {
        let cases = [
            ("HTTPS://Example.COM./a?b", "https", "example.com", 443),
            ("http://x.org:8080", "http", "x.org", 8080),
            ("http://bücher.example/", "http", "xn--bcher-kva.example", 80),
            ("http://аpple.com/", "http", "xn--pple-43d.com", 80),
            ("http://ｅxample。com/", "http", "example.com", 80),
            ("http://１２７.1/", "http", "127.0.0.1", 80),
            ("http://[::ffff:10.0.0.1]/", "http", "10.0.0.1", 80),
            ("http://[64:ff9b::a00:1]/", "http", "10.0.0.1", 80),
            ("http://[fe80::1]/", "http", "fe80::1", 80),
        ];
        for (raw, scheme, host, port) in cases {
            let url = url_use("u", raw);
            let seen = (url.scheme.as_str(), url.host.as_str(), url.port, url.problem.as_str());
            assert_eq!(seen, (scheme, host, port, ""), "{raw}");
            let spelt = url.host.parse::<std::net::IpAddr>().is_ok();
            assert_eq!(url.addresses, if spelt { vec![host.to_owned()] } else { Vec::new() }, "{raw}");
        }
    }

    #[test]
    fn what_readers_read_differently_is_refused() {
        let refused = [
            "",
            "x",
            "http://",
            "http:///x",
            "http:x.org",
            "//x.org",
            "http://a:b@c/",
            "http://a@c/",
            "http://@c/",
            "http://a%40c/",
            "http://a%2ec/",
            "file:///etc/passwd",
            "mailto:a@b",
            "http://a b/",
            " http://a/",
            "http://a/\n",
            "http://a\t.b/",
            "http://a\\b/",
            "http:\\\\a/",
            "http://a..b/",
            "http://.a/",
            "http://a/..\0",
            "http://[fe80::1%25eth0]/",
            "http://[::1/",
            "http://a:0/",
            "http://a:99999/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "http://a\u{200b}b/",
            "http://a\u{202e}b/",
            "gopher://a/",
            "javascript:alert(1)",
            "http://x*y/",
            "http://a,b/",
        ];
        for raw in refused {
            let url = url_use("u", raw);
            assert!(!url.problem.is_empty() && url.host.is_empty() && url.addresses.is_empty(), "{raw:?}: {url:?}");
        }
        let long = format!("http://{}/", ["a"; 200].join("."));
        assert!(!url_use("u", &long).problem.is_empty());
    }

    #[test]
    fn the_connection_goes_to_the_address_the_host_spells() {
        let cases = [
            ("http://[64:ff9b::8.8.8.8]:81/a?b", "http://8.8.8.8:81/a?b"),
            ("http://[::ffff:1.1.1.1]/", "http://1.1.1.1/"),
            ("http://0x08080808/", "http://8.8.8.8/"),
            ("https://x.org/a", "https://x.org/a"),
        ];
        for (raw, connect) in cases {
            assert_eq!(WebUrl::parse(raw).unwrap().to_connect(), connect);
        }
    }

    proptest! {
        #[test]
        fn a_text_has_a_host_or_a_problem(raw in "\\PC{0,60}|https?://[a-zA-Z0-9.:@%/\\\\\\[\\]-]{0,40}") {
            let url = url_use("u", &raw);
            prop_assert_eq!(url.host.is_empty(), !url.problem.is_empty());
        }

        #[test]
        fn the_normal_form_stays_as_it_is(host in "[a-zA-Z0-9.:\\[\\]éаß-]{1,30}", port in 1_u16..) {
            if let Ok(url) = WebUrl::parse(&format!("http://{host}:{port}/")) {
                prop_assert!(url.host().to_string().is_ascii());
                let again = WebUrl::parse(&url.to_connect()).unwrap();
                prop_assert_eq!((again.host(), again.port()), (url.host(), url.port()));
            }
        }
    }
}
