//! Tool calls and approvals, event by event.

use xagent_domain::run::{ArgumentRole, ArgumentUse, Executor, Resources, RunEvent};

use super::run::RunState;
use super::{Changes, NAME, RESOURCE, Seen, cut};
use crate::tables::rows::{ApprovalRow, DecisionRow, RunRow, ToolCallRow, UsageRow};

impl RunState {
    /// A decision on a call of this run.
    pub(super) fn call_decided(
        &mut self,
        row: &mut RunRow,
        seen: &Seen<'_>,
        made: &DecisionRow,
        counts: &mut UsageRow,
    ) {
        let Some(call) = made.call.as_deref().and_then(|id| self.call(seen, id)) else { return };
        let first = call.status == "proposed";
        let denied = made.verdict == "deny" || (made.verdict == "approval" && !first);
        call.decision = Some(made.decision.clone());
        let status = match made.verdict.as_str() {
            "allow" => "allowed",
            _ if denied => "denied",
            _ => "awaiting_approval",
        };
        status.clone_into(&mut call.status);
        if denied {
            call.codes.clone_from(&made.codes);
            call.ended_at = Some(seen.at);
        }
        row.tool_calls += i64::from(first);
        row.denied_calls += i64::from(denied);
        counts.tool_calls += i64::from(first);
        counts.denied_calls += i64::from(denied);
    }

    pub(super) fn call_happened(&mut self, row: &mut RunRow, seen: &Seen<'_>, event: &RunEvent, changes: &mut Changes) {
        match event {
            RunEvent::ToolCallProposed { .. } => self.proposed(row, seen, event),
            RunEvent::ApprovalRequested { approval, call, reason, expires_at_us, .. } => {
                row.approvals += 1;
                changes.usage.of(seen, &row.agent, &row.principal).approvals += 1;
                let (approval, call) = (approval.to_string(), call.to_string());
                let asked = self.call(seen, &call).map(|call| {
                    call.approval = Some(approval.clone());
                    (call.tool.clone(), call.risk.clone())
                });
                let expires_at = chrono::DateTime::from_timestamp_micros(*expires_at_us).unwrap_or(seen.at);
                let (tool, risk) = asked.unzip();
                let mut waiting = requested(row, seen, approval.clone(), call, reason);
                (waiting.tool, waiting.risk, waiting.expires_at) = (tool, risk, expires_at);
                self.approvals.insert(approval.clone(), waiting);
                self.approval(seen, &approval);
            }
            RunEvent::ApprovalGranted { approval, granted_by } => {
                let call = self.answered(seen, &approval.to_string(), "granted", granted_by);
                if let Some(call) = call.and_then(|id| self.call(seen, &id)) {
                    "approved".clone_into(&mut call.status);
                }
            }
            RunEvent::ApprovalRefused { approval, refused_by, reason } => {
                let id = approval.to_string();
                let call = self.answered(seen, &id, "refused", refused_by);
                if let Some(approval) = self.approval(seen, &id) {
                    approval.answer = Some(reason.clone());
                }
                if let Some(call) = call.and_then(|id| self.call(seen, &id)) {
                    call.codes = vec!["approval_refused".to_owned()];
                    closed(call, seen, "refused");
                }
            }
            RunEvent::ToolCallStarted { call, attempt, .. } => {
                self.started(row, seen, &call.to_string(), *attempt, changes)
            }
            RunEvent::ToolCallCompleted { call, outcome, duration_us } => {
                let bytes = i64::try_from(outcome.output.size).unwrap_or(i64::MAX);
                let duration = i64::try_from(*duration_us).unwrap_or(i64::MAX);
                row.output_bytes = row.output_bytes.saturating_add(bytes);
                let counts = changes.usage.of(seen, &row.agent, &row.principal);
                counts.output_bytes = counts.output_bytes.saturating_add(bytes);
                counts.tool_time_us = counts.tool_time_us.saturating_add(duration);
                if let Some(call) = self.call(seen, &call.to_string()) {
                    (call.output_bytes, call.duration_us) = (Some(bytes), Some(duration));
                    closed(call, seen, if outcome.succeeded { "succeeded" } else { "failed" });
                }
            }
            RunEvent::RecordingMissing { call, .. } => {
                if let Some(call) = self.call(seen, &call.to_string()) {
                    call.codes = vec!["recording_missing".to_owned()];
                    closed(call, seen, "refused");
                }
            }
            RunEvent::ToolCallInterrupted { call, .. } => {
                self.call(seen, &call.to_string()).into_iter().for_each(|call| closed(call, seen, "interrupted"));
            }
            _ => {}
        }
    }

