//! `xagent rebuild`: views from zero, beside those that serve.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;
use xagent_commands::SystemClock;
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_projections::{
    AuditError, Built, Lines, Loki, OtlpLogs, Rebuild as Builder, Rewound, RunViews, Tables, TablesDigest, TablesError,
    Target, ViewError, ViewsRebuild,
};

use super::progress::progress;
use super::serve::Servers;
use super::terminal::Paint;
use super::{CliError, Context};

#[derive(Clone, Copy, ValueEnum)]
enum View {
    /// The query tables: runs, goals, decisions, tool calls, approvals, usage, switches
    Tables,
    /// The short-term views in Redis: runs, memories, live runs, approvals that wait, latest decisions, usage by hour
    Redis,
    /// The audit trail in Loki
    AuditLoki,
    /// The audit trail at an OTLP receiver
    AuditOtlp,
    /// The audit trail as JSON lines
    AuditLines,
}

#[derive(Args)]
#[command(after_help = "The live view serves meanwhile, and is replaced in one step at the end.

Examples:
  xagent rebuild tables              fill them again from the events
  xagent rebuild tables --check      fill them again, compare, change nothing: exit code 1 where they differ
  xagent rebuild tables --to 5000    the tables as of position 5000, as the schema views_at_5000
  xagent rebuild tables --drop 5000  drop those
  xagent rebuild redis               the same for the short-term views in Redis; --check, --to and --drop too
  xagent rebuild audit-loki --from 1 send the audit trail again from position 1 on, to a Loki that lost it")]
pub struct Rebuild {
    /// The view
    #[arg(value_enum)]
    view: View,
    /// As of this position, to be looked at: nothing is replaced
    #[arg(long, value_name = "POSITION", conflicts_with_all = ["check", "drop", "from"])]
    to: Option<u64>,
    /// Compare with the live view, digest by digest, and change nothing
    #[arg(long, conflicts_with_all = ["drop", "from"])]
    check: bool,
    /// Drop what `--to` made
    #[arg(long, value_name = "POSITION", conflicts_with = "from")]
    drop: Option<u64>,
    /// Of an audit trail: the position from which on it is sent again, by the server that keeps it
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    #[command(flatten)]
    servers: Servers,
}

impl Rebuild {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        let rewound = match (self.view, self.from) {
            (View::Tables | View::Redis, None) => None,
            (View::Tables | View::Redis, Some(_)) => {
                return Err(CliError::new("this view is rebuilt as a whole", "leave --from out"));
            }
            (_, None) => {
                return Err(CliError::new("an audit trail is sent again from a position", "say --from POSITION"));
            }
            (View::AuditLoki, Some(from)) => Some((from, Rewound::to::<Loki>(&ledger, &database, from).await?)),
            (View::AuditOtlp, Some(from)) => Some((from, Rewound::to::<OtlpLogs>(&ledger, &database, from).await?)),
            (View::AuditLines, Some(from)) => Some((from, Rewound::to::<Lines>(&ledger, &database, from).await?)),
        };
        if let Some((from, Rewound { was, events })) = rewound {
            let said =
                format!("The trail, which was at position {was}, is sent again from {from} on: {events} events.");
            context.print(&json!({"from": from, "was": was, "events": events}), &said);
            return Ok(ExitCode::SUCCESS);
        }
        let builder = self.builder(context, ledger, &database)?;
        if let Some(position) = self.drop {
            builder.drop_at(position).await?;
            context.print(&json!({"dropped": position}), &format!("What was built as of {position} is dropped."));
            return Ok(ExitCode::SUCCESS);
        }
        let target = match (self.to, self.check) {
            (Some(position), _) => Target::At(position),
            (None, true) => Target::Check,
            (None, false) => Target::Live,
        };
        let bar = progress(0, context.json);
        let told = |done: u64, of: u64| {
            bar.set_length(of);
            bar.set_position(done);
        };
        let built = builder.run(target, &told).await;
        bar.finish_and_clear();
        Ok(tell(context, &built?, self.view))
    }

    fn builder(&self, context: &Context, ledger: Ledger, database: &str) -> Result<Builders, CliError> {
        if matches!(self.view, View::Redis) {
            let views = RunViews::connect(&self.servers.redis(&context.home)?)?;
            return Ok(Builders::Redis(ViewsRebuild::new(ledger, views)));
        }
        Ok(Builders::Tables(Builder::new(ledger, Tables::connect(database)?)))
    }
}

