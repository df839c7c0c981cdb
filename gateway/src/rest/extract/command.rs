//! What a command comes with: who commands, its key, and the state it was meant for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use xagent_commands::Commands;
use xagent_domain::{CommandId, Tenant};

use super::{Calling, invalid, only};
use crate::problem::{Problem, ProblemType};
use crate::rest::Doors;
use crate::trace::Trace;

/// Commands that are being carried out here, by their keys. As many as there are requests, at most.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<(Tenant, CommandId)>>>);

/// A key's place among them, until the command has its answer.
struct Flight {
    all: InFlight,
    key: (Tenant, CommandId),
}

impl InFlight {
    fn enter(&self, key: (Tenant, CommandId)) -> Option<Flight> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone()).then(|| Flight { all: self.clone(), key })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// A caller with a command. Two commands with one key are not carried out at once (draft-ietf-httpapi-idempotency-key-header
/// section 2.6): the second is told so.
pub struct Commanding {
    /// Who commands.
    pub calling: Calling,
    _flight: Option<Flight>,
}

/// The same, for a command that must have a key: repeating it without one would do it twice.
pub struct Creating(pub Commanding);

/// A caller with a command to a run: it may say on which state it was meant.
pub struct CommandingRun {
    /// Who commands.
    pub calling: Calling,
    expected: Option<u64>,
    _flight: Option<Flight>,
}

impl CommandingRun {
    /// The commands, on the state that is expected.
    pub fn commands(&self, doors: &Doors) -> Commands {
        doors.commands.expecting(self.expected)
    }
}

impl FromRequestParts<Doors> for CommandingRun {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Problem> {
        let (calling, flight) = enter(parts, doors).await?;
        let expected = expected(&parts.headers).map_err(|problem| calling.problem(problem))?;
        Ok(Self { calling, expected, _flight: flight })
    }
}

impl FromRequestParts<Doors> for Commanding {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Problem> {
        let (calling, flight) = enter(parts, doors).await?;
        if parts.headers.contains_key("if-match") {
            let problem = invalid("If-Match", "only a command to a run that is there has a state to be compared with");
            return Err(calling.problem(problem.remedied("leave the header out")));
        }
        Ok(Self { calling, _flight: flight })
    }
}

impl FromRequestParts<Doors> for Creating {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Problem> {
        let commanding = Commanding::from_request_parts(parts, doors).await?;
        keyed(&commanding.calling)?;
        Ok(Self(commanding))
    }
}

/// The same for a command to a run.
pub struct CreatingInRun(pub CommandingRun);

impl FromRequestParts<Doors> for CreatingInRun {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Problem> {
        let commanding = CommandingRun::from_request_parts(parts, doors).await?;
        keyed(&commanding.calling)?;
        Ok(Self(commanding))
    }
}

fn keyed(calling: &Calling) -> Result<(), Problem> {
    if calling.caller.key.is_some() {
        return Ok(());
    }
    let problem = invalid("Idempotency-Key", "it is missing, and repeating this command without one would do it twice");
    let remedy = "send `Idempotency-Key: KEY` with a fresh key, such as a UUID, and the same one in every repetition";
    Err(calling.problem(problem.remedied(remedy)))
}

async fn enter(parts: &mut Parts, doors: &Doors) -> Result<(Calling, Option<Flight>), Problem> {
    let calling = Calling::from_request_parts(parts, doors).await?;
    let Some(key) = calling.caller.key.clone() else { return Ok((calling, None)) };
    let tenant = calling.caller.principal.tenant.clone();
    match doors.in_flight.enter((tenant, key)) {
        Some(flight) => Ok((calling, Some(flight))),
        None => {
            let detail = "a command with this key is being carried out; its receipt comes to whoever repeats it then";
            Err(calling.problem(Problem::new(ProblemType::InFlight, detail).at("Idempotency-Key")))
        }
    }
}

/// The sequence that `If-Match` names (RFC 9110 section 13.1.1); any state where it is `*`.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = only(headers, "If-Match")? else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let sequence = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    let wrong = || {
        let problem = invalid("If-Match", "one strong entity tag with a sequence is expected").with_value(text);
        problem.remedied("send the `ETag` of the run as it was read, such as `\"12\"`, or `*`")
    };
    sequence.map(Some).ok_or_else(wrong)
}

/// The trace of a request, before anything else of it is known.
pub fn trace(headers: &HeaderMap) -> Trace {
    Trace::of(super::header(headers, "traceparent"))
}
