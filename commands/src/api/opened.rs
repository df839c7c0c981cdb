//! Runs opened for clients that name none: one per principal, client and workspace, ended when it is idle.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use xagent_domain::run::{Act, Call, CallStatus, Priority, Run, RunStatus};
use xagent_domain::{CanonicalJson, CommandId, Decider, IdError, RunId, Tenant};
use xagent_ledger::LedgerError;

use super::runs::OPENED;
use super::{Caller, Commands, PlannerRequest, RunRequest};
use crate::governed::Request;
use crate::{CommandError, InvalidInput};

/// Runs opened for one client in a day at most: more would be found one after the other.
const MOST_A_DAY: u32 = 1000;
/// Wakes read at once.
const PAGE: u32 = 1000;

impl Commands {
    /// The run that is open for this client of the caller. Its key is drawn from whose it is and from the day, so that
    /// all servers of a ledger open and find the same one.
    pub async fn open_run(
        &self,
        caller: &Caller,
        client: &str,
        workspace: Option<&str>,
    ) -> Result<RunId, CommandError> {
        let invalid = |error: IdError| InvalidInput::new("/client", error.to_string());
        for number in 0..MOST_A_DAY {
            let key = self.opening(caller, client, workspace, number)?;
            let request = RunRequest {
                agent: format!("{OPENED}{client}"),
                goal: format!("what the MCP client `{client}` calls tools for"),
                planner: PlannerRequest::Client,
                workspace: workspace.map(str::to_owned),
                priority: Priority::Normal,
            };
            let started = match self.start(&Caller { key: Some(key), ..caller.clone() }, request).await {
                // Somebody took the key for something else: the next one will do.
                Err(CommandError::Ledger(LedgerError::KeyReused { .. })) => continue,
                started => started?.run,
            };
            let state = self.ledger().load::<Run>(&caller.principal.tenant, &started).await?.state;
            if !state.status().has_ended() {
                return Ok(started.parse().map_err(invalid)?);
            }
        }
        Err(CommandError::Contended(format!("of runs for `{client}`")))
    }

    fn opening(
        &self,
        caller: &Caller,
        client: &str,
        workspace: Option<&str>,
        number: u32,
    ) -> Result<CommandId, InvalidInput> {
        let invalid = |message: String| InvalidInput::new("/client", message);
        let whose = json!({"client": client, "principal": caller.principal.id, "workspace": workspace});
        let whose = CanonicalJson::of_value(&whose).map_err(|error| invalid(error.to_string()))?.digest();
        let day = self.executor.now_us() / 86_400_000_000;
        format!("{OPENED}{whose}/{day}/{number}").parse().map_err(|error: IdError| invalid(error.to_string()))
    }

    /// Opened runs that have not ended, of every tenant.
    pub async fn opened_runs(&self) -> Result<Vec<(Tenant, String)>, CommandError> {
        let (mut position, mut going) = (0, BTreeSet::new());
        loop {
            let wakes = self.ledger().wakes(position, PAGE).await?;
            let Some(last) = wakes.last() else { break };
            position = last.position;
            for wake in wakes {
                let key = (wake.tenant, wake.aggregate_id);
                match wake.event_type.as_str() {
                    "RunStarted" => drop(going.insert(key)),
                    "RunCompleted" | "RunFailed" | "RunCancelled" => drop(going.remove(&key)),
                    _ => {}
                }
            }
        }
        let mut opened = Vec::new();
        for (tenant, run) in going {
            if self.ledger().load::<Run>(&tenant, &run).await?.state.agent().starts_with(OPENED) {
                opened.push((tenant, run));
            }
        }
        Ok(opened)
    }

    /// Ends an opened run, as the system, where nothing is open in it and nothing has happened in it for `idle`. True
    /// where it has ended.
    pub async fn close_idle_run(&self, tenant: &Tenant, run: &str, idle: Duration) -> Result<bool, CommandError> {
        let loaded = self.ledger().load::<Run>(tenant, run).await?;
        let now_us = self.executor.now_us();
        let is_open = |call: &Call| stands_open(&loaded.state, call, now_us);
        if loaded.state.status() != RunStatus::Running || loaded.state.open_calls().any(is_open) {
            return Ok(loaded.state.status().has_ended());
        }
        let last = self.ledger().stream(tenant, Run::TYPE, run, loaded.sequence.saturating_sub(1), 1).await?;
        let idle_us = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
        if last.last().is_none_or(|event| event.recorded_at_us.saturating_add(idle_us) > now_us) {
            return Ok(false);
        }
        let summary = format!("its client was idle for {} s", idle.as_secs());
        let request = Request {
            tenant: tenant.clone(),
            aggregate_id: run.to_owned(),
            act: Act::Finish { achieved: true, summary },
            intent: None,
            on_behalf_of: None,
            blobs: Vec::new(),
            metadata: self.system_metadata("system:mcp", run),
            key: None,
        };
        self.executor.execute::<Run>(request).await?;
        Ok(true)
    }
}

/// Whether something may still come of the call. Nothing comes of a question nobody answered in time.
fn stands_open(run: &Run, call: &Call, now_us: i64) -> bool {
    let approval = call.approval.and_then(|id| run.approval(&id));
    call.status != CallStatus::AwaitingApproval || approval.is_some_and(|asked| asked.expires_at_us > now_us)
}
