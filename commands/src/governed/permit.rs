//! The permit to run a tool. Its fields are private and it is made from committed events only, so the
//! compiler keeps the first promise: no tool runs without a committed ALLOW.

use xagent_domain::run::{Call, Resources, Run, RunEvent, call_digest};
use xagent_domain::{CanonicalJson, DecisionMade, Entrypoint, Question};
use xagent_ledger::Committed;

/// A tool call as its executor sees it.
#[derive(Debug)]
pub struct ToolCall {
    /// The tool.
    pub tool: String,
    /// Canonical arguments.
    pub arguments: CanonicalJson,
    /// Paths and addresses as they were decided on.
    pub resources: Resources,
    /// The folder it is confined to.
    pub workspace: Option<String>,
}

/// Proof that a committed decision allows a `T`, to be used once: it is neither `Clone` nor deserialisable.
#[derive(Debug)]
pub struct Allowed<T>(T);

/// Why committed events do not add up to a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PermitError {
    #[error("the decision does not allow the call")]
    NotAllowed,
    #[error("the decision is about something else")]
    OtherCall,
    #[error("no attempt was committed under this decision")]
    NotStarted,
    #[error("the arguments are not those that were decided on")]
    OtherArguments,
    #[error("the approval has lapsed or is missing")]
    ApprovalLapsed,
    #[error("recordings answer the calls of this run, and no tool")]
    OnlyRecordings,
}

impl Allowed<ToolCall> {
    /// The permit for `call`, if `decision` allows exactly it and `started` records the attempt.
    pub(crate) fn from_committed(
        decision: &Committed<DecisionMade>,
        started: &Committed<RunEvent>,
        run: &Run,
        call: &Call,
        arguments: CanonicalJson,
        now_us: i64,
    ) -> Result<Self, PermitError> {
        if run.only_recordings_answer() {
            return Err(PermitError::OnlyRecordings);
        }
        let made = decision.event();
        if !made.allow || !made.evaluation.outcome.document().allow {
            return Err(PermitError::NotAllowed);
        }
        let Question::ToolCall { call: decided, approval } = &made.question else { return Err(PermitError::OtherCall) };
        if *decided != call.id || made.evaluation.entrypoint != Entrypoint::tools() {
            return Err(PermitError::OtherCall);
        }
        match started.event() {
            RunEvent::ToolCallStarted { call: begun, decision: under, .. }
                if *begun == call.id && *under == made.decision && started.position() > decision.position() => {}
            _ => return Err(PermitError::NotStarted),
        }
        if call_digest(&call.tool.digest, &arguments) != call.arguments_digest {
            return Err(PermitError::OtherArguments);
        }
        let lapsed = approval.is_some_and(|id| {
            run.approval(&id).is_none_or(|a| a.expires_at_us <= now_us || a.arguments_digest != call.arguments_digest)
        });
        if lapsed {
            return Err(PermitError::ApprovalLapsed);
        }
        let (tool, resources) = (call.tool.name.clone(), call.resources.clone());
        Ok(Self(ToolCall { tool, arguments, resources, workspace: run.workspace().map(str::to_owned) }))
    }
}

impl<T> Allowed<T> {
    /// Uses the permit up.
    pub fn into_inner(self) -> T {
        self.0
    }
}
