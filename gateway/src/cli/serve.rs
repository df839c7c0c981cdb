//! `xagent serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::access::IssuerArgs;
use super::bundle_keys::BundleKeys;
use super::engine::EngineArgs;
use super::limits::{LimitArgs, TlsArgs};
use super::log::Log;
use super::mcp::McpArgs;
use super::model::ModelArgs;
use super::streams::StreamArgs;
use super::tools_file::ToolsFile;
use super::{CliError, Context, Home};
use crate::access::Secret;
use crate::configuration::Configuration;
use crate::server::Server;

/// How long an approval is valid unless told otherwise.
pub const A_DAY_S: u32 = 24 * 3600;

/// Where the servers are: flag, environment, or the private instance of `xagent up`.
#[derive(Args, Clone)]
pub struct Servers {
    /// Postgres
    #[arg(long, env = "XAGENT_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// NATS with JetStream
    #[arg(long, env = "XAGENT_NATS_URL", hide_env_values = true, value_name = "URL")]
    pub nats_url: Option<String>,
    /// Redis
    #[arg(long, env = "XAGENT_REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,
}

impl Servers {
    pub fn database(&self, home: &Home) -> Result<String, CliError> {
        let known = self.database_url.clone().or_else(|| home.connection().map(|connection| connection.database_url));
        known.ok_or_else(|| missing("Postgres", "XAGENT_DATABASE_URL"))
    }

    pub fn nats(&self, home: &Home) -> Result<String, CliError> {
        let known = self.nats_url.clone().or_else(|| home.connection().map(|connection| connection.nats_url));
        known.ok_or_else(|| missing("NATS", "XAGENT_NATS_URL"))
    }

    pub fn redis(&self, home: &Home) -> Result<String, CliError> {
        let known = self.redis_url.clone().or_else(|| home.connection().map(|connection| connection.redis_url));
        known.ok_or_else(|| missing("Redis", "XAGENT_REDIS_URL"))
    }
}

fn missing(server: &str, variable: &str) -> CliError {
    CliError::new(
        format!("it is not known where {server} is"),
        format!("set {variable}, or start a private instance with `xagent up`"),
    )
}

#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    servers: Servers,
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "XAGENT_LISTEN", default_value = "127.0.0.1:7117", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The file that holds the token secret; XAGENT_JWT_SECRET may hold the secret itself
    #[arg(long, env = "XAGENT_JWT_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    issuer: IssuerArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    tls: TlsArgs,
    /// A folder in which workspaces of runs may lie; may be repeated
    #[arg(long = "workspace", env = "XAGENT_WORKSPACES", value_delimiter = ':', value_name = "DIR")]
    workspaces: Vec<PathBuf>,
    /// Where Prometheus reads `/metrics`, without a token; port 0 takes a free one. Keep it from strangers
    #[arg(long, env = "XAGENT_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
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
    mcp: McpArgs,
    /// How long an approval is valid, in seconds; a call must have started by then
    #[arg(long, env = "XAGENT_APPROVAL_TTL_S", default_value_t = A_DAY_S, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    approval_ttl_s: u32,
}

impl Serve {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        log_to(std::io::stderr);
        let configuration = Configuration {
            database_url: self.servers.database(&context.home)?,
            nats_url: self.servers.nats(&context.home)?,
            redis_url: self.servers.redis(&context.home)?,
            listen: self.listen,
            secret: self.secret(context)?,
            issuer: self.issuer.configuration()?,
            limits: self.limits.options(),
            tls: self.tls.files()?,
            workspaces: self.workspaces,
            signing: self.log.signing(&context.home)?,
            checkpoint_mirror: self.log.mirror()?,
            engine: self.engine.configuration()?,
            bundle_trust: self.bundle_keys.trust()?,
            streams: self.streams.options(),
            tools: self.tools_file.settings()?,
            model: self.model.server()?,
            mcp: self.mcp.options(),
            upstream_programs: self.mcp.upstream_programs,
            metrics_listen: self.metrics_listen,
            approval_ttl_s: self.approval_ttl_s,
        };
        let server = start(&configuration).await?;
        let scheme = if configuration.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", server.address);
        let metrics = server.metrics.map(|address| format!("http://{address}/metrics"));
        match context.json {
            true => say!("{}", json!({"url": url, "metrics": metrics})),
            false => {
                let metrics = metrics.map(|metrics| format!("; metrics at {metrics}")).unwrap_or_default();
                say!("Listening on {url}{metrics}; Ctrl-C stops.");
            }
        }
        asked_to_stop().await?;
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

impl Serve {
    /// The secret of development tokens. Beside an issuer there is none that nobody asked for.
    fn secret(&self, context: &Context) -> Result<Option<Secret>, CliError> {
        let is_asked_for = self.secret_file.is_some() || std::env::var_os("XAGENT_JWT_SECRET").is_some();
        if self.issuer.is_given() && !is_asked_for {
            return Ok(None);
        }
        context.home.secret(self.secret_file.as_deref()).map(Some)
    }
}

pub async fn start(configuration: &Configuration) -> Result<Server, CliError> {
    let remedy = "mend the address, or free it";
    Server::start(configuration).await.map_err(|error| CliError::new(error.to_string(), remedy))
}

/// Waits for Ctrl-C or a polite kill. A second one ends the process at once.
pub async fn asked_to_stop() -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::new(format!("cannot wait for signals: {error}"), "report this");
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! { _ = terminated.recv() => {}, _ = interrupted.recv() => {} }
    tokio::spawn(async move {
        tokio::select! { _ = terminated.recv() => {}, _ = interrupted.recv() => {} }
        std::process::exit(130);
    });
    Ok(())
}

/// Logs JSON lines, filtered by XAGENT_LOG.
pub fn log_to<W>(writer: W)
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_env("XAGENT_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,xagent_gateway=info,xagent_commands=info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(writer).init();
}
