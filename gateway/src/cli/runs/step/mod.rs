//! `xagent runs step`: a run on the terminal, event by event, forwards and backwards.

mod draw;
mod keys;
mod screen;
#[cfg(test)]
mod tests;
mod timeline;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;
use xagent_domain::RunId;

use super::super::remote::Remote;
use super::super::run::all_events;
use super::{CliError, Context, SCOPES};
use screen::Screen;
use timeline::Timeline;

#[derive(Args)]
#[command(after_help = "Keys:
  up, down, k, j     to the event before, to the next one
  Home, End          to the first, to the last
  g NUMBER Enter     to an event by its sequence
  Tab, 1, 2, 3       show the event, what it changed, the state after it
  PgUp, PgDn         scroll what is shown
  q, Esc, Ctrl-C     leave

Where there is no terminal, `xagent runs show RUN --at N` and `xagent runs diff RUN A B` tell the same.")]
pub struct Step {
    /// The run
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Begin at this event; otherwise at the last
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    at: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

impl Step {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        if context.json || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            let remedy = "use `xagent runs show RUN --at N` and `xagent runs diff RUN A B`, which print, also as JSON";
            return Err(CliError::new("a run is stepped through on a terminal, and this is none", remedy));
        }
        let client = self.remote.client(context, &SCOPES)?;
        let run = self.run.to_string();
        let timeline = Timeline::of(&run, all_events(&client, &run).await?)?;
        let last = timeline.moments().len();
        let at = self.at.map_or(last, |at| usize::try_from(at).unwrap_or(usize::MAX));
        if at > last {
            let remedy = format!("name a sequence from 1 to {last}");
            return Err(CliError::new(format!("{run} has no event {at}"), remedy));
        }
        screen::show(Screen::new(timeline, at, std::env::var_os("NO_COLOR").is_none())).await?;
        Ok(ExitCode::SUCCESS)
    }
}
