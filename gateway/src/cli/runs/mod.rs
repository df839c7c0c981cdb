//! `xagent runs`: the list of runs, and one of them through time.

mod compare;
mod diff;
mod show;
mod step;
mod told;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{CliError, Context, lists};

/// What reading a run and its events needs.
const SCOPES: [&str; 2] = ["run:read", "audit:read"];

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct RunsCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: lists::Runs,
}

const EXAMPLES: &str = "Examples:
  xagent runs                                    the youngest ones
  xagent runs --status failed --since 1d         what failed since yesterday
  xagent runs --agent reviewer --format csv -o runs.csv
  xagent runs show run_0193... --at 12           one run as it was after its 12th event
  xagent runs diff run_0193... 12 20             what changed between two of its events
  xagent runs step run_0193...                   step through it, forwards and backwards
  xagent runs compare run_0193... run_0194...    a run and its fork, side by side";

#[derive(Subcommand)]
enum Action {
    /// Show a run, as it is or as it was after any of its events
    Show(show::Show),
    /// Show what changed in a run between two of its events
    Diff(diff::Diff),
    /// Compare two runs, such as one and its fork: where they part, calls and decisions side by side
    Compare(compare::Compare),
    /// Step through a run on the terminal: its events, and state, changes and decision at each
    Step(step::Step),
}

impl RunsCommand {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self.action {
            Some(Action::Show(show)) => show.run(context).await,
            Some(Action::Diff(diff)) => diff.run(context).await,
            Some(Action::Compare(compare)) => compare.run(context).await,
            Some(Action::Step(step)) => step.run(context).await,
            None => self.list.run(context).await,
        }
    }
}
