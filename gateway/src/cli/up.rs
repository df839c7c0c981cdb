//! `xagent up`: everything at once, privately.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use xagent_commands::SystemClock;
use xagent_domain::Tenant;
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_projections::RunViews;
use xagent_replay::Report;
use xagent_stack::{InstanceLock, Need, Stack, StackOptions};

use super::audit::AuditArgs;
use super::bundle_keys::BundleKeys;
use super::client::Client;
use super::engine::EngineArgs;
use super::home::Connection;
use super::limits::LimitArgs;
use super::log::Log;
use super::mcp::McpArgs;
use super::model::ModelArgs;
use super::replay::{Replayer, told};
use super::run::{all_events, ended, waiting_approval};
use super::serve::{A_DAY_S, Servers, asked_to_stop, log_to, start};
use super::story::{Step, steps, tell};
use super::streams::StreamArgs;
use super::terminal::Paint;
use super::tools_file::ToolsFile;
use super::worker::WorkerArgs;
use super::{CliError, Context};
use crate::configuration::{Configuration, Roles};
use crate::sample::REPO_REVIEW;
use crate::telemetry::Telemetry;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
#[command(
    after_help = "Servers that XAGENT_DATABASE_URL, XAGENT_NATS_URL or XAGENT_REDIS_URL name are used; the others are started privately."
)]
pub struct Up {
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    log: Log,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    bundle_keys: BundleKeys,
    #[command(flatten)]
    streams: StreamArgs,
    #[command(flatten)]
    tools_file: ToolsFile,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    mcp: McpArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    /// The folder the sample run reviews, and the only one runs may work in
    #[arg(long, default_value = ".", value_name = "DIR")]
    workspace: PathBuf,
    /// Stop after the story instead of staying up
    #[arg(long)]
    once: bool,
}

/// The sample run, done.
struct Sample {
    run: String,
    status: String,
    summary: String,
    steps: Vec<Step>,
    report: Report,
}

impl Up {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        context.home.create()?;
        let folder = context.home.folder().to_owned();
        let lock = InstanceLock::acquire(&folder).map_err(|error| stack_failed(&error))?;
        let telemetry = log(&folder)?;
        let paint = Paint::stdout();
        context.say("Starting Postgres, NATS and Redis ...");
        let options = StackOptions {
            folder,
            postgres: need(self.servers.given_database()?),
            nats: need(self.servers.given_nats()?),
            redis: need(self.servers.given_redis()?),
        };
        let stack = blocking(move || Stack::start(options)).await?;
        xagent_ledger::migrate(stack.postgres_url()).await?;
        let configuration = self.configuration(context, &stack)?;
        let server = start(&configuration).await?;
        let url = format!("http://{}", server.address);
        context.home.remember(&Connection {
            url: url.clone(),
            database_url: configuration.database_url.clone(),
            nats_url: configuration.nats_url.clone(),
            redis_url: configuration.redis_url.clone(),
        })?;
        let sample = tokio::select! {
            sample = sample(context, &configuration, &url) => Some(sample?),
            stopped = asked_to_stop() => { stopped?; None }
        };
        if let Some(sample) = &sample {
            context.print(&sample.json(&url), &sample.text(&url, paint));
            if !self.once {
                asked_to_stop().await?;
            }
        }
        context.say("Stopping ...");
        server.stop().await;
        telemetry.end().await;
        blocking(move || stack.shutdown()).await?;
        drop(lock);
        let identical = sample.is_none_or(|sample| sample.report.identical);
        Ok(if identical { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn configuration(&self, context: &Context, stack: &Stack) -> Result<Configuration, CliError> {
        let workspace = self.workspace.canonicalize();
        let workspace = workspace
            .map_err(|error| CliError::new(format!("{}: {error}", self.workspace.display()), "check --workspace"))?;
        Ok(Configuration {
            database_url: stack.postgres_url().to_owned(),
            nats_url: stack.nats_url().to_owned(),
            redis_url: stack.redis_url().to_owned(),
            listen: remembered_address(context),
            secret: Some(context.home.secret(None)?),
            issuer: None,
            limits: self.limits.options(),
            tls: None,
            workspaces: vec![workspace],
            signing: self.log.signing(&context.home)?,
            checkpoint_mirror: self.log.mirror()?,
            audit: self.audit.configuration()?,
            engine: self.engine.configuration()?,
            bundle_trust: self.bundle_keys.trust()?,
            streams: self.streams.options(),
            tools: self.tools_file.settings()?,
            model: self.model.server()?,
            mcp: self.mcp.options(),
            upstream_programs: self.mcp.upstream_programs.clone(),
            metrics_listen: None,
            verify_every: None,
            approval_ttl_s: A_DAY_S,
            roles: Roles::all(),
            worker: self.worker.options(),
        })
    }
}

fn need(url: Option<String>) -> Need {
    url.map_or(Need::Private, Need::Existing)
}

fn stack_failed(error: &xagent_stack::StackError) -> CliError {
    CliError::new(
        error.to_string(),
        "`./dev up` installs what is missing; XAGENT_DATABASE_URL, XAGENT_NATS_URL and XAGENT_REDIS_URL use servers of yours",
    )
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, xagent_stack::StackError> + Send + 'static,
) -> Result<T, CliError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| CliError::new(format!("starting broke off: {error}"), "report this"))?;
    done.map_err(|error| stack_failed(&error))
}

