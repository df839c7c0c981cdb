//! `xagent replay`.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use xagent_commands::SystemClock;
use xagent_domain::bundle::Bundles;
use xagent_domain::{Digest, Limits, Tenant};
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_policies::Bulk;
use xagent_projections::RunViews;
use xagent_replay::{Report, StateCheck, verify};

use super::serve::Servers;
use super::terminal::Paint;
use super::{CliError, Context};
use crate::recordings;

/// A decision made again gets more time than it had: what it says matters here, not how fast.
pub const LIMITS: Limits = Limits { timeout_ms: 10_000 };

#[derive(Args)]
#[command(
    after_help = "Exit code: 0 identical, 1 the first divergence is printed with both sides, 2 it could not be replayed.\nA replay reads recordings only: it calls no tool, no policy server and changes nothing."
)]
pub struct Replay {
    /// The run
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "RUN")]
    run: Option<String>,
    /// Every run of the tenant
    #[arg(long)]
    all: bool,
    /// The tenant
    #[arg(long, default_value = "default")]
    tenant: Tenant,
    #[command(flatten)]
    servers: Servers,
}

impl Replay {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        let views = self.servers.redis(&context.home).ok().and_then(|url| RunViews::connect(&url).ok());
        let engine = Arc::new(if self.all { Bulk::new(LIMITS) } else { Bulk::exact(LIMITS) });
        let replayer = Replayer { ledger, views, engine, tenant: self.tenant };
        let runs = match self.run {
            Some(run) => vec![run],
            None => replayer.all().await?,
        };
        let progress = progress(runs.len(), context.json);
        let (mut reports, mut diverged) = (Vec::new(), 0_usize);
        let law = recordings::law(&replayer.ledger).await?;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        // More than there are cores, so that some are read while others are decided again.
        let mut replayed = stream::iter(&runs).map(|run| replayer.under(&law, run)).buffered(2 * cores);
        while let Some(report) = replayed.next().await {
            let report = report?;
            diverged += usize::from(!report.identical);
            progress.inc(1);
            progress.suspend(|| {
                if !context.json && (runs.len() == 1 || !report.identical) {
                    say!("{}", told(&report, Paint::stdout()))
                }
            });
            reports.push(report);
        }
        progress.finish_and_clear();
        if context.json {
            say!("{}", json!({"identical": diverged == 0, "runs": reports}));
        } else if self.all {
            let (events, decisions) = reports.iter().fold((0, 0), |(e, d), r| (e + r.events, d + r.decisions));
            say!(
                "{} runs, {events} events, {decisions} decisions: {} identical, {diverged} diverged",
                runs.len(),
                runs.len() - diverged
            );
        }
        Ok(if diverged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Replays runs from one ledger.
pub struct Replayer {
    pub ledger: Ledger,
    pub views: Option<RunViews>,
    pub engine: Arc<Bulk>,
    pub tenant: Tenant,
}

impl Replayer {
    pub fn new(ledger: Ledger, views: Option<RunViews>, tenant: Tenant) -> Self {
        Self { ledger, views, engine: Arc::new(Bulk::exact(LIMITS)), tenant }
    }

    pub async fn replay(&self, run: &str) -> Result<Report, CliError> {
        self.under(&recordings::law(&self.ledger).await?, run).await
    }

    /// As [`Self::replay`], with the bundles published so far.
    async fn under(&self, law: &Bundles, run: &str) -> Result<Report, CliError> {
        let held = |bundle: &Digest| self.engine.holds(bundle);
        let recordings = recordings::read(&self.ledger, (&self.tenant, run), law, held).await?;
        if recordings.events.is_empty() {
            return Err(CliError::new(format!("there is no run `{run}`"), "list them with `xagent runs`"));
        }
        let view = match &self.views {
            Some(views) => views.get(&self.tenant, run).await.ok().flatten(),
            None => None,
        };
        let engine = self.engine.clone();
        let replayed = tokio::task::spawn_blocking(move || {
            verify(&recordings, &engine, view.as_ref().map(|view| (view.sequence, &view.state)))
        });
        replayed.await.map_err(|error| CliError::new(format!("the replay broke off: {error}"), "report this"))
    }

    async fn all(&self) -> Result<Vec<String>, CliError> {
        let (mut runs, mut before) = (Vec::new(), u64::MAX);
        loop {
            let page = self.ledger.runs(&self.tenant, before, 500).await?;
            let Some((last, _)) = page.last() else { break };
            before = *last;
            runs.extend(page.into_iter().map(|(_, run)| run));
        }
        runs.reverse();
        Ok(runs)
    }
}

fn progress(runs: usize, hidden: bool) -> ProgressBar {
    if runs < 2 || hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left");
    ProgressBar::new(runs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A report for people.
pub fn told(report: &Report, paint: Paint) -> String {
    let counts = format!(
        "{} events, {} commands, {} decisions, {} decided again",
        report.events, report.commands, report.decisions, report.decided_again
    );
    let unanswered = match report.not_decidable_again.len() {
        0 => String::new(),
        count => format!(
            "\n  {count} recorded denials had no answer from the engine and cannot be decided again: {}",
            report.not_decidable_again.join(", ")
        ),
    };
    let Some(divergence) = &report.divergence else {
        let state = match report.state {
            StateCheck::Identical => "the view's state is the same",
            StateCheck::NothingToCompare => "no view of its last state to compare with",
        };
        return format!("{} {}: {counts}; {state}{unanswered}", report.run, paint.good("identical"));
    };
    let decision = divergence.decision.as_ref().map(|id| format!("\n  decision  {id}")).unwrap_or_default();
    format!(
        "{} {}: {}\n  likely    {}\n  position  {} (sequence {}, {}){decision}\n  recorded  {}\n  replayed  {}",
        report.run,
        paint.bad("diverged"),
        divergence.kind,
        divergence.cause,
        divergence.position,
        divergence.sequence,
        divergence.event_type,
        divergence.recorded,
        divergence.replayed,
    )
}
