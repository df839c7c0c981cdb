//! Which history: the filter, as flags, and what of it the ledger is asked.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xagent_domain::{Digest, RunId, Tenant};
use xagent_ledger::{Ledger, LedgerError, Scan};
use xagent_replay::whatif::Filter;

use crate::cli::CliError;
use crate::cli::lists::Moment;

/// All that is given must hold.
#[derive(Args, Clone)]
#[command(next_help_heading = "Which history")]
pub struct Scope {
    /// The tenant
    #[arg(long, default_value = "default")]
    tenant: Tenant,
    /// The decisions of all tenants
    #[arg(long, conflicts_with = "tenant")]
    all_tenants: bool,
    /// After this position
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    after: u64,
    /// Up to this position; otherwise up to the end as it is now
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Since a moment: 2h, 7d, 2026-11-28 or RFC 3339
    #[arg(long, value_name = "MOMENT")]
    since: Option<Moment>,
    /// Before a moment
    #[arg(long, value_name = "MOMENT")]
    until: Option<Moment>,
    /// Of this run
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Of runs of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Of what this principal asked, or of their runs
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Of calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// By this rule
    #[arg(long, value_name = "RULE", value_parser = ["xagent/api/decision", "xagent/tools/decision"])]
    entrypoint: Option<String>,
}

/// What of it is looked at; of a report that is gone on with, what was said first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub after: u64,
    pub to: u64,
    since_us: Option<i64>,
    until_us: Option<i64>,
}

impl Range {
    /// Without the positions before and behind the moments: what is not asked for is not read.
    async fn narrowed(mut self, ledger: &Ledger) -> Result<Self, LedgerError> {
        if let Some(until_us) = self.until_us {
            self.to = ledger.last_before(until_us, self.to).await?.max(self.after);
        }
        if let Some(since_us) = self.since_us {
            let before = ledger.last_before(since_us, self.to).await?;
            if before > self.after {
                self.after = before;
                // That it was recorded before is known only where it is not archived.
                ledger.range(before - 1, 1).await?;
            }
        }
        Ok(self)
    }
}

impl Scope {
    /// The range, and the leaf hash of the first event in it, by which the ledger is known again.
    pub async fn range(&self, ledger: &Ledger) -> Result<(Range, Option<Digest>), CliError> {
        let (after, head) = (self.after, ledger.head().await?.position);
        let to = self.to.unwrap_or(head);
        if to > head || after > to {
            let message = format!("the positions after {after} up to {to} are not there: the ledger ends at {head}");
            return Err(CliError::new(
                message,
                "name positions that are in it, the one of --after before that of --to",
            ));
        }
        let first = match ledger.range(after, 1).await {
            Ok(events) => events.first().map(|event| event.leaf_hash),
            // What is asked for may begin behind the archive.
            Err(LedgerError::Archived { .. }) if self.since.is_some() => None,
            Err(error) => return Err(error.into()),
        };
        let us = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.us);
        let range = Range { after, to, since_us: us(&self.since), until_us: us(&self.until) };
        Ok((range.narrowed(ledger).await?, first))
    }

    /// What is left of the range after `position`.
    pub fn scan(&self, range: &Range, position: u64) -> Scan {
        Scan {
            after: range.after.max(position),
            to: range.to,
            tenant: (!self.all_tenants).then(|| self.tenant.clone()),
            event_type: "DecisionMade",
            run: self.run,
            since_us: range.since_us,
            until_us: range.until_us,
        }
    }

    /// What columns of events do not tell.
    pub fn filter(&self) -> Filter {
        Filter {
            agent: self.agent.clone(),
            principal: self.principal.clone(),
            tool: self.tool.clone(),
            entrypoint: self.entrypoint.clone(),
        }
    }

    /// Which history it is, as it was asked for.
    pub fn asked(&self) -> Value {
        let text = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.text.clone());
        json!({
            "tenant": if self.all_tenants { None } else { Some(&self.tenant) },
            "after": self.after,
            "to": self.to,
            "since": text(&self.since),
            "until": text(&self.until),
            "run": self.run,
            "agent": self.agent,
            "principal": self.principal,
            "tool": self.tool,
            "entrypoint": self.entrypoint,
        })
    }
}
