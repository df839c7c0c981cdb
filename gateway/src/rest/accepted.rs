//! How a command that went through is answered: with its receipt, and where the receipt can be proven.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use xagent_commands::{Activated, Done, ForkedRun, IssuedKey, ProposedCall, Published};
use xagent_ledger::Receipt;

use super::extract::Wait;

/// Tells that the answer is that of an earlier, equal command.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What holds a receipt.
pub trait Receipted {
    /// It.
    fn receipt(&self) -> &Receipt;
}

macro_rules! receipted {
    ($($name:ident),+) => {$(
        impl Receipted for $name {
            fn receipt(&self) -> &Receipt {
                &self.receipt
            }
        }
    )+};
}

receipted!(Activated, Done, ForkedRun, IssuedKey, ProposedCall, Published);

/// An answer with the ways to its proof.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}")]
pub struct Proven<T> {
    #[serde(flatten)]
    answer: T,
    /// Where the receipt can be proven.
    proof: Proof,
}

/// Where a receipt can be proven.
#[derive(Serialize, JsonSchema)]
pub struct Proof {
    /// An inclusion proof of each event, in their order.
    inclusion: Vec<String>,
    /// A signed checkpoint of a tree that holds them all.
    #[schemars(extend("format" = "uri-reference"))]
    checkpoint: String,
}

/// A command that went through.
pub struct Accepted<T> {
    answer: T,
    status: StatusCode,
    location: Option<String>,
    wait: Wait,
}

impl<T: Receipted> Accepted<T> {
    /// 200.
    pub fn done(answer: T) -> Self {
        Self { answer, status: StatusCode::OK, location: None, wait: Wait::default() }
    }

    /// 201.
    pub fn recorded(answer: T) -> Self {
        Self { status: StatusCode::CREATED, ..Self::done(answer) }
    }

    /// 201, to be read at `location`.
    pub fn created(answer: T, location: String) -> Self {
        Self { location: Some(location), ..Self::recorded(answer) }
    }

    /// The same after `wait`: 202 where what was waited for has not come about.
    pub fn waited(self, wait: Wait, came_about: bool) -> Self {
        let status = if wait.patience().is_some() && !came_about { StatusCode::ACCEPTED } else { self.status };
        Self { status, wait, ..self }
    }
}

fn proof(receipt: &Receipt) -> Proof {
    let size = receipt.tree_size;
    let inclusion = |position| format!("/v1/ledger/proof?position={position}&size={size}");
    Proof {
        inclusion: (receipt.first_position..=receipt.last_position).map(inclusion).collect(),
        checkpoint: format!("/v1/ledger/checkpoint?at_least={size}"),
    }
}

impl<T: Receipted + Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        let (proof, repeated) = (proof(self.answer.receipt()), self.answer.receipt().repeated);
        let mut response = (self.status, Json(Proven { answer: self.answer, proof })).into_response();
        let headers = response.headers_mut();
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(header::LOCATION, location);
        }
        if repeated {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(applied) = self.wait.applied() {
            headers.insert(APPLIED, applied);
        }
        response
    }
}
