//! What becomes of a tool call: waiting for its end, as it is recorded.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use xagent_domain::run::{CallStatus, Run, RunEvent, RunStatus};
use xagent_domain::{ApprovalId, CallId, DecisionMade, Question, RunId, Tenant};

use super::Commands;
use crate::ambient::pause;
use crate::{CommandError, InvalidInput};

/// Events looked through at once.
const PAGE: u32 = 100;
/// The longest pause between two looks at a run while others keep the ledger busy, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 100;

/// How a tool call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEnd {
    /// The tool ran.
    Completed {
        /// Whether it did what it was asked.
        succeeded: bool,
        /// What it gave back, or `{"error"}`.
        output: Value,
    },
    /// It was denied when it was decided on again.
    Denied(Box<DecisionMade>),
    /// A person said no, or the approval lapsed.
    Refused {
        /// Who.
        refused_by: String,
        /// Why.
        reason: String,
    },
    /// It had started, and what became of it is not known.
    Interrupted {
        /// What is known.
        reason: String,
    },
    /// Its run ended before it could start.
    RunEnded(RunStatus),
}

/// Where a call is looked for: after a place in its run.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    /// The run.
    pub run: RunId,
    /// The call.
    pub call: CallId,
    /// The approval it asked for, if it did.
    pub approval: Option<ApprovalId>,
    /// The run's sequence after which its end is looked for.
    pub sequence: u64,
    /// A position of the ledger that is not past that sequence.
    pub position: u64,
}

impl Commands {
    /// Waits for the end of a call, at most `patience`; none where it has not ended by then.
    pub async fn end_of_call(
        &self,
        tenant: &Tenant,
        followed: Followed,
        patience: Duration,
    ) -> Result<Option<CallEnd>, CommandError> {
        let deadline = Instant::now() + patience;
        let run = followed.run.to_string();
        let (mut sequence, mut position) = (followed.sequence, followed.position);
        let mut tail = self.ledger().tail();
        for look in 0_u32.. {
            loop {
                let page = self.ledger().committed::<Run>(tenant, &run, sequence, PAGE).await?;
                for event in &page {
                    sequence = event.sequence();
                    if let Some(end) = self.end(&followed, event.event()).await? {
                        return Ok(Some(end));
                    }
                }
                if page.len() < PAGE as usize {
                    break;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            position = tail.wait_past(position, left).await?;
            tokio::time::sleep(pause(look.min(5), LONGEST_PAUSE_MS)).await;
        }
        Ok(None)
    }

    /// How a call ended at or before the sequence it is followed from, looking backwards; none where it did not.
    pub(super) async fn recorded_end(
        &self,
        tenant: &Tenant,
        followed: Followed,
    ) -> Result<Option<CallEnd>, CommandError> {
        let (id, mut end) = (followed.run.to_string(), followed.sequence);
        while end > 0 {
            let start = end.saturating_sub(u64::from(PAGE));
            let limit = u32::try_from(end - start).unwrap_or(PAGE);
            let page = self.ledger().committed::<Run>(tenant, &id, start, limit).await?;
            for event in page.iter().rev() {
                if let Some(found) = self.end(&followed, event.event()).await? {
                    return Ok(Some(found));
                }
            }
            end = start;
        }
        Ok(None)
    }

    /// The end of the call, if the event is it.
    async fn end(&self, followed: &Followed, event: &RunEvent) -> Result<Option<CallEnd>, CommandError> {
        let wanted = &followed.call;
        Ok(match event {
            RunEvent::ToolCallCompleted { call, outcome, .. } if call == wanted => {
                let output = self.text_of(&outcome.output).await?.value();
                let output = output.map_err(|error| InvalidInput::new("/output", error.to_string()))?;
                Some(CallEnd::Completed { succeeded: outcome.succeeded, output })
            }
            RunEvent::ToolCallInterrupted { call, reason } if call == wanted => {
                Some(CallEnd::Interrupted { reason: reason.clone() })
            }
            RunEvent::ApprovalRefused { approval, refused_by, reason } if followed.approval == Some(*approval) => {
                Some(CallEnd::Refused { refused_by: refused_by.clone(), reason: reason.clone() })
            }
            RunEvent::DecisionMade(made) if !made.allow && !made.asks_for_approval() => match &made.question {
                Question::ToolCall { call, .. } if call == wanted => Some(CallEnd::Denied(made.clone())),
                _ => None,
            },
            RunEvent::RunCancelled { .. } => Some(CallEnd::RunEnded(RunStatus::Cancelled)),
            RunEvent::RunCompleted { .. } => Some(CallEnd::RunEnded(RunStatus::Completed)),
            RunEvent::RunFailed { .. } => Some(CallEnd::RunEnded(RunStatus::Failed)),
            _ => None,
        })
    }

    /// Whether the call has ended as its run stands.
    pub(super) fn has_ended(state: &Run, call: &CallId) -> bool {
        !matches!(
            state.call_status(call),
            None | Some(
                CallStatus::Proposed
                    | CallStatus::Allowed
                    | CallStatus::AwaitingApproval
                    | CallStatus::Approved
                    | CallStatus::Started
            )
        )
    }
}
