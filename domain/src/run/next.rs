//! What a worker is to do next with a run: a pure function of its state.

use super::{CallStatus, Executor, PlannerSpec, Run, RunStatus};
use crate::CallId;

/// The next act of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until something happens.
    Wait,
    /// Nothing, ever.
    Done,
    /// Start this call.
    Start(CallId),
    /// This call was started by a worker that is gone, and may be started again.
    Retry(CallId),
    /// This call was started by a worker that is gone, and must not be started again.
    Interrupt(CallId),
    /// Ask the planner.
    Consult,
}

impl Run {
    /// What to do next. A call found started here belongs to a worker that is gone, for the one that
    /// asks holds the run's lease and records each outcome before it asks again.
    pub fn next(&self) -> Next {
        if self.status.has_ended() || self.status == RunStatus::NotStarted {
            return Next::Done;
        }
        let ours = self.open.values().filter(|call| call.tool.executor != Executor::Client);
        for call in ours {
            match call.status {
                CallStatus::Started if !call.tool.idempotent => return Next::Interrupt(call.id),
                CallStatus::Started if self.status == RunStatus::Running => return Next::Retry(call.id),
                CallStatus::Allowed | CallStatus::Approved if self.status == RunStatus::Running => {
                    return Next::Start(call.id);
                }
                _ => {}
            }
        }
        let planned = matches!(self.planner, Some(PlannerSpec::Scripted(_)));
        if planned && self.status == RunStatus::Running && self.open.is_empty() { Next::Consult } else { Next::Wait }
    }
}
