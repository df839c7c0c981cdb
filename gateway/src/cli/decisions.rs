//! `xagent decisions`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use xagent_commands::SystemClock;
use xagent_domain::bundle::Bundles;
use xagent_domain::decision_log::{DecisionLogEvent, Logged};
use xagent_domain::{Digest, Limits, Tenant, read};
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_policies::{Bundle, Foreign};
use xagent_replay::logged::{Again, decide_again, revision};

use super::lists::DecisionList;
use super::serve::Servers;
use super::{CliError, Context};
use crate::recordings;

const PAGE: u32 = 1000;
const LIMITS: Limits = Limits { timeout_ms: 10_000 };

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Decisions {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: DecisionList,
}

const EXAMPLES: &str = "Examples:
  xagent decisions                                       the youngest ones
  xagent decisions --denied --since 1h --format csv      last hour's denials, as CSV
  xagent decisions --code path_outside_workspace --since 7d
  xagent decisions --command read.events --principal eve who read the record
  xagent decisions --tool http_fetch -o decisions.parquet";

#[derive(Subcommand)]
enum Action {
    /// Decide again what stock OPA servers have reported to `/logs`, and compare
    #[command(
        after_help = "Exit code: 0 all identical, 1 some are different or cannot be decided again, 2 it could not be done.\nA bundle is found by its revision: the digest of one published here, or `--bundle REVISION=FOLDER`.\nNothing outside is asked: answers OPA got from outside are taken from its nd_builtin_cache."
    )]
    Replay(Box<Replay>),
}

#[derive(Args)]
struct Replay {
    /// A bundle as `REVISION=FOLDER`; may be repeated
    #[arg(long = "bundle", value_name = "REVISION=FOLDER", value_parser = named)]
    bundles: Vec<(String, PathBuf)>,
    /// The tenant
    #[arg(long, default_value = "default")]
    tenant: Tenant,
    #[command(flatten)]
    servers: Servers,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (revision, folder) = text.split_once('=').ok_or("write it as REVISION=FOLDER")?;
    Ok((revision.to_owned(), PathBuf::from(folder)))
}

#[derive(Default)]
struct Found {
    identical: u64,
    different: Vec<Value>,
    undecidable: Vec<Value>,
}

impl Decisions {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self.action {
            Some(Action::Replay(replay)) => replay.run(context).await,
            None => self.list.run(context).await,
        }
    }
}

impl Replay {
    async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        let mut shelf = Shelf { ledger: ledger.clone(), known: BTreeMap::new() };
        for (revision, folder) in &self.bundles {
            let bundle = Bundle::from_folder(folder).and_then(|bundle| Foreign::new(&bundle, LIMITS));
            let bundle = bundle.map_err(|error| CliError::new(error.to_string(), "mend the bundle"))?;
            shelf.known.insert(revision.clone(), Some(bundle));
        }
        let (mut found, mut at) = (Found::default(), 0);
        loop {
            let events = ledger.range(at, PAGE).await?;
            for event in events.iter().filter(|e| e.tenant == self.tenant && e.event_type == "DecisionLogged") {
                let logged = read(&event.event_type, &event.event_version, &event.payload);
                if let Ok(DecisionLogEvent::DecisionLogged(logged)) = logged {
                    shelf.hold(&logged, &mut found).await?;
                }
            }
            let Some(last) = events.last() else { break };
            at = last.position;
        }
        Ok(found.tell(context))
    }
}

/// Bundles by revision; none where there is none.
struct Shelf {
    ledger: Ledger,
    known: BTreeMap<String, Option<Foreign>>,
}

impl Shelf {
    async fn hold(&mut self, logged: &Logged, found: &mut Found) -> Result<(), CliError> {
        let text = match &logged.event.text {
            Some(text) => Some(text.clone()),
            None => recordings::blob(&self.ledger, &logged.event.digest).await?,
        };
        let event: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let id = &logged.decision_id;
        let again = match revision(&event).map(str::to_owned) {
            None => Again::Undecidable("it does not name one bundle".to_owned()),
            Some(revision) => match self.bundle(&revision).await? {
                Some(bundle) => decide_again(&event, bundle),
                None => Again::Undecidable(format!("there is no bundle of revision {revision}: give it by --bundle")),
            },
        };
        match again {
            Again::Identical => found.identical += 1,
            Again::Different { recorded, replayed } => {
                found.different.push(json!({"decision": id, "recorded": recorded, "replayed": replayed}));
            }
            Again::Undecidable(why) => found.undecidable.push(json!({"decision": id, "why": why})),
        }
        Ok(())
    }

    async fn bundle(&mut self, revision: &str) -> Result<Option<&Foreign>, CliError> {
        if !self.known.contains_key(revision) {
            let bundle = published(&self.ledger, revision).await?;
            let bundle = bundle.and_then(|bundle| Foreign::new(&bundle, LIMITS).ok());
            self.known.insert(revision.to_owned(), bundle);
        }
        Ok(self.known.get(revision).and_then(Option::as_ref))
    }
}

async fn published(ledger: &Ledger, revision: &str) -> Result<Option<Bundle>, CliError> {
    let Ok(digest) = revision.parse::<Digest>() else { return Ok(None) };
    let law = ledger.load::<Bundles>(&Tenant::default_tenant(), "policies").await?.state;
    match law.published(&digest) {
        Some(manifest) => Ok(recordings::bundle(ledger, manifest).await?),
        None => Ok(None),
    }
}

impl Found {
    fn tell(self, context: &Context) -> ExitCode {
        let Self { identical, different, undecidable } = self;
        let mut text = format!(
            "{identical} decisions identical, {} different, {} cannot be decided again",
            different.len(),
            undecidable.len()
        );
        for one in different.iter().chain(&undecidable).take(20) {
            text += &format!("\n  {one}");
        }
        let good = different.is_empty() && undecidable.is_empty();
        context.print(&json!({"identical": identical, "different": different, "undecidable": undecidable}), &text);
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
