//! Errors as callers see them: RFC 9457 problem details with a stable type, each with a page that says what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_commands::{CommandError, InvalidInput};
use xagent_domain::Reason;
use xagent_domain::governed::Refusal;
use xagent_ledger::LedgerError;
use xagent_policies::Finding;

use crate::trace::Trace;

/// Characters of a wrong value that are said back.
const LONGEST_VALUE: usize = 100;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal, $remedy:literal;)*) => {
        /// Every kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemType {
            $($(#[$doc])* $name,)*
        }

        impl ProblemType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            fn parts(self) -> (&'static str, StatusCode, &'static str, &'static str) {
                match self { $(Self::$name => ($code, StatusCode::$status, $title, $remedy),)* }
            }
        }

        /// The page of a problem: what happened, why, what to do.
        pub fn page(code: &str) -> Option<&'static str> {
            match code {
                $($code => Some(include_str!(concat!("../../docs/errors/", $code, ".md"))),)*
                _ => None,
            }
        }
    };
}

problems! {
    /// No token, or one that is not valid.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Not authenticated",
        "Send `Authorization: Bearer TOKEN` with a valid token; `xagent token` mints one for development.";
    /// The law said no.
    Denied = "denied", FORBIDDEN, "Denied by policy",
        "Read `deny`: use a token with the scope or role it names, or ask who writes the policies.";
    /// A page of another site sent it.
    CrossSite = "cross-site", FORBIDDEN, "Sent by another site",
        "Open the console itself and do it there.";
    /// The law said: later.
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests",
        "Wait for `Retry-After`, then go on more slowly.";
    /// The body or a parameter is wrong.
    InvalidInput = "invalid-input", BAD_REQUEST, "Invalid input",
        "Mend the field that is named.";
    /// The bundle does not pass the gate.
    BundleRefused = "bundle-refused", UNPROCESSABLE_ENTITY, "Bundle refused",
        "Mend what `findings` names; `xagent policy check` says the same without a server.";
    /// Path and query are too long.
    TargetTooLong = "target-too-long", URI_TOO_LONG, "Path too long",
        "Send a shorter path and query.";
    /// There are too many headers, or they are too large.
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "Headers too large",
        "Send fewer or smaller headers.";
    /// The body is too large.
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "Body too large",
        "Send less, or ask for less.";
    /// There is no such thing.
    NotFound = "not-found", NOT_FOUND, "Not found",
        "Check the id, and that the token is of the tenant that has it.";
    /// The path is right, the method is not.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "Use a method that `Allow` names.";
    /// The state does not allow it.
    Conflict = "conflict", CONFLICT, "Conflict with the present state",
        "Read the state again, then decide whether the command still makes sense.";
    /// The events were moved to a file.
    Archived = "archived", GONE, "Moved to an archive",
        "Bring the range back with `xagent archive attach`.";
    /// The run is not in the state that the command was meant for.
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "The run has moved on",
        "Read the run again; repeat the command with its new `ETag` if it still makes sense.";
    /// The body is of a kind that is not read here.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
        "Send JSON, with `Content-Type: application/json`.";
    /// A command with the same key is being carried out.
    InFlight = "in-flight", CONFLICT, "The first command is being carried out",
        "Repeat the command after `Retry-After`: the receipt of the first one comes back.";
    /// The idempotency key was used for something else.
    KeyReused = "key-reused", UNPROCESSABLE_ENTITY, "Idempotency key reused",
        "Use a fresh key for a new command; repeat a command with exactly the body it had.";
    /// The ledger is away, or too busy.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Unavailable for now",
        "Try again after `Retry-After`, a command with the same `Idempotency-Key`.";
    /// The server has not got its law yet.
    Starting = "starting", SERVICE_UNAVAILABLE, "The server is starting",
        "Wait until `/readyz` answers 200.";
    /// A record is not what it was.
    Tampered = "tampered", INTERNAL_SERVER_ERROR, "A recorded event was changed",
        "Run `xagent verify`, which names what does not hold.";
    /// A fault of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "Look for `trace_id` in the log of the server.";
}

impl ProblemType {
    /// Its code, which is the name of its page.
    pub fn code(self) -> &'static str {
        self.parts().0
    }

    /// The HTTP status it comes with.
    pub fn status(self) -> StatusCode {
        self.parts().1
    }

    /// What it is, for people.
    pub fn title(self) -> &'static str {
        self.parts().2
    }

    /// Where its page is served, which is its `type`.
    pub fn uri(self) -> String {
        format!("/errors/{}", self.code())
    }

    /// What to do about it, in general.
    pub fn remedy(self) -> &'static str {
        self.parts().3
    }

    fn uris() -> Vec<String> {
        Self::ALL.iter().map(|kind| kind.uri()).collect()
    }
}

