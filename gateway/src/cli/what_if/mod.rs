//! `xagent what-if`: history decided again under another bundle, before that bundle decides anything.

mod html;
mod junit;
mod kept;
mod recorded;
mod scope;
mod sources;
mod summary;
mod text;
mod walk;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use xagent_commands::SystemClock;
use xagent_domain::bundle::Bundles;
use xagent_domain::{Digest, Tenant};
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_policies::{Bulk, Bundle, Trust};
use xagent_replay::whatif::{Gate, GateError, Sampling, Settings};

use super::policy::bundle_of_files;
use super::remote::Remote;
use super::replay::LIMITS;
use super::serve::Servers;
use super::terminal::Paint;
use super::{CliError, Context};
use crate::recordings;
use kept::Kept;
pub use recorded::recorded;
use scope::{Range, Scope};
use sources::FromLedger;
use summary::{Pace, Summary};
use walk::walk;

/// Decisions whose reach is counted, about, where not all are.
const SAMPLE: u64 = 2000;

const MORE: &str = "Exit code: 0 done, 1 something that --fail-on names was found, 2 it could not be done.
It reads recordings only: nothing is called, nothing is decided anew, and nothing changes.

Every decision is made again by BUNDLE. Those that come out otherwise, and those that another
engine made, are also made again by the bundle that made them, so that what today's engine changes
is told apart; --confirm asks it about every decision. --fail-on takes deny-to-allow,
allow-to-deny, approval (all of approval-to-allow, deny-to-approval, allow-to-approval,
approval-to-deny), reasons, engine and any, with commas; where it is given, decisions that could
not be made again fail too.

Examples:
  xagent what-if my-policies
  xagent what-if my-policies --since 7d --tool http_fetch
  xagent what-if my-policies --fail-on deny-to-allow --junit what-if.xml --html what-if.html
  xagent what-if 3f0c... --run run_0193...
  xagent what-if my-policies --record                    keep the report in the ledger, to be cited
  xagent what-if my-policies --resume /tmp/progress      go on where a run that was killed stopped";

#[derive(Args)]
#[command(after_help = MORE)]
pub struct WhatIf {
    /// A folder, an archive, the digest of a recorded bundle, or `stock`
    #[arg(value_name = "BUNDLE")]
    bundle: String,
    #[command(flatten)]
    scope: Scope,
    /// Fail, with exit code 1, where such changes are found
    #[arg(long, value_name = "FINDINGS", default_value = "", hide_default_value = true, value_parser = gate)]
    fail_on: Gate,
    /// Show so many examples of each kind of change
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=100))]
    examples: u16,
    /// Of which decisions it is counted what of the bundle they reach
    #[arg(long, value_enum, default_value_t = CoverageOf::Sample)]
    coverage: CoverageOf,
    /// Ask the bundle that decided again about every decision, not only where BUNDLE says something else
    #[arg(long)]
    confirm: bool,
    /// Keep in this file how far it is, and go on from there where it was stopped
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Write the report as one HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the findings as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Have the server record the report, so that the approval of a change of policy can cite it
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CoverageOf {
    /// Of those that change, and about two thousand others
    Sample,
    /// Of all: exact, and slower
    All,
    /// Of none
    None,
}

fn gate(text: &str) -> Result<Gate, String> {
    if text.is_empty() {
        return Ok(Gate::default());
    }
    text.parse().map_err(|error: GateError| error.to_string())
}

impl WhatIf {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        let law = ledger.load::<Bundles>(&Tenant::default_tenant(), "policies").await?.state;
        let candidate = Arc::new(candidate(&ledger, &law, &self.bundle).await?);
        let engine = Arc::new(Bulk::new(LIMITS));
        let unfit = |error: &dyn std::error::Error| {
            CliError::new(
                format!("{}: {error}", self.bundle),
                "mend it; `xagent policy check` says all that is in its way",
            )
        };
        let digest = engine.load(&candidate).map_err(|error| unfit(&error))?;
        let (range, first) = self.scope.range(&ledger).await?;
        let subject = json!({
            "bundle": digest,
            "engine": engine.authority(),
            "history": self.scope.asked(),
            "first event": first,
            "--examples": self.examples,
            "--confirm": self.confirm,
            "--coverage": self.coverage.to_possible_value().map(|value| value.get_name().to_owned()),
        });
        let (mut kept, tally) = Kept::open(self.resume.clone(), subject, range)?;
        let range = kept.range().clone();
        let settings = Settings {
            sampling: self.sampling(&range),
            filter: self.scope.filter(),
            sources: Arc::new(FromLedger::new(ledger.clone(), law).await?),
            examples: usize::from(self.examples),
            confirm: self.confirm,
            candidate,
            engine,
            digest,
        };
        let (begin, before) = (Instant::now(), tally.decided);
        let scan = self.scope.scan(&range, tally.position);
        let tally = walk(&ledger, &scan, &settings, tally, &mut kept, context.json).await?;
        let pace = Pace::of(tally.decided.saturating_sub(before), begin.elapsed());
        let asked = self.scope.asked();
        let summary = Summary::of((&self.bundle, asked), &range, &settings, &tally, &self.fail_on, pace);
        self.write(&summary)?;
        let recorded = if self.record { Some(self.record(context, &summary).await?) } else { None };
        kept.done();
        let (mut said, mut text) = (summary.json(), text::told(&summary, Paint::stdout()));
        if let Some(recorded) = recorded {
            text += &format!("\nRecorded at position {}.", recorded["receipt"]["last_position"]);
            said["recorded"] = recorded;
        }
        context.print(&said, &text);
        Ok(if summary.stopped_by.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn sampling(&self, range: &Range) -> Sampling {
        match self.coverage {
            CoverageOf::None => Sampling::None,
            CoverageOf::All => Sampling::OneIn(1),
            CoverageOf::Sample => {
                let every = range.to.saturating_sub(range.after) / SAMPLE;
                Sampling::OneIn(u32::try_from(every).unwrap_or(u32::MAX).max(1))
            }
        }
    }

    /// Posts the report to the server.
    async fn record(&self, context: &Context, summary: &Summary<'_>) -> Result<Value, CliError> {
        let client = self.remote.client(context, &["replay:write"])?;
        client.post("/v1/replays", &summary.to_record()).await
    }

    fn write(&self, summary: &Summary<'_>) -> Result<(), CliError> {
        let html = self.html.as_ref().map(|file| (file, html::page(summary)));
        let junit = self.junit.as_ref().map(|file| (file, junit::page(summary)));
        for (file, text) in html.into_iter().chain(junit) {
            std::fs::write(file, text).map_err(|error| unwritable(file, &error))?;
        }
        Ok(())
    }
}

/// The bundle that history is held to.
async fn candidate(ledger: &Ledger, law: &Bundles, source: &str) -> Result<Bundle, CliError> {
    if source == "stock" {
        return Bundle::stock().map_err(|error| CliError::new(error.to_string(), "report this"));
    }
    let Ok(digest) = source.parse::<Digest>() else { return bundle_of_files(Path::new(source), &Trust::Unchecked) };
    let missing = || {
        CliError::new(
            format!("no bundle {digest} is recorded, or not all of it"),
            "`xagent policy list` shows which are",
        )
    };
    let manifest = law.published(&digest).ok_or_else(missing)?;
    recordings::bundle(ledger, manifest).await?.ok_or_else(missing)
}

fn unwritable(file: &Path, error: &std::io::Error) -> CliError {
    CliError::new(format!("{}: {error}", file.display()), "name a file in a folder that exists and can be written")
}