/// The same port as last time where it is free, so that links keep working.
fn remembered_address(context: &Context) -> SocketAddr {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let last = context.home.connection().and_then(|c| c.url.strip_prefix("http://")?.parse::<SocketAddr>().ok());
    last.filter(|address| TcpListener::bind(address).is_ok()).unwrap_or(any)
}

fn log(folder: &std::path::Path) -> Result<Telemetry, CliError> {
    let path = folder.join("xagent.log");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    let file = file.map_err(|error| CliError::new(format!("{}: {error}", path.display()), "check its permissions"))?;
    log_to(Arc::new(file))
}

/// Runs the sample as one principal, approves as another, and replays it.
async fn sample(context: &Context, configuration: &Configuration, url: &str) -> Result<Sample, CliError> {
    let secret = &context.home.secret(None)?;
    let alice = Client::new(url, secret, "alice", &["run:start", "run:read", "audit:read", "tool:*"])?;
    let bob = Client::new(url, secret, "bob", &["approval:decide"])?;
    alice.until("/v1/runs?limit=1", PATIENCE, |_| Some(())).await?;
    context.say("Running the sample: an agent reviews this folder ...");
    let plan: Value = serde_json::from_str(REPO_REVIEW).map_err(|e| CliError::new(e.to_string(), "report this"))?;
    let workspace = &configuration.workspaces[0];
    let goal = "review this folder and write a report";
    let body = json!({"agent": "reviewer", "goal": goal, "plan": plan, "workspace": workspace});
    let run = alice.post("/v1/runs", &body).await?["run"].as_str().unwrap_or_default().to_owned();
    let path = format!("/v1/runs/{run}");
    let rests = |seen: &Value| (ended(seen) || waiting_approval(seen).is_some()).then(|| waiting_approval(seen));
    if let Some(approval) = alice.until(&path, PATIENCE, rests).await? {
        bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await?;
    }
    let state = alice.until(&path, PATIENCE, |seen| ended(seen).then(|| seen.clone())).await?;
    let events = all_events(&alice, &run).await?;
    let ledger = Ledger::connect(&configuration.database_url, Arc::new(SystemClock), LedgerOptions::default())?;
    let views = RunViews::connect(&configuration.redis_url).ok();
    let report = Replayer::new(ledger, views, Tenant::default_tenant()).replay(&run).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (status, summary) = (text(&state["status"]), text(&state["state"]["summary"]));
    Ok(Sample { run, status, summary, steps: steps(&events), report })
}

impl Sample {
    fn json(&self, url: &str) -> Value {
        json!({"console": format!("{url}/console"), "replay": self.report, "run": self.run, "status": self.status, "summary": self.summary, "url": url})
    }

    fn text(&self, url: &str, paint: Paint) -> String {
        let xagent = std::env::args().next().unwrap_or_else(|| "xagent".to_owned());
        format!(
            "\n{}\n{}\n\nThe run is {}: {}\n\n{}\n{}\n\nX-Agent is up at {}\n\n  {url}/console\n      \
             shows all of it: the run above, decisions, approvals; sign in with a token\n  {xagent} runs\n      lists runs\n  \
             {xagent} replay --all\n      proves that all of them replay identically\n  {xagent} token --subject me --scope '*'\n      \
             mints a token, for the console and for {url}/v1\n\nCtrl-C stops all of it; the data stays in its folder.",
            paint.strong("What the agent did, and what the policies said"),
            tell(&self.steps, paint),
            self.status,
            self.summary,
            paint.strong("The same run, decided again from its recordings"),
            told(&self.report, paint),
            paint.strong(url),
        )
    }
}

impl Context {
    /// Tells people how far things are; silent in JSON.
    fn say(&self, text: &str) {
        if !self.json {
            say!("{text}");
        }
    }
}
