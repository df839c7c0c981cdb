//! Query parameters: typed, bounded, and none that the route does not know.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use super::{header, invalid};
use crate::problem::Problem;
use crate::rest::Doors;
use crate::trace::Trace;

/// What every JSON reader reads exactly (RFC 7493 section 2.2).
const MOST: u64 = (1 << 53) - 1;

/// Query parameters without unknown ones.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Doors> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Doors) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let trace = || Trace::of(header(&parts.headers, "traceparent"));
        read(query).map(Self).map_err(|problem| problem.traced(&trace()))
    }
}

/// The parameters of a query; an error names the one at fault and its value.
fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let message = error.inner().to_string();
        let named = message.split('`').nth(1).filter(|_| message.contains(" field `"));
        let name = named.map_or_else(|| error.path().to_string(), str::to_owned);
        let mut all = url::form_urlencoded::parse(query.as_bytes());
        let value = all.find(|(key, _)| *key == name).map(|(_, value)| value.into_owned());
        let problem = invalid(&name, &message);
        value.into_iter().fold(problem, |problem, value| problem.with_value(&value))
    })
}

/// A whole number from 0 to 2^53 - 1: a position, a sequence, a size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Natural(pub u64);

impl<'de> Deserialize<'de> for Natural {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        let told = || D::Error::custom(format!("it is {number}; at most {MOST} is expected"));
        Some(number).filter(|number| *number <= MOST).map(Self).ok_or_else(told)
    }
}

impl JsonSchema for Natural {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Natural".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": MOST})
    }
}

/// How many items a page has at most: 1 to `MOST`, `USUAL` where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<const USUAL: u32, const MOST: u32>(pub u32);

impl<const USUAL: u32, const MOST: u32> Default for Limit<USUAL, MOST> {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<'de, const USUAL: u32, const MOST: u32> Deserialize<'de> for Limit<USUAL, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        let told = || D::Error::custom(format!("it is {number}; 1 to {MOST} is expected"));
        Some(number).filter(|number| (1..=MOST).contains(number)).map(Self).ok_or_else(told)
    }
}

impl<const USUAL: u32, const MOST: u32> JsonSchema for Limit<USUAL, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Limit{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        #[serde(default)]
        cursor: Natural,
        #[serde(default)]
        limit: Limit<50, 500>,
        run: Option<xagent_domain::RunId>,
    }

    #[test]
    fn a_query_is_read_whole_or_its_fault_is_named_with_its_value() {
        assert_eq!(read::<Page>("limit=7").unwrap(), Page { cursor: Natural(0), limit: Limit(7), run: None });
        assert_eq!(read::<Page>("").unwrap().limit, Limit(50));
        let cases = [
            ("limit=0", "limit", Some("0")),
            ("limit=501", "limit", Some("501")),
            ("limit=x", "limit", Some("x")),
            ("limit=1&limit=2", "limit", Some("1")),
            ("cursor=9007199254740992", "cursor", Some("9007199254740992")),
            ("cursor=-1", "cursor", Some("-1")),
            ("run=run_7", "run", Some("run_7")),
            ("color=red", "color", Some("red")),
        ];
        for (query, field, value) in cases {
            let problem = read::<Page>(query).unwrap_err();
            assert_eq!(
                (problem.field.as_deref(), problem.value.as_deref()),
                (Some(field), value),
                "{query}: {problem:?}"
            );
        }
    }
}
