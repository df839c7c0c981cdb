//! Decisions.

use chrono::{DateTime, Utc};

use super::{AGENT, RUN, TOOL};
use crate::tables::row::{Celled, Column, Filter, Listed, Row, Test, holds, id, is, mentions, row, since, until};

const VERDICTS: &[&str] = &["allow", "deny", "approval"];

row! {
    /// A decision of the law: what was asked, by whom, and the answer.
    DecisionRow in "decisions" by ["tenant", "position"], filtered by [
        id("decision", "this decision"), AGENT, is("principal", "asked by or for this principal"), RUN, TOOL,
        is("call", "about this tool call"), is("entrypoint", "by this rule path"), is("command", "on this command or read"),
        Filter { name: "decision", test: Test::Is("verdict"), values: VERDICTS, about: "that came out so" },
        holds("code", "codes", "denied with this code"), holds("rule", "rules", "denied by this rule"),
        is("bundle", "by the bundle with this digest"), since("decided_at"), until("decided_at"),
        mentions(&["reasons"], "whose reasons contain this"),
    ];
    /// Whose it is.
    tenant: String,
    /// Its id.
    decision: String,
    /// `allow`; `deny`; `approval` where a person may still allow it.
    verdict: String,
    /// The rule path that was asked.
    entrypoint: String,
    /// The command or read that was decided; none for a tool call.
    command: Option<String>,
    /// The type of the aggregate that recorded it: `access` for reads and for commands that were refused.
    aggregate_type: String,
    /// The id of that aggregate.
    aggregate_id: String,
    /// The run it is about.
    run: Option<String>,
    /// The agent of that run, where the run itself recorded the decision.
    agent: Option<String>,
    /// Who asked; of a tool call, on whose authority its run acts.
    principal: String,
    /// The tool it is about.
    tool: Option<String>,
    /// The tool call it is about.
    call: Option<String>,
    /// The approval it relied on, or was about.
    approval: Option<String>,
    /// The codes of a denial.
    codes: Vec<String>,
    /// The rules that denied.
    rules: Vec<String>,
    /// The reasons of a denial, in words.
    reasons: String,
    /// Digest of the bundle that answered.
    bundle: String,
    /// The engine, with version and mode.
    engine: String,
    /// How long the engine took, in microseconds.
    duration_us: i64,
    /// When it was recorded.
    decided_at: DateTime<Utc>,
    /// The trace of the request.
    trace_id: Option<String>,
    /// The sequence of the event in its stream.
    sequence: i64,
    /// The position of the event.
    position: i64,
}