    fn started(&mut self, row: &mut RunRow, seen: &Seen<'_>, id: &str, attempt: u32, changes: &mut Changes) {
        let call = self.call(seen, id);
        if !call.as_ref().is_some_and(|call| may_start(&call.status)) {
            tracing::error!(position = seen.position, call = id, "view.tables.started_without_allow");
            changes.unallowed += 1;
        }
        let Some(call) = call else { return };
        "started".clone_into(&mut call.status);
        call.attempts = i64::from(attempt);
        call.started_at = call.started_at.or(Some(seen.at));
        let (money, approval) = (call.money_micros, call.approval.clone());
        if attempt == 1 {
            row.money_micros = row.money_micros.saturating_add(money);
            let counts = changes.usage.of(seen, &row.agent, &row.principal);
            counts.money_micros = counts.money_micros.saturating_add(money);
        }
        if let Some(approval) = approval.and_then(|id| self.approval(seen, &id)) {
            "used".clone_into(&mut approval.status);
        }
    }

    /// Gives the call that was answered for.
    fn answered(&mut self, seen: &Seen<'_>, id: &str, status: &str, by: &str) -> Option<String> {
        let approval = self.approval(seen, id)?;
        status.clone_into(&mut approval.status);
        (approval.answered_by, approval.answered_at) = (Some(by.to_owned()), Some(seen.at));
        Some(approval.call.clone())
    }

    fn proposed(&mut self, row: &RunRow, seen: &Seen<'_>, event: &RunEvent) {
        let RunEvent::ToolCallProposed { call, goal, label, tool, arguments_digest, resources, values, .. } = event
        else {
            return;
        };
        let id = call.to_string();
        let proposed = ToolCallRow {
            tenant: row.tenant.clone(),
            run: row.run.clone(),
            call: id.clone(),
            agent: row.agent.clone(),
            principal: row.principal.clone(),
            proposed_by: seen.metadata().actor,
            goal: goal.to_string(),
            label: label.clone(),
            tool: cut(&tool.name, NAME),
            risk: cut(&tool.risk, NAME),
            executor: executor(tool.executor).to_owned(),
            status: "proposed".to_owned(),
            decision: None,
            approval: None,
            codes: Vec::new(),
            paths: paths(resources),
            hosts: hosts(resources),
            arguments_digest: arguments_digest.to_string(),
            attempts: 0,
            money_micros: money(values),
            output_bytes: None,
            duration_us: None,
            proposed_at: seen.at,
            started_at: None,
            ended_at: None,
            position: seen.position,
            last_position: seen.position,
        };
        self.calls.insert(id.clone(), proposed);
        self.call(seen, &id);
    }
}

/// Whether a call that stands there was allowed: at once, by a person, or before an attempt that is repeated.
fn may_start(status: &str) -> bool {
    matches!(status, "allowed" | "approved" | "started")
}

fn closed(call: &mut ToolCallRow, seen: &Seen<'_>, status: &str) {
    status.clone_into(&mut call.status);
    call.ended_at = Some(seen.at);
}

fn requested(row: &RunRow, seen: &Seen<'_>, approval: String, call: String, reason: &str) -> ApprovalRow {
    ApprovalRow {
        tenant: row.tenant.clone(),
        run: row.run.clone(),
        approval,
        call,
        agent: row.agent.clone(),
        principal: row.principal.clone(),
        tool: None,
        risk: None,
        reason: reason.to_owned(),
        status: "waiting".to_owned(),
        answered_by: None,
        answer: None,
        requested_at: seen.at,
        expires_at: seen.at,
        answered_at: None,
        position: seen.position,
        last_position: seen.position,
    }
}

const fn executor(executor: Executor) -> &'static str {
    match executor {
        Executor::Builtin => "builtin",
        Executor::Client => "client",
        Executor::Upstream => "upstream",
    }
}

/// Each path once; as given where it could not be normalised, for then it was asked for all the same.
fn paths(resources: &Resources) -> Vec<String> {
    let named = |path: &xagent_domain::run::PathUse| match path.normal.is_empty() {
        true => path.raw.clone(),
        false => path.normal.clone(),
    };
    once(resources.paths.iter().map(named))
}

/// Each host once; the URL as given where it could not be normalised.
fn hosts(resources: &Resources) -> Vec<String> {
    let named = |url: &xagent_domain::run::UrlUse| match url.host.is_empty() {
        true => url.raw.clone(),
        false => url.host.clone(),
    };
    once(resources.urls.iter().map(named))
}

fn once(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.map(|text| cut(&text, RESOURCE)).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The amounts among the arguments.
fn money(values: &[ArgumentUse]) -> i64 {
    let amounts = values.iter().filter(|value| value.role == Some(ArgumentRole::Amount));
    amounts.filter_map(|value| value.micros).fold(0, i64::saturating_add)
}
