//! `xagent fork`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use xagent_commands::ChatRequest;
use xagent_domain::{Digest, RunId};

use super::follow::Follow;
use super::remote::Remote;
use super::run::waiting_approval;
use super::terminal::Paint;
use super::{CliError, Context};

#[derive(Args)]
#[command(after_help = "Examples:
  xagent fork run_0193... --at 24                          go on from its 24th event, recordings answering
  xagent fork run_0193... --at 24 --policy 5e1c...         the same under another published bundle
  xagent fork run_0193... --at 24 --plan other-plan.json   with another plan
  xagent fork run_0193... --at 24 --live                   calls without a recording are made, if the law allows it
  xagent runs compare run_0193... run_0194...              the run and its fork, side by side

Recordings of the run answer where the call is the same: same tool, same registration, same arguments. Where there is
none the call is refused, and what is missing is recorded. Nothing outside is touched, unless --live is given.

Exit code: 0 the fork is completed or waits for somebody, 1 it failed or was cancelled, 2 it could not be started or followed.")]
pub struct Fork {
    /// The run that is continued
    #[arg(value_name = "RUN")]
    run: RunId,
    /// The sequence of its last event that is continued
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    at: u64,
    /// The published bundle that decides its tool calls, by digest; otherwise the one in force
    #[arg(long, value_name = "DIGEST", conflicts_with = "live")]
    policy: Option<Digest>,
    /// A plan file to go on with, in the place of the run's own planner
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "replies_of"])]
    plan: Option<PathBuf>,
    /// A chat model that plans, in the place of what was recorded of the run's own
    #[arg(long, value_name = "NAME", conflicts_with = "replies_of")]
    model: Option<String>,
    /// Plan by what the model of another run has replied
    #[arg(long, value_name = "RUN")]
    replies_of: Option<RunId>,
    /// Make the calls that there is no recording of
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    remote: Remote,
    /// How long to follow the fork, in seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    patience: u64,
}

impl Fork {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let mut body = json!({"at": self.at, "live": self.live});
        if let Some(policy) = &self.policy {
            body["policy"] = json!(policy);
        }
        if let Some(file) = &self.plan {
            let unreadable =
                |why: String| CliError::new(format!("{}: {why}", file.display()), "see `xagent run --help`");
            let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
            body["plan"] = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        }
        if let Some(model) = &self.model {
            body["planner"] = json!({"chat": ChatRequest { model: Some(model.clone()), ..ChatRequest::default() }});
        }
        if let Some(run) = &self.replies_of {
            body["planner"] = json!({"recorded": {"run": run}});
        }
        let fork = if self.live { "run:fork_live" } else { "run:fork" };
        let client = self.remote.client(context, &[fork, "run:read", "audit:read", "tool:*"])?;
        let forked = client.post(&format!("/v1/runs/{}/fork", self.run), &body).await?;
        let run = forked["run"].as_str().unwrap_or_default().to_owned();
        let by_client = client.get(&format!("/v1/runs/{run}?at_least=1")).await?["state"]["planner"] == "client";
        if by_client {
            match context.json {
                true => say!("{}", json!({"run": run, "status": "running", "receipt": forked["receipt"]})),
                false => say!("{run} waits for its client to propose calls: see docs/commands.md"),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut follow = Follow::new(&client, &run, Paint::stdout(), !context.json);
        let state = follow.until_it_rests(Duration::from_secs(self.patience)).await?;
        let (status, summary) = (&state["status"], &state["state"]["summary"]);
        let told = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        match (context.json, waiting_approval(&state)) {
            (true, _) => say!(
                "{}",
                json!({"run": run, "from": self.run, "at": self.at, "status": status, "summary": summary, "receipt": forked["receipt"]})
            ),
            (false, Some(approval)) => say!("{run} waits for somebody else to answer {approval}"),
            (false, None) => {
                say!("{run} is {}: {}", told(status), told(summary));
                say!("Compare them with `xagent runs compare {} {run}`.", self.run);
            }
        }
        let failed = matches!(status.as_str(), Some("failed" | "cancelled"));
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
