//! `xagent archive`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use xagent_commands::SystemClock;
use xagent_ledger::{Ledger, LedgerOptions, MovedRange};

use super::progress::progress;
use super::serve::Servers;
use super::{CliError, Context};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Archive {
    #[command(flatten)]
    servers: Servers,
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "Examples:
  xagent archive list                              which ranges are here, and which in files
  xagent archive detach /cold/events-1.xa          move the oldest range to a file
  xagent verify --archive /cold/events-1.xa        verify through the file
  xagent archive attach /cold/events-1.xa          move it back";

#[derive(Subcommand)]
enum Action {
    /// List the ranges of events, here and in files
    List,
    /// Move the oldest range to a file: written, read back, checked, and only then taken out of the database
    Detach {
        /// The file; it must not exist yet. Keep it as safe as the database
        file: PathBuf,
        /// Refuse unless the oldest range begins at this position
        #[arg(long, value_name = "POSITION")]
        first: Option<u64>,
    },
    /// Move the youngest archived range back from its file; nothing is moved unless all of it holds
    Attach {
        /// The file; it stays where it is
        file: PathBuf,
    },
}

impl Archive {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        match self.action {
            Action::List => list(context, &ledger).await?,
            Action::Detach { file, first } => {
                let events = ledger.attached().await?.first().map_or(0, |(first, past)| past - first);
                let progress = progress(events, context.json);
                let moved = ledger.detach(&database, &file, first, |done| progress.set_position(done)).await?;
                progress.finish_and_clear();
                print(context, "detached", &moved);
            }
            Action::Attach { file } => {
                let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
                let known = ledger.archives().await?.into_iter().find(|range| Some(&range.file) == name.as_ref());
                let progress = progress(known.map_or(0, |range| range.events), context.json);
                let moved = ledger.attach(&database, &file, |done| progress.set_position(done)).await?;
                progress.finish_and_clear();
                print(context, "attached", &moved);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(context: &Context, ledger: &Ledger) -> Result<(), CliError> {
    let (archived, attached) = (ledger.archives().await?, ledger.attached().await?);
    let mut lines: Vec<_> = archived
        .iter()
        .map(|range| format!("{:>14} to {:>14}  archived in {}", range.first, range.past - 1, range.file))
        .collect();
    lines.extend(attached.iter().map(|(first, past)| format!("{first:>14} to {:>14}  here", past - 1)));
    let attached: Vec<_> = attached.iter().map(|(first, past)| json!({"first": first, "past": past})).collect();
    context.print(&json!({"archived": archived, "attached": attached}), &lines.join("\n"));
    Ok(())
}

fn print(context: &Context, done: &str, moved: &MovedRange) {
    let MovedRange { first, past, file, sha256, events } = moved;
    let text = format!("{done} positions {first} to {}, {events} events, file {file}, sealed with {sha256}", past - 1);
    context.print(&json!({"done": done, "range": moved}), &text);
}
