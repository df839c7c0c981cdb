//! Planners propose the next step from recorded state alone.

mod chat;
mod recorded;
mod request;
mod scripted;
mod template;

pub(crate) use chat::{Answered, Asked, Model, NoReply, Usage};
pub use chat::{ModelKey, ModelServer, ModelServerError, ModelServerOptions};
pub(crate) use recorded::RecordedReplies;
pub use request::{BudgetRequest, ChatRequest};
pub use scripted::check_plan;
pub(crate) use scripted::{PlannedCall, ScriptedPlanner, Step};
