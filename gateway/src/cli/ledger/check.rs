//! `xagent ledger check`: no server, no network, no folder; files and a public key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use xagent_domain::{CanonicalJson, Recorded};
use xagent_projections::CloudEvent;
use xagent_tree::Verifier;

use super::proof::{Held, ProofFile};
use crate::cli::terminal::Paint;
use crate::cli::{CliError, Context};
use crate::shown::ShownEvent;

#[derive(Args)]
#[command(
    after_help = "Exit code: 0 all of it holds, 1 the first thing that does not is printed, 2 it could not be checked.\nTake the key from where the log's owner published it, never from where the proof comes from."
)]
pub struct Check {
    /// A proof as `xagent ledger proof` or `consistency` prints it
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// A key you trust, NAME+HASH+KEY; may be repeated
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<Verifier>,
    /// An event the proof must be about: an item of GET /v1/runs/{run}/events, or a CloudEvent of the relay
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
}

impl Check {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let file = ProofFile::read(&read(&self.proof)?).map_err(|error| wrong(&self.proof, &error))?;
        let event = self.event.as_deref().map(read_event).transpose()?;
        let paint = Paint::stdout();
        Ok(match file.check(event.as_ref(), &self.keys) {
            Ok(held) => {
                context.print(
                    &json!({"holds": true, "proven": held}),
                    &format!("{} {}", paint.good("holds"), told(&held)),
                );
                ExitCode::SUCCESS
            }
            Err(fault) => {
                context.print(&json!({"holds": false, "fault": fault}), &format!("{} {fault}", paint.bad("broken")));
                ExitCode::FAILURE
            }
        })
    }
}

/// What holds, for people.
fn told(held: &Held) -> String {
    let mut text = format!("a tree of {} events, root {}", held.size, held.root);
    for key in &held.keys {
        text.push_str(&format!("\n  signed by       {key}"));
    }
    match held.positions[..] {
        [] => {}
        [position] => text.push_str(&format!("\n  in it           the event at position {position}")),
        [first, .., last] => text.push_str(&format!("\n  in it           the events at positions {first} to {last}")),
    }
    if held.receipt {
        text.push_str("\n  the receipt     was kept: nothing before it was changed since");
    }
    if held.event {
        text.push_str("\n  the event       is the one that was sealed");
    }
    if let Some(size) = held.follows {
        text.push_str(&format!("\n  it follows on   the kept tree of {size} events"));
    }
    text
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| wrong(path, &error.to_string()))
}

fn wrong(path: &Path, message: &str) -> CliError {
    CliError::new(format!("{}: {message}", path.display()), "check the path, and that the file is whole")
}

/// Payload and metadata are brought into the form that was hashed, whatever spaces a tool put in.
fn read_event(path: &Path) -> Result<Recorded, CliError> {
    let text = read(path)?;
    let no_event = |error: String| wrong(path, &format!("it is no event: {error}"));
    let mut event = match CloudEvent::recorded(text.as_bytes()) {
        Some(event) => event,
        None => serde_json::from_str::<ShownEvent>(&text).map_err(|error| no_event(error.to_string()))?.into(),
    };
    for part in [&mut event.payload, &mut event.metadata] {
        *part = CanonicalJson::parse(part).map_err(|error| no_event(error.to_string()))?.into_string();
    }
    Ok(event)
}
