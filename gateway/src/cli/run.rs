//! `xagent run`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::remote::Remote;
use super::story::{Step, steps, tell};
use super::terminal::Paint;
use super::{CliError, Context};

#[derive(Args)]
#[command(
    after_help = "A plan is JSON: {\"steps\": [{\"id\": \"readme\", \"tool\": \"read_file\", \"arguments\": {\"path\": \"README.md\"}}]}\n\
    Later steps use earlier results: \"{{readme.output.text}}\". See docs/plans.md."
)]
pub struct Run {
    /// The plan file
    plan: PathBuf,
    /// What the run is for
    #[arg(long, default_value = "carry out the plan")]
    goal: String,
    /// The agent's name
    #[arg(long, default_value = "cli")]
    agent: String,
    /// The folder its tools are confined to
    #[arg(long, default_value = ".")]
    workspace: PathBuf,
    #[command(flatten)]
    remote: Remote,
    /// How long to follow the run, in seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    patience: u64,
}

impl Run {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let unreadable = |message: String| {
            CliError::new(
                format!("{}: {message}", self.plan.display()),
                "see `xagent run --help` for the form of a plan",
            )
        };
        let text = std::fs::read_to_string(&self.plan).map_err(|error| unreadable(error.to_string()))?;
        let plan: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let workspace = self.workspace.canonicalize().map_err(|e| CliError::new(e.to_string(), "check --workspace"))?;
        let scopes = ["run:start", "run:read", "audit:read", "tool:*"];
        let client = self.remote.client(context, &scopes)?;
        let body = json!({"agent": self.agent, "goal": self.goal, "plan": plan, "workspace": workspace});
        let started = client.post("/v1/runs", &body).await?;
        let run = started["run"].as_str().unwrap_or_default().to_owned();
        let rests = |state: &Value| (ended(state) || waits(state)).then(|| state.clone());
        let path = format!("/v1/runs/{run}");
        let state = client.until(&path, Duration::from_secs(self.patience), rests).await?;
        let events = all_events(&client, &run).await?;
        if context.json {
            println!(
                "{}",
                json!({"run": run, "status": state["status"], "summary": state["state"]["summary"], "receipt": started["receipt"]})
            );
        } else {
            let told: Vec<Step> = steps(&events);
            println!("{}", tell(&told, Paint::stdout()));
            println!(
                "{run} is {}: {}",
                state["status"].as_str().unwrap_or_default(),
                state["state"]["summary"].as_str().unwrap_or_default()
            );
        }
        let failed = matches!(state["status"].as_str(), Some("failed" | "cancelled"));
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Whether nothing more can happen to the run.
pub fn ended(run: &Value) -> bool {
    matches!(run["status"].as_str(), Some("completed" | "failed" | "cancelled"))
}

/// Whether the run waits for a person.
pub fn waits(run: &Value) -> bool {
    waiting_approval(run).is_some()
}

/// The approval the run waits for.
pub fn waiting_approval(run: &Value) -> Option<String> {
    let approvals = run["state"]["approvals"].as_object()?;
    approvals.iter().find(|(_, approval)| approval["state"] == "waiting").map(|(id, _)| id.clone())
}

/// All events of a run.
pub async fn all_events(client: &Client, run: &str) -> Result<Vec<Value>, CliError> {
    let mut events = Vec::new();
    let mut cursor = String::from("0");
    loop {
        let page = client.get(&format!("/v1/runs/{run}/events?limit=1000&cursor={cursor}")).await?;
        events.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return Ok(events),
        }
    }
}
