//! What a worker is to do next with a run: a pure function of its state.

use super::{Call, CallStatus, PlannerSpec, Run, RunStatus};
use crate::CallId;

/// The next act of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until something happens.
    Wait,
    /// Nothing, ever.
    Done,
    /// Start this call, and those that are [startable](Run::startable) with it.
    Start(CallId),
    /// This call was started by a worker that is gone, and may be started again.
    Retry(CallId),
    /// This call was started by a worker that is gone, and must not be started again.
    Interrupt(CallId),
    /// Propose, or reject, the next call the planner has asked for.
    Propose,
    /// Ask the planner.
    Consult,
    /// End the run as the planner said before it was paused.
    Conclude,
}

impl Run {
    /// What to do next. A call found started here belongs to a worker that is gone, for the one that
    /// asks holds the run's lease and records each outcome before it asks again.
    pub fn next(&self) -> Next {
        if self.status.has_ended() {
            // Nothing of a run that has ended is made again, whatever the tool is registered as.
            return self.left_started().map_or(Next::Done, |call| Next::Interrupt(call.id));
        }
        if self.status == RunStatus::NotStarted {
            return Next::Done;
        }
        let running = self.status == RunStatus::Running;
        if let Some(left) = self.left_started() {
            match (left.tool.idempotent || self.only_recordings_answer(), running) {
                (false, _) => return Next::Interrupt(left.id),
                (true, true) => return Next::Retry(left.id),
                (true, false) => {}
            }
        }
        if !running {
            return Next::Wait;
        }
        if self.concluded.is_some() {
            return Next::Conclude;
        }
        if !self.planned.is_empty() {
            return Next::Propose;
        }
        if let Some(call) = self.startable().first() {
            return Next::Start(*call);
        }
        let planned = self.planner.as_ref().is_some_and(|planner| *planner != PlannerSpec::Client);
        if planned && self.open.is_empty() { Next::Consult } else { Next::Wait }
    }

    /// A call of ours that has started.
    fn left_started(&self) -> Option<&Call> {
        let left = |call: &&Call| self.is_for_workers(call) && call.status == CallStatus::Started;
        self.open.values().find(left)
    }
}