/// Problem details (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `/errors/CODE`, where its page is served.
    #[schemars(extend("enum" = ProblemType::uris()))]
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The kind, for people.
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, for people.
    pub detail: String,
    /// JSON pointer of the field at fault, or the name of a header or parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was sent there, or its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<str>>,
    /// What to do next.
    #[serde(default)]
    pub remedy: Box<str>,
    /// The sequence the run is at, where the command was meant for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_sequence: Option<u64>,
    /// A stable code of what conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The decision that denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// Its reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Reason>,
    /// What is in a bundle's way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The trace of the request.
    pub trace_id: Box<str>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            kind: kind.uri().into(),
            title: kind.title().into(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            field: None,
            value: None,
            remedy: kind.remedy().into(),
            current_sequence: None,
            code: None,
            decision_id: None,
            deny: Vec::new(),
            findings: Vec::new(),
            trace_id: Box::default(),
        }
    }

    /// With the field at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// With what was sent there.
    #[must_use]
    pub fn with_value(mut self, value: &str) -> Self {
        self.value = Some(value.chars().take(LONGEST_VALUE).collect());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedied(mut self, remedy: impl Into<Box<str>>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// In this trace.
    #[must_use]
    pub fn traced(mut self, trace: &Trace) -> Self {
        self.trace_id = trace.id().into();
        self
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Denied(decision) => {
                let limited = !decision.deny.is_empty() && decision.deny.iter().all(|r| r.code == "rate_limited");
                let kind = if limited { ProblemType::RateLimited } else { ProblemType::Denied };
                let reasons: Vec<_> = decision.deny.iter().map(|reason| reason.message.as_str()).collect();
                let mut problem = Self::new(kind, reasons.join("; "));
                problem.decision_id = Some(decision.decision.to_string());
                problem.deny = decision.deny;
                problem
            }
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Invalid(error) => error.into(),
            CommandError::Unfit(findings) => {
                let first = findings.first().map(ToString::to_string).unwrap_or_default();
                let more = findings.len().saturating_sub(1);
                let detail = if more > 0 { format!("{first} (and {more} more, see `findings`)") } else { first };
                let mut problem = Self::new(ProblemType::BundleRefused, detail);
                problem.findings = findings;
                problem
            }
            CommandError::Ledger(error) => error.into(),
            CommandError::Moved { expected, current } => {
                let mut problem = Self::new(ProblemType::PreconditionFailed, error.to_string()).at("If-Match");
                problem.current_sequence = Some(current);
                problem.with_value(&format!("\"{expected}\""))
            }
            CommandError::Contended(_) => Self::new(ProblemType::Unavailable, error.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::NotFound { .. } => Self::new(ProblemType::NotFound, refusal.to_string()),
            Refusal::Conflict { code, .. } => {
                let mut problem = Self::new(ProblemType::Conflict, refusal.to_string());
                problem.code = Some((*code).to_owned());
                problem
            }
            Refusal::Input(_) => Self::new(ProblemType::InvalidInput, refusal.to_string()),
            Refusal::Denied(_) | Refusal::Ruling(_) => internal(&refusal),
        }
    }
}

impl From<InvalidInput> for Problem {
    fn from(error: InvalidInput) -> Self {
        Self::new(ProblemType::InvalidInput, error.message).at(error.field)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Unavailable { operation, .. } => {
                tracing::warn!(error = %error, "ledger.unavailable");
                Self::new(ProblemType::Unavailable, format!("the ledger gave no answer: {operation}; try again"))
            }
            LedgerError::Conflict { .. } => Self::new(ProblemType::Conflict, error.to_string()),
            LedgerError::KeyReused { .. } => Self::new(ProblemType::KeyReused, error.to_string()).at("Idempotency-Key"),
            LedgerError::Tampered { .. } | LedgerError::Undecodable { .. } | LedgerError::Blob { .. } => {
                tracing::error!(error = %error, "ledger.tampered");
                Self::new(ProblemType::Tampered, error.to_string())
            }
            LedgerError::Archived { .. } => Self::new(ProblemType::Archived, error.to_string()),
            LedgerError::Failed { .. } | LedgerError::Archive { .. } => internal(&error),
        }
    }
}

/// The entity tag of a run at a sequence (RFC 9110 section 8.8.3).
pub fn etag(sequence: u64) -> Result<HeaderValue, axum::http::header::InvalidHeaderValue> {
    HeaderValue::from_str(&format!("\"{sequence}\""))
}

/// Logged in full here, shown without its inside.
pub fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = %error, "request.failed");
    Problem::new(ProblemType::Internal, "this is a fault of the server; its log has the details under the trace id")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let in_flight = *self.kind == *ProblemType::InFlight.uri();
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"xagent\""));
            }
            StatusCode::PRECONDITION_FAILED => {
                let current = self.current_sequence.and_then(|sequence| etag(sequence).ok());
                headers.extend(current.map(|tag| (header::ETAG, tag)));
            }
            StatusCode::CONFLICT if !in_flight => {}
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        // For doors that show it in another way.
        response.extensions_mut().insert(self);
        response
    }
}
