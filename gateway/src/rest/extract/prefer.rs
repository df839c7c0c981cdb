//! `Prefer: wait=SECONDS` (RFC 7240 section 4.3): how long a caller waits for what becomes of its command.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use crate::problem::Problem;
use crate::rest::Doors;

/// No request waits longer, whatever it prefers: well within what a request may take.
const LONGEST_S: u64 = 10;

/// How long to wait; not at all where nothing is preferred. What is not understood is no preference (RFC 7240 section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait(Option<u64>);

impl Wait {
    /// For so long, where the caller waits.
    pub fn patience(self) -> Option<Duration> {
        self.0.map(Duration::from_secs)
    }

    /// What is told of it in `Preference-Applied` (RFC 7240 section 3).
    pub fn applied(self) -> Option<HeaderValue> {
        self.0.and_then(|seconds| HeaderValue::from_str(&format!("wait={seconds}")).ok())
    }

    fn of(headers: &HeaderMap) -> Self {
        let told = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let preferences = told.flat_map(|text| text.split([',', ';'])).map(str::trim);
        let mut waits = preferences.filter_map(|preference| {
            let (name, seconds) = preference.split_once('=')?;
            let seconds = seconds.trim().trim_matches('"');
            Some(seconds.parse::<u64>().ok()?.min(LONGEST_S)).filter(|_| name.trim().eq_ignore_ascii_case("wait"))
        });
        // The first one counts.
        Self(waits.next().filter(|seconds| *seconds > 0))
    }
}

impl FromRequestParts<Doors> for Wait {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Doors) -> Result<Self, Problem> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wait_that_is_understood_counts_and_has_a_bound() {
        let cases = [
            ("wait=3", Some(3)),
            ("respond-async, wait=3", Some(3)),
            ("WAIT = \"4\"; foo", Some(4)),
            ("wait=x, wait=5", Some(5)),
            ("wait=3600", Some(10)),
            ("wait=0", None),
            ("wait", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            let headers =
                HeaderMap::from_iter([(axum::http::HeaderName::from_static("prefer"), text.parse().unwrap())]);
            assert_eq!(Wait::of(&headers).0, seconds, "{text}");
        }
    }
}
