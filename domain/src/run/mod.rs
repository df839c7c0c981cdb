//! The run aggregate: one pursuit of a goal by an agent.

mod act;
mod argument;
mod call;
mod decide;
mod event;
mod evolve;
mod next;
mod spent;
mod state;
#[cfg(test)]
mod tests;
mod trust;

pub use act::{Act, Consultation, Proposal, Propose, Start};
pub use argument::{ArgumentRole, ArgumentUse, argument_uses};
pub use call::{
    Approval, ApprovalState, Call, CallStatus, CodeText, Executor, PathUse, Resources, ToolFacts, ToolOutcome, UrlUse,
    call_digest,
};
pub use event::{Plan, PlanStep, PlannerSpec, RunEvent};
pub use next::Next;
pub use spent::Spent;
pub use state::{Goal, GoalStatus, Run, RunStatus, StepResult, Tally};
pub(crate) use trust::goal_names;
pub use trust::{TaintSource, Trust};
