//! What an event of a run means to the lists of its tenant: runs that go on, approvals that wait.

use chrono::{DateTime, Utc};
use xagent_domain::Recorded;
use xagent_domain::run::{ApprovalState, RunEvent};

use super::RunView;
use super::cache::RunKey;
use super::change::{Changes, List};
use super::overview::LiveRun;
use crate::ApprovalRow;

/// A run that nothing happened to for a week goes on no more.
const IDLE_US: i64 = 7 * 24 * 3_600_000_000;

/// Where a run stands among those that go on.
pub(super) enum Noted {
    /// It goes on.
    Live(Box<LiveRun>),
    /// It has ended, or cannot be read.
    Gone,
}

impl Noted {
    pub fn give(&self, (tenant, run): &RunKey, changes: &mut Changes) {
        match self {
            Self::Gone => changes.unlist(tenant, List::Live, run),
            Self::Live(row) => {
                let at_us = row.updated_at.timestamp_micros();
                changes.list(tenant, List::Live, run, (at_us, at_us - IDLE_US), row);
            }
        }
    }
}

/// Notes what an event, which `view` has already, means to the approvals; gives where the run stands.
pub(super) fn note(key: &RunKey, event: &Recorded, fact: &RunEvent, view: &RunView, changes: &mut Changes) -> Noted {
    match fact {
        RunEvent::ApprovalRequested { approval, .. } => {
            if let Some(row) = waiting(key, event, &approval.to_string(), view) {
                let score = (row.expires_at.timestamp_micros(), event.recorded_at_us);
                changes.list(&key.0, List::Approvals, &row.approval, score, &row);
            }
        }
        RunEvent::ApprovalGranted { approval, .. } | RunEvent::ApprovalRefused { approval, .. } => {
            changes.unlist(&key.0, List::Approvals, &approval.to_string());
        }
        _ => {}
    }
    let state = &view.state;
    if state.status().has_ended() {
        return Noted::Gone;
    }
    Noted::Live(Box::new(LiveRun {
        run: key.1.clone(),
        agent: state.agent().to_owned(),
        principal: state.principal_id().to_owned(),
        status: state.status().as_str().to_owned(),
        goal: state.goal_text().chars().take(LiveRun::GOAL).collect(),
        sequence: view.sequence,
        updated_at: moment(view.updated_at_us),
    }))
}

/// The approval that was asked for just now, as the query tables have it.
fn waiting((tenant, run): &RunKey, event: &Recorded, id: &str, view: &RunView) -> Option<ApprovalRow> {
    let state = &view.state;
    let (_, asked) = state.approvals().find(|(approval, _)| approval.to_string() == id)?;
    if asked.state != ApprovalState::Waiting {
        return None;
    }
    let tool = state.call(&asked.call).map(|call| &call.tool);
    let position = i64::try_from(event.position).unwrap_or(i64::MAX);
    Some(ApprovalRow {
        tenant: tenant.clone(),
        run: run.clone(),
        approval: id.to_owned(),
        call: asked.call.to_string(),
        agent: state.agent().to_owned(),
        principal: state.principal_id().to_owned(),
        tool: tool.map(|tool| tool.name.clone()),
        risk: tool.map(|tool| tool.risk.clone()),
        reason: asked.reason.clone(),
        status: "waiting".to_owned(),
        answered_by: None,
        answer: None,
        requested_at: moment(event.recorded_at_us),
        expires_at: moment(asked.expires_at_us),
        answered_at: None,
        position,
        last_position: position,
    })
}

fn moment(at_us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at_us).unwrap_or_default()
}
