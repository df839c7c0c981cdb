//! What a run is: deciders, events, the policy input, canonical bytes.
//!
//! Every other room may call this one; it calls nobody of ours. It is pure and
//! synchronous: no clock, no I/O, no randomness. Time and ids come in as values.

pub mod access;
pub mod api_key;
pub mod bundle;
mod canonical;
mod content;
mod decider;
mod decision;
pub mod decision_log;
mod deny;
mod digest;
#[cfg(test)]
mod generated;
pub mod governed;
mod id;
mod input;
mod jcs;
mod principal;
mod question;
mod recorded;
pub mod run;
pub mod tool;
mod upcast;
pub mod upstream;

pub use canonical::{CanonicalError, CanonicalJson, without_floats};
pub use content::{Blob, Content, INLINE_LIMIT};
pub use decider::{CODE, Decider, Event, Part};
pub use decision::{
    DecisionMade, Document, EngineIdentity, Entrypoint, Evaluation, FailureClass, Limits, Obligation, Outcome, Reason,
    Ruling, RulingError,
};
pub use deny::DenyCode;
pub use digest::{Digest, DigestError};
pub use id::{ApiKeyId, ApprovalId, CallId, CommandId, DecisionId, GoalId, IdError, RunId, Tenant};
pub use input::{command_inquiry, tool_inquiry};
pub use principal::Principal;
pub use question::{Context, Inquiry, Intent, Question, Usage};
pub use recorded::{Metadata, Place, Placeless, Recorded, canonical_event};
pub use upcast::{Unreadable, read};
