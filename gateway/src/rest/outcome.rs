//! What became of a run or a call: waited for (`Prefer: wait`), or looked up.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{CallStatus, Executor, Run, RunEvent, RunStatus};
use xagent_domain::{ApprovalId, CallId, Content, DecisionId, Question, Reason, Recorded, RunId, Tenant, read};
use xagent_ledger::{Ledger, LedgerError, Receipt};

use crate::problem::Problem;
use crate::shown::unreadable;

/// A busy ledger wakes everybody who waits: between two looks there is so much.
const PAUSE: Duration = Duration::from_millis(20);
/// Events read at once.
const PAGE: u32 = 500;

/// How a run ended.
#[derive(Serialize, JsonSchema)]
pub struct RunOutcome {
    /// Where it stands.
    pub status: RunStatus,
    /// How it went.
    pub summary: String,
    /// The run's last event.
    pub sequence: u64,
}

/// A tool call, from its proposal to what came of it.
#[derive(Serialize, JsonSchema)]
pub struct ShownCall {
    /// The run.
    pub run: RunId,
    /// The call.
    pub call: CallId,
    /// Where it stands.
    pub status: CallStatus,
    /// The step's name.
    pub label: String,
    /// The tool.
    pub tool: String,
    /// Who executes it.
    pub executor: Executor,
    /// What it is called with.
    pub arguments: Content,
    /// The last decision on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// Why it was denied, or what was missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Reason>,
    /// The approval it waits or waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// Whether the tool did what it was called for, once it has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<bool>,
    /// What it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Content>,
    /// How long it took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Why nobody knows what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
}

/// Waits until the run has ended, for at most `patience`.
pub async fn run_ended(
    ledger: &Ledger,
    tenant: &Tenant,
    receipt: &Receipt,
    patience: Duration,
) -> Result<Option<RunOutcome>, LedgerError> {
    let ended = |run: &Run, sequence| {
        let outcome = RunOutcome { status: run.status(), summary: run.summary().to_owned(), sequence };
        run.status().has_ended().then_some(outcome)
    };
    until(ledger, tenant, receipt, patience, ended).await
}

/// Waits until nothing more happens to the call by itself, for at most `patience`.
pub async fn call_settled(
    ledger: &Ledger,
    tenant: &Tenant,
    receipt: &Receipt,
    call: CallId,
    patience: Duration,
) -> Result<bool, LedgerError> {
    let settled = |run: &Run, _| {
        let ours = run.call(&call).is_some_and(|open| open.tool.executor == Executor::Builtin);
        let moves = matches!(
            run.call_status(&call),
            Some(CallStatus::Proposed | CallStatus::Allowed | CallStatus::Approved | CallStatus::Started)
        );
        (!(ours && moves) || run.status().has_ended()).then_some(())
    };
    until(ledger, tenant, receipt, patience, settled).await.map(|settled| settled.is_some())
}

/// Looks at a run whenever the ledger has grown, until `found` finds what it looks for.
async fn until<T>(
    ledger: &Ledger,
    tenant: &Tenant,
    receipt: &Receipt,
    patience: Duration,
    found: impl Fn(&Run, u64) -> Option<T>,
) -> Result<Option<T>, LedgerError> {
    let (deadline, mut tail, mut position) = (Instant::now() + patience, ledger.tail(), receipt.last_position);
    loop {
        let run = ledger.load::<Run>(tenant, &receipt.aggregate_id).await?;
        if let Some(found) = found(&run.state, run.sequence) {
            return Ok(Some(found));
        }
        tokio::time::sleep(PAUSE).await;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        position = tail.wait_past(position, left).await?;
    }
}

/// The call as the run's events tell of it; those up to `after` are not of it.
pub async fn call(
    ledger: &Ledger,
    tenant: &Tenant,
    run: RunId,
    call: CallId,
    mut after: u64,
) -> Result<ShownCall, Problem> {
    let id = run.to_string();
    let mut shown = None;
    loop {
        let page = ledger.stream(tenant, "run", &id, after, PAGE).await?;
        for event in &page {
            tell(&mut shown, run, call, event)?;
        }
        after = match page.last() {
            Some(last) if page.len() == PAGE as usize => last.sequence,
            _ => break,
        };
    }
    let none = || Refusal::NotFound { what: "tool call", id: call.to_string() };
    let mut shown: ShownCall = shown.ok_or_else(none)?;
    let state = ledger.load::<Run>(tenant, &id).await?.state;
    shown.status = state.call_status(&call).unwrap_or(shown.status);
    Ok(shown)
}

fn tell(shown: &mut Option<ShownCall>, run: RunId, wanted: CallId, event: &Recorded) -> Result<(), Problem> {
    // Most events of a long run are about others.
    if !event.payload.contains(&wanted.to_string()) {
        return Ok(());
    }
    let read = read(&event.event_type, &event.event_version, &event.payload).map_err(|_| unreadable(event))?;
    if let RunEvent::ToolCallProposed { call, label, tool, arguments, .. } = &read
        && *call == wanted
    {
        *shown = Some(proposed(run, wanted, label, tool, arguments));
    }
    let Some(shown) = shown else { return Ok(()) };
    match read {
        RunEvent::DecisionMade(made) if matches!(made.question, Question::ToolCall { call, .. } if call == wanted) => {
            (shown.decision, shown.deny) = (Some(made.decision), made.deny);
        }
        RunEvent::ApprovalRequested { call, approval, .. } if call == wanted => shown.approval = Some(approval),
        RunEvent::ToolCallCompleted { call, outcome, duration_us } if call == wanted => {
            (shown.succeeded, shown.output) = (Some(outcome.succeeded), Some(outcome.output));
            shown.duration_us = Some(duration_us);
        }
        RunEvent::ToolCallInterrupted { call, reason } if call == wanted => shown.interrupted = Some(reason),
        _ => {}
    }
    Ok(())
}

fn proposed(
    run: RunId,
    call: CallId,
    label: &str,
    tool: &xagent_domain::run::ToolFacts,
    arguments: &Content,
) -> ShownCall {
    ShownCall {
        run,
        call,
        status: CallStatus::Proposed,
        label: label.to_owned(),
        tool: tool.name.clone(),
        executor: tool.executor,
        arguments: arguments.clone(),
        decision: None,
        deny: Vec::new(),
        approval: None,
        succeeded: None,
        output: None,
        duration_us: None,
        interrupted: None,
    }
}
