//! The run aggregate: one pursuit of a goal by an agent.

mod act;
mod call;
mod decide;
mod event;
mod evolve;
mod next;
mod state;
#[cfg(test)]
mod tests;

pub use act::{Act, Consultation, Proposal, Propose, Start};
pub use call::{
    Approval, ApprovalState, Call, CallStatus, CodeText, Executor, PathUse, Resources, ToolFacts, ToolOutcome, UrlUse,
    call_digest,
};
pub use event::{Plan, PlanStep, PlannerSpec, RunEvent};
pub use next::Next;
pub use state::{Goal, GoalStatus, Run, RunStatus, StepResult, Tally};