/// What builds a view.
enum Builders {
    Tables(Builder),
    Redis(ViewsRebuild),
}

impl Builders {
    async fn run(&self, target: Target, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Built, CliError> {
        match self {
            Self::Tables(builder) => Ok(builder.run(target, told).await?),
            Self::Redis(builder) => Ok(builder.run(target, told).await?),
        }
    }

    async fn drop_at(&self, position: u64) -> Result<(), CliError> {
        match self {
            Self::Tables(builder) => Ok(builder.drop_at(position).await?),
            Self::Redis(builder) => Ok(builder.drop_at(position).await?),
        }
    }
}

fn tell(context: &Context, built: &Built, view: View) -> ExitCode {
    let different = built.live.as_ref().map(|live| differences(live, &built.built));
    let equal = different.as_ref().is_none_or(Vec::is_empty);
    let mut said = json!({"build": built});
    if let Some(different) = &different {
        said["equal"] = json!(equal);
        said["different"] = json!(different);
    }
    context.print(&said, &text(built, different.as_deref(), view));
    if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn differences(live: &TablesDigest, built: &TablesDigest) -> Vec<&'static str> {
    let differ = live.tables.iter().filter(|(name, digest)| built.tables.get(*name) != Some(digest));
    differ.map(|(name, _)| *name).collect()
}

fn text(built: &Built, different: Option<&[&str]>, view: View) -> String {
    let (what, name, place) = match view {
        View::Redis => ("views", "redis", "generation"),
        _ => ("tables", "tables", "schema"),
    };
    let Built { schema, events, folded_ms, events_per_second, built, .. } = built;
    let mut text = format!("{events} events in {folded_ms} ms: {events_per_second} a second\n");
    for (name, table) in &built.tables {
        text += &format!("  {name:<11}  {:>9} rows  {}\n", table.rows, table.digest);
    }
    if built.unreadable > 0 {
        text += &format!("  {} events could not be read: the log names them\n", built.unreadable);
    }
    let paint = Paint::stdout();
    text += &match (schema, different) {
        (_, Some([])) => paint.good(&format!("The live {what} are the same at position {}.", built.position)),
        (_, Some(different)) => paint.bad(&format!(
            "The live {what} differ at position {}: {}. `xagent rebuild {name}` replaces them.",
            built.position,
            different.join(", ")
        )),
        (Some(schema), None) if schema == "views" || schema.starts_with('g') => {
            format!("They are live, from position {} on.", built.position)
        }
        (Some(schema), None) => format!("They are in the {place} {schema}; `--drop {}` drops it.", built.position),
        (None, None) => String::new(),
    };
    text
}

impl From<AuditError> for CliError {
    fn from(error: AuditError) -> Self {
        let remedy = match &error {
            AuditError::Ahead { .. } => "name a position that is in the ledger",
            AuditError::Moved { .. } => "try again: it has just gone on",
            _ => "is Postgres up, and was `xagent migrate` run? See XAGENT_DATABASE_URL",
        };
        Self::new(error.to_string(), remedy)
    }
}

impl From<ViewError> for CliError {
    fn from(error: ViewError) -> Self {
        let remedy = match &error {
            ViewError::Ledger(_) => {
                "a ledger whose oldest events are archived needs them back: `xagent archive attach FILE`"
            }
            ViewError::Busy => "wait for the other one to end",
            ViewError::Ahead { .. } => "name a position that is in the ledger",
            ViewError::Moved => "try again when fewer events come in",
            _ => "is Redis up? See XAGENT_REDIS_URL",
        };
        Self::new(error.to_string(), remedy)
    }
}

impl From<TablesError> for CliError {
    fn from(error: TablesError) -> Self {
        let remedy = match &error {
            TablesError::Ledger(_) => {
                "a ledger whose oldest events are archived needs them back: `xagent archive attach FILE`"
            }
            TablesError::Busy => "wait for the other one to end",
            TablesError::Ahead { .. } => "name a position that is in the ledger",
            _ => "is Postgres up, and was `xagent migrate` run? See XAGENT_DATABASE_URL",
        };
        Self::new(error.to_string(), remedy)
    }
}
