//! Planning by a chat model: the port a model is asked through, and the client of servers that speak the chat completions
//! protocol.

mod ask;
mod attempt;
mod server;
mod sse;
mod wire;

use std::future::Future;

use xagent_domain::CanonicalJson;
use xagent_domain::run::{ChatSpec, Reply};

pub use server::{ModelKey, ModelServer, ModelServerError, ModelServerOptions};

/// What a model is asked.
pub(crate) struct Asked<'a> {
    /// Which consultation of the run it is.
    pub step: u32,
    /// How it is asked.
    pub chat: &'a ChatSpec,
    /// The request's body.
    pub body: &'a CanonicalJson,
}

/// Tokens, as the server counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub input: u64,
    pub output: u64,
}

/// What came of asking.
#[derive(Debug)]
pub(crate) struct Answered {
    pub reply: Result<Reply, NoReply>,
    /// The model, as it calls itself.
    pub model: String,
    pub usage: Option<Usage>,
    /// Requests sent.
    pub attempts: u32,
    /// What was wrong with those before the last.
    pub failures: Vec<String>,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoReply {
    /// For the record, and for the model where it is its fault.
    pub reason: String,
    /// How what came instead began, where something did.
    pub received: Option<String>,
    /// Whether asking again is of no use.
    pub is_final: bool,
}

impl NoReply {
    pub(crate) fn last(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), received: None, is_final: true }
    }
}

impl Answered {
    /// Nothing was sent.
    pub(crate) fn nothing(no: NoReply) -> Self {
        Self { reply: Err(no), model: String::new(), usage: None, attempts: 0, failures: Vec::new() }
    }
}

/// Answers what planners by model ask: a server, or recordings of one.
pub(crate) trait Model {
    /// Asks. Whatever happens, something comes of it.
    fn ask(&self, asked: Asked<'_>) -> impl Future<Output = Answered> + Send;
}
