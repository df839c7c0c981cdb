//! `xagent run`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use xagent_commands::{BudgetRequest, ChatRequest};

use super::client::Client;
use super::follow::Follow;
use super::remote::Remote;
use super::terminal::Paint;
use super::{CliError, Context};

/// Who plans.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Planner {
    /// A plan file
    Scripted,
    /// A chat model
    Chat,
    /// The recorded replies of the model that planned another run
    Recorded,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    /// The plan file, or the goal where a model plans
    #[arg(value_name = "PLAN|GOAL")]
    what: String,
    /// Who plans; a chat model where --model is given, a plan file otherwise
    #[arg(long, value_enum, value_name = "PLANNER")]
    planner: Option<Planner>,
    /// What a scripted run is for
    #[arg(long, default_value = "carry out the plan")]
    goal: String,
    /// The model; the server's own default where it is not given
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The base of the model's API, which must be the one the server is configured with
    #[arg(long, value_name = "URL")]
    model_url: Option<String>,
    /// Sampling temperature, 0 to 2
    #[arg(long, value_name = "NUMBER")]
    temperature: Option<f64>,
    /// Tokens of one reply at most
    #[arg(long, value_name = "COUNT")]
    max_tokens: Option<u32>,
    /// Let replies come as a stream
    #[arg(long)]
    stream: bool,
    /// A tool the model is offered; may be repeated. All that workers run where none is given
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<String>,
    /// Consultations of the model at most
    #[arg(long, value_name = "COUNT")]
    steps: Option<u32>,
    /// Tool calls at most
    #[arg(long, value_name = "COUNT")]
    calls: Option<u32>,
    /// Tokens at most
    #[arg(long, value_name = "COUNT")]
    tokens: Option<u64>,
    /// Seconds at most
    #[arg(long, value_name = "SECONDS")]
    wall_s: Option<u64>,
    /// The run whose model's replies are used again
    #[arg(long, value_name = "RUN", required_if_eq("planner", "recorded"))]
    from: Option<String>,
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

const EXAMPLES: &str = "Examples:
  xagent run plan.json --workspace .
  xagent run 'review this folder and write a report' --planner chat --model gpt-x --stream
  xagent run 'review this folder and write a report' --planner recorded --from run_0193...

A plan is JSON: {\"steps\": [{\"id\": \"readme\", \"tool\": \"read_file\", \"arguments\": {\"path\": \"README.md\"}}]}
Later steps use earlier results: \"{{readme.output.text}}\". See docs/plans.md; for models, docs/planners.md.

Exit code: 0 the run is completed or waits for somebody, 1 it failed or was cancelled, 2 it could not be started or followed.";

impl Run {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let workspace = self.workspace.canonicalize().map_err(|e| CliError::new(e.to_string(), "check --workspace"))?;
        let body = self.body(&workspace)?;
        let scopes = ["run:start", "run:read", "audit:read", "tool:*"];
        let client = self.remote.client(context, &scopes)?;
        let started = client.post("/v1/runs", &body).await?;
        let run = started["run"].as_str().unwrap_or_default().to_owned();
        let mut follow = Follow::new(&client, &run, Paint::stdout(), !context.json);
        let state = follow.until_it_rests(Duration::from_secs(self.patience)).await?;
        let (status, summary) = (&state["status"], &state["state"]["summary"]);
        if context.json {
            let (tokens, steps) = (&state["state"]["spent"]["tokens"], &state["state"]["steps"]);
            let said = json!({
                "run": run, "status": status, "summary": summary, "steps": steps, "tokens": tokens, "receipt": started["receipt"],
            });
            say!("{said}");
        } else {
            let told = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match waiting_approval(&state) {
                Some(approval) => say!("{run} waits for somebody else to answer {approval}"),
                None => say!("{run} is {}: {}", told(status), told(summary)),
            }
        }
        let failed = matches!(status.as_str(), Some("failed" | "cancelled"));
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn body(&self, workspace: &Path) -> Result<Value, CliError> {
        let by_model = if self.model.is_some() || self.model_url.is_some() { Planner::Chat } else { Planner::Scripted };
        let mut body = json!({"agent": self.agent, "goal": self.what, "workspace": workspace});
        match self.planner.unwrap_or(by_model) {
            Planner::Scripted => {
                body["goal"] = json!(self.goal);
                body["plan"] = self.plan()?;
            }
            Planner::Chat => body["planner"] = json!({"chat": self.chat()}),
            Planner::Recorded => body["planner"] = json!({"recorded": {"run": self.from}}),
        }
        Ok(body)
    }

    fn plan(&self) -> Result<Value, CliError> {
        let remedy = "see `xagent run --help` for the form of a plan; a goal for a model needs `--planner chat`";
        let unreadable = |message: String| CliError::new(format!("{}: {message}", self.what), remedy);
        let text = std::fs::read_to_string(&self.what).map_err(|error| unreadable(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
    }

    fn chat(&self) -> ChatRequest {
        ChatRequest {
            model: self.model.clone(),
            url: self.model_url.clone(),
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            stream: self.stream,
            context_bytes: None,
            tools: self.tools.clone(),
            budget: BudgetRequest { steps: self.steps, calls: self.calls, tokens: self.tokens, wall_s: self.wall_s },
        }
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
