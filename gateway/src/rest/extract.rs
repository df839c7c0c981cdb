//! From a request to typed values: who calls, the path's ids, the body. Each error names its field.

mod command;
mod prefer;
mod query;
mod strict;
mod whole;

use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use xagent_commands::Caller;
use xagent_domain::{CommandId, IdError};

pub(crate) use command::trace;
pub use command::{Commanding, CommandingRun, Creating, CreatingInRun, InFlight};
pub use prefer::Wait;
pub use query::{Limit, Natural, Parameters};
pub use strict::Strict;
pub use whole::whole;

use super::Doors;
use crate::access::{Known, Refused, Why};
use crate::problem::{Problem, ProblemType};
use crate::trace::Trace;

/// A larger body is refused.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;
/// So much of a refused body is read and thrown away, so that its sender gets to read the answer.
const DRAINED: usize = 64 * 1024 * 1024;

/// An authenticated caller with the trace of its request.
pub struct Calling {
    pub caller: Caller,
    pub trace: Trace,
    /// The last second in which the token is accepted, since 1970.
    pub until_s: i64,
}

impl Calling {
    /// Any error as a problem of this request.
    pub fn problem(&self, error: impl Into<Problem>) -> Problem {
        error.into().traced(&self.trace)
    }
}

fn key(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let Some(text) = only(headers, "Idempotency-Key")? else { return Ok(None) };
    text.parse().map(Some).map_err(|error: IdError| invalid("Idempotency-Key", &error.to_string()).with_value(text))
}

/// A header that may be there once, in printable ASCII.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(name, "it is there more than once").remedied(format!("send `{name}` once")));
    }
    let unreadable =
        |_| invalid(name, "it is not printable ASCII").with_value(&String::from_utf8_lossy(value.as_bytes()));
    value.to_str().map(Some).map_err(unreadable)
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl FromRequestParts<Doors> for Calling {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Doors) -> Result<Self, Problem> {
        let trace = Trace::of(header(&parts.headers, "traceparent"));
        // Whoever is not known does not come this far, where the route is behind the door.
        let nobody = || Problem::from(&Refused::new(Why::Missing, "nobody is known to call")).traced(&trace);
        let Known { principal, credential, until_s } = parts.extensions.get().cloned().ok_or_else(nobody)?;
        let key = key(&parts.headers).map_err(|problem| problem.traced(&trace))?;
        let caller = Caller { principal, traceparent: trace.traceparent.clone(), key, credential };
        Ok(Self { caller, trace, until_s })
    }
}

/// An id in the path.
pub struct Id<T>(pub T);

/// Two ids in the path.
pub struct Ids<A, B>(pub A, pub B);

impl<T> FromRequestParts<Doors> for Id<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Problem> {
        let path = PathTexts::of(parts, doors).await?;
        Ok(Self(path.parse(0)?))
    }
}

impl<A, B> FromRequestParts<Doors> for Ids<A, B>
where
    A: FromStr<Err = IdError>,
    B: FromStr<Err = IdError>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Problem> {
        let path = PathTexts::of(parts, doors).await?;
        Ok(Self(path.parse(0)?, path.parse(1)?))
    }
}

/// The texts of a path's parameters, with their names.
struct PathTexts {
    texts: Vec<(String, String)>,
    trace: Trace,
}

impl PathTexts {
    async fn of(parts: &mut Parts, doors: &Doors) -> Result<Self, Problem> {
        let trace = Trace::of(header(&parts.headers, "traceparent"));
        let params = RawPathParams::from_request_parts(parts, doors).await;
        let params = params.map_err(|error| invalid("path", &error.to_string()).traced(&trace))?;
        let texts = params.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        Ok(Self { texts, trace })
    }

    fn parse<T>(&self, index: usize) -> Result<T, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let Some((name, text)) = self.texts.get(index) else { return Err(invalid("path", "it is too short")) };
        text.parse().map_err(|error: T::Err| invalid(name, &error.to_string()).with_value(text).traced(&self.trace))
    }
}

/// A JSON body without unknown fields.
pub struct Body_<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Doors> for Body_<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Doors) -> Result<Self, Problem> {
        let trace = Trace::of(header(request.headers(), "traceparent"));
        is_json(request.headers()).map_err(|problem| problem.traced(&trace))?;
        let bytes = read(request.into_body(), LARGEST_BODY).await.map_err(|problem| problem.traced(&trace))?;
        let bytes = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        parse(bytes).map(Self).map_err(|problem| problem.traced(&trace))
    }
}

/// Nothing but JSON is read, and what does not say what it is counts as such.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(text) = only(headers, "Content-Type")? else { return Ok(()) };
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Ok(());
    }
    let detail = format!("`{media_type}` is not read here");
    Err(Problem::new(ProblemType::UnsupportedMediaType, detail).at("Content-Type").with_value(text))
}

/// A body of at most `largest` bytes.
pub(crate) async fn read(body: Body, largest: usize) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut total) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| invalid("", &format!("the body broke off: {error}")))?;
        total = total.saturating_add(chunk.len());
        if total <= largest {
            bytes.extend_from_slice(&chunk);
        } else if total > DRAINED {
            break;
        }
    }
    if total <= largest {
        return Ok(bytes);
    }
    let detail = format!("the body is larger than {largest} bytes");
    Err(Problem::new(ProblemType::TooLarge, detail).at(""))
}

/// Parses JSON; an error names the field it is about as a JSON pointer (RFC 6901).
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut *deserializer).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                serde_path_to_error::Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                serde_path_to_error::Segment::Map { key } => pointer.push_str(&format!("/{key}")),
                _ => {}
            }
        }
        let message = error.inner().to_string();
        let named = ["unknown field `", "missing field `"].iter().find_map(|start| message.strip_prefix(start));
        if let Some(name) = named.and_then(|rest| rest.split('`').next())
            && !pointer.ends_with(&format!("/{name}"))
        {
            pointer.push_str(&format!("/{name}"));
        }
        invalid(&pointer, &message)
    })?;
    deserializer.end().map_err(|error| invalid("", &error.to_string()))?;
    Ok(parsed)
}

pub(crate) fn invalid(field: &str, detail: &str) -> Problem {
    let detail: String = detail.chars().take(500).collect();
    Problem::new(ProblemType::InvalidInput, detail).at(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsed")]
        inner: Inner,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        number: u8,
    }

    fn field(text: &str) -> String {
        parse::<Outer>(text.as_bytes()).unwrap_err().field.unwrap()
    }

    #[test]
    fn an_error_names_the_field_it_is_about() {
        assert_eq!(field(r#"{"inner":{"number":"x"}}"#), "/inner/number");
        assert_eq!(field(r#"{"inner":{"number":1,"other":2}}"#), "/inner/other");
        assert_eq!(field(r#"{"inner":{}}"#), "/inner/number");
        assert_eq!(field(r#"{"other":1}"#), "/other");
        assert_eq!(field("{"), "");
        assert_eq!(field(r#"{"inner":{"number":1}} x"#), "");
    }
}
