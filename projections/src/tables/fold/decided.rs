//! A decision as a row.

use xagent_domain::run::Run;
use xagent_domain::{DecisionMade, Question, Recorded};

use super::{NAME, Seen, cut};
use crate::tables::rows::{DecisionRow, RunRow, ToolCallRow};

/// The row of a decision that no tool call in `run` is known for.
pub(super) fn decision(seen: &Seen<'_>, made: &DecisionMade, run: Option<&RunRow>) -> DecisionRow {
    let event = seen.recorded;
    let mut row = DecisionRow {
        tenant: seen.tenant(),
        decision: made.decision.to_string(),
        verdict: verdict(made).to_owned(),
        entrypoint: made.evaluation.entrypoint.to_string(),
        command: None,
        aggregate_type: event.aggregate_type.clone(),
        aggregate_id: event.aggregate_id.clone(),
        run: run.map(|run| run.run.clone()),
        agent: run.map(|run| run.agent.clone()).filter(|agent| !agent.is_empty()),
        principal: run.map(|run| run.principal.clone()).unwrap_or_default(),
        tool: None,
        call: None,
        approval: None,
        codes: made.deny.iter().map(|reason| cut(&reason.code, NAME)).collect(),
        rules: made.deny.iter().map(|reason| cut(&reason.rule, NAME)).filter(|rule| !rule.is_empty()).collect(),
        reasons: made.deny.iter().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; "),
        bundle: made.evaluation.bundle.to_string(),
        engine: engine(made),
        duration_us: i64::try_from(made.evaluation.duration_us).unwrap_or(i64::MAX),
        decided_at: seen.at,
        trace_id: trace_id(&seen.metadata().traceparent),
        sequence: seen.sequence,
        position: seen.position,
    };
    asked(&mut row, &made.question);
    row
}

/// The row of a decision, made in `run` as it was before where it belongs to one.
pub(crate) fn decision_row(event: &Recorded, made: &DecisionMade, run: Option<&Run>) -> DecisionRow {
    let mut row = decision(&Seen::of(event), made, None);
    let Some(run) = run else { return row };
    row.run = Some(event.aggregate_id.clone());
    if !run.agent().is_empty() {
        row.agent = Some(run.agent().to_owned());
    }
    if row.principal.is_empty() {
        run.principal_id().clone_into(&mut row.principal);
    }
    let called = row.call.as_ref().and_then(|id| id.parse().ok()).and_then(|id| run.call(&id));
    if let Some(call) = called {
        row.tool = Some(cut(&call.tool.name, NAME));
    }
    row
}

/// What the question itself says.
fn asked(row: &mut DecisionRow, question: &Question) {
    match question {
        Question::Command(intent) => {
            row.command = Some(intent.name.clone());
            row.principal.clone_from(&intent.principal.id);
            let about_run = intent.aggregate == "run" && !intent.id.is_empty();
            row.run = row.run.take().or_else(|| about_run.then(|| intent.id.clone()));
            let told = |name: &str| intent.attributes.get(name).map(|text| cut(text, NAME));
            row.agent = row.agent.take().or_else(|| told("agent"));
            (row.tool, row.call, row.approval) = (told("tool"), told("call"), told("approval"));
        }
        Question::ToolCall { call, approval } => {
            row.call = Some(call.to_string());
            row.approval = approval.map(|approval| approval.to_string());
        }
    }
}

/// What the call that is decided says.
pub(super) fn about(row: &mut DecisionRow, call: &ToolCallRow) {
    row.tool = Some(call.tool.clone());
}

/// `allow`, `deny`, or `approval` where that would be enough.
pub(super) fn verdict(made: &DecisionMade) -> &'static str {
    match made.allow {
        true => "allow",
        false if made.asks_for_approval() => "approval",
        false => "deny",
    }
}

fn engine(made: &DecisionMade) -> String {
    let engine = &made.evaluation.engine;
    format!("{} {} {}", engine.name, engine.version, engine.mode)
}

/// The trace of a `traceparent` (W3C Trace Context section 3.2).
fn trace_id(traceparent: &str) -> Option<String> {
    traceparent.split('-').nth(1).filter(|id| id.len() == 32).map(str::to_owned)
}
