//! The run aggregate: one pursuit of a goal by an agent.

mod act;
mod argument;
mod call;
mod consult;
mod decide;
mod event;
mod evolve;
mod fork;
mod functions;
mod inherit;
mod memory;
mod next;
mod plan;
mod planner;
mod priority;
mod prompt;
mod reply;
mod spent;
mod state;
#[cfg(test)]
mod tests;
mod trust;

pub use act::{Act, Fork, Past, Propose, Start};
pub use argument::{ArgumentRole, ArgumentUse, argument_uses};
pub use call::{
    Approval, ApprovalState, Call, CallStatus, CodeText, Executor, PathUse, Recording, Resources, ToolFacts,
    ToolOutcome, UrlUse, call_digest,
};
pub use consult::{Consultation, Exchange, GoalChange, PlannedCall, Proposal};
pub use event::{Inherited, RunEvent};
pub use fork::Forked;
pub use functions::Functions;
pub use inherit::inherit;
pub use memory::{Fate, LeftOut, Memory, Remembered, Turn};
pub use next::Next;
pub use planner::{Budget, ChatSpec, Plan, PlanStep, PlannerSpec, RecordedSpec};
pub use priority::Priority;
pub use prompt::{PromptError, REQUEST_FORM, Texts, chat_request};
pub use reply::{FunctionCall, GoalWish, Reading, Reply, malformed};
pub use spent::Spent;
pub use state::{Goal, GoalStatus, Run, RunStatus, StepResult, Tally};
pub(crate) use trust::goal_names;
pub use trust::{TaintSource, Trust};
