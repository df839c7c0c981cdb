//! `xagent tail`: what is recorded, line by line as it happens.

pub mod line;
mod parse;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rand::Rng;
use serde_json::Value;

use super::remote::Remote;
use super::terminal::Paint;
use super::{CliError, Context};
use parse::{Block, Parser};

/// Attempts to come back before it is given up, and the longest pause between two: about ten minutes.
const ATTEMPTS: u32 = 60;
const LONGEST_PAUSE_MS: u64 = 10_000;
/// A stream that is silent for longer than any heartbeat is dead.
const SILENCE: Duration = Duration::from_secs(330);

#[derive(Clone, Copy, ValueEnum)]
enum Verdict {
    Allow,
    Deny,
    Approval,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Tail {
    /// Only events of this run
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Only events of runs of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only events of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events about calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only decisions that came out so
    #[arg(long, value_enum, value_name = "VERDICT")]
    decision: Option<Verdict>,
    /// Only denials: the same as `--decision deny`
    #[arg(long, conflicts_with = "decision")]
    denied: bool,
    /// Begin at this position; 1 is the beginning. Otherwise only what happens from now on is shown
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

const EXAMPLES: &str = "Examples:
  xagent tail                                    everything, from now on
  xagent tail --denied                           what the policies deny
  xagent tail --run run_0193... --from 1         a run from its beginning, then live
  xagent tail --type ToolCallStarted --type ToolCallCompleted
  xagent tail --tool http_fetch --json | jq .payload
  xagent tail --from 1 --json > events.ndjson    the whole record, one event a line, and on

Where the connection breaks it comes back and goes on behind the last event, without loss and without repeating one.
Ctrl-C ends it.";

/// How a connection ended.
enum Broken {
    /// Come back.
    Again(String),
    /// Nobody reads standard output any more.
    Unread,
}

impl Tail {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let (mut last, mut failures) = (None, 0);
        loop {
            // Anew each time, for the token before may have expired.
            let client = self.remote.client(context, &["audit:read"])?;
            let why = match client.open(&self.path(), last.as_deref(), SILENCE).await {
                Ok(response) => match self.follow(context, response, &mut last, &mut failures).await {
                    Broken::Unread => return Ok(ExitCode::SUCCESS),
                    Broken::Again(why) => why,
                },
                Err(error) if last.is_none() || !error.may_pass() || failures >= ATTEMPTS => return Err(error),
                Err(error) => error.to_string(),
            };
            failures += 1;
            if std::io::stderr().is_terminal() {
                eprintln!("{why}; connecting again");
            }
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// Prints what comes, until it ends.
    async fn follow(
        &self,
        context: &Context,
        mut response: reqwest::Response,
        last: &mut Option<String>,
        failures: &mut u32,
    ) -> Broken {
        let (mut parser, paint) = (Parser::default(), Paint::stdout());
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Broken::Again("the stream ended".to_owned()),
                Err(error) => return Broken::Again(format!("the stream broke off: {error}")),
            };
            for block in parser.push(&chunk) {
                let Block { event, data, id } = block;
                if event.as_deref() == Some("end") {
                    let end: Value = serde_json::from_str(&data).unwrap_or_default();
                    return Broken::Again(end["detail"].as_str().unwrap_or("the stream ended").to_owned());
                }
                if !data.is_empty() && print(context.json, &data, paint).is_err() {
                    return Broken::Unread;
                }
                *last = id.or_else(|| last.take());
                *failures = 0;
            }
        }
    }

    fn path(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let verdict = match (self.decision, self.denied) {
            (Some(Verdict::Allow), _) => Some("allow"),
            (Some(Verdict::Deny), _) | (None, true) => Some("deny"),
            (Some(Verdict::Approval), _) => Some("approval"),
            (None, false) => None,
        };
        let types = (!self.types.is_empty()).then(|| self.types.join(","));
        let from = self.from.map(|from| from.to_string());
        let wishes = [
            ("run", self.run.as_deref()),
            ("agent", self.agent.as_deref()),
            ("type", types.as_deref()),
            ("tool", self.tool.as_deref()),
            ("decision", verdict),
            ("from", from.as_deref()),
        ];
        for (name, wish) in wishes {
            if let Some(wish) = wish {
                query.append_pair(name, wish);
            }
        }
        format!("/v1/events/stream?{}", query.finish())
    }
}

fn print(json: bool, data: &str, paint: Paint) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{data}")?,
        false => writeln!(out, "{}", line::told(&serde_json::from_str(data).unwrap_or_default(), paint))?,
    }
    out.flush()
}

/// Twice as long each time, and never the same for many.
fn pause(failures: u32) -> Duration {
    let longest = 100_u64.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE_MS);
    Duration::from_millis(rand::rng().random_range(longest / 2..=longest))
}
