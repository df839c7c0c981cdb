//! Tool calls and approvals.

use chrono::{DateTime, Utc};

use super::{AGENT, PRINCIPAL, RUN, TOOL};
use crate::tables::row::{Celled, Column, Filter, Listed, Row, holds, id, is, mentions, one_of, row, since, until};

const CALL_STATUSES: &[&str] = &[
    "proposed",
    "allowed",
    "denied",
    "awaiting_approval",
    "approved",
    "refused",
    "started",
    "succeeded",
    "failed",
    "interrupted",
];
const APPROVAL_STATUSES: &[&str] = &["waiting", "granted", "refused", "used"];
const RISKS: &[&str] = &["low", "medium", "high"];

row! {
    /// A tool call, from its proposal to its end.
    ToolCallRow in "tool_calls" by ["tenant", "run", "call"], filtered by [
        id("call", "this call"), AGENT, PRINCIPAL, RUN, is("goal", "for this goal"), is("tool", "of this tool"),
        one_of("status", CALL_STATUSES, "that stand so"), one_of("risk", RISKS, "of this risk"),
        holds("code", "codes", "denied with this code"), holds("path", "paths", "that name this path of the workspace"),
        holds("host", "hosts", "that name this host"), since("proposed_at"), until("proposed_at"),
        mentions(&["label"], "whose label contains this"),
    ];
    /// Whose it is.
    tenant: String,
    /// Its run.
    run: String,
    /// Its id.
    call: String,
    /// The agent's name.
    agent: String,
    /// On whose authority the run acts.
    principal: String,
    /// Who proposed it; `system:...` where a planner did.
    proposed_by: String,
    /// The goal it serves.
    goal: String,
    /// The step's name.
    label: String,
    /// The tool.
    tool: String,
    /// The tool's risk.
    risk: String,
    /// Who runs the tool: `builtin` for a worker, `upstream` for another MCP server that a worker calls, `client` for whoever proposed it.
    executor: String,
    /// Where it stands: `proposed`, `allowed`, `denied`, `awaiting_approval`, `approved`, `refused`, `started`, `succeeded`, `failed` or `interrupted`.
    status: String,
    /// The last decision on it.
    decision: Option<String>,
    /// The approval it asked for.
    approval: Option<String>,
    /// The codes of its denial.
    codes: Vec<String>,
    /// The paths it names, normalised.
    paths: Vec<String>,
    /// The hosts it names, normalised.
    hosts: Vec<String>,
    /// Digest of tool and arguments.
    arguments_digest: String,
    /// Attempts that began.
    attempts: i64,
    /// Money it moves, in millionths of a unit.
    money_micros: i64,
    /// Bytes of its output.
    output_bytes: Option<i64>,
    /// How long the last attempt took, in microseconds.
    duration_us: Option<i64>,
    /// When it was proposed.
    proposed_at: DateTime<Utc>,
    /// When its first attempt began.
    started_at: Option<DateTime<Utc>>,
    /// When nothing more could happen to it.
    ended_at: Option<DateTime<Utc>>,
    /// The position of its proposal.
    position: i64,
    /// The position of the last event about it.
    last_position: i64,
}

row! {
    /// An approval: a person's answer to one call with exactly its arguments.
    ApprovalRow in "approvals" by ["tenant", "run", "approval"], filtered by [
        id("approval", "this approval"), AGENT, is("principal", "asked for on the authority of this principal"), RUN, TOOL,
        one_of("status", APPROVAL_STATUSES, "that stand so"), is("answered_by", "answered by this principal"),
        since("requested_at"), until("requested_at"), mentions(&["reason", "answer"], "whose words contain this"),
    ];
    /// Whose it is.
    tenant: String,
    /// Its run.
    run: String,
    /// Its id.
    approval: String,
    /// The tool call.
    call: String,
    /// The agent's name.
    agent: String,
    /// On whose authority the run acts.
    principal: String,
    /// The tool.
    tool: Option<String>,
    /// The tool's risk.
    risk: Option<String>,
    /// Why it was asked for.
    reason: String,
    /// `waiting`, `granted`, `refused`, or `used` by the call that it let start. One that waits past `expires_at` has lapsed.
    status: String,
    /// Who answered.
    answered_by: Option<String>,
    /// Why it was refused.
    answer: Option<String>,
    /// When it was asked for.
    requested_at: DateTime<Utc>,
    /// When it lapses.
    expires_at: DateTime<Utc>,
    /// When it was answered.
    answered_at: Option<DateTime<Utc>>,
    /// The position of the request.
    position: i64,
    /// The position of the last event about it.
    last_position: i64,
}
