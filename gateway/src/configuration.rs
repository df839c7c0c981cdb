//! What a server is configured with: flags, then environment `XAGENT_*`, then what `xagent up` left in its folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use xagent_commands::{ModelServer, ToolSettings, WorkerOptions};
use xagent_policies::Trust;
use xagent_projections::{LokiOptions, Place};
use xagent_tree::Signer;

use crate::access::{IssuerOptions, KeyOptions, Secret};
use crate::limits::LimitOptions;
use crate::listen::TlsFiles;
use crate::mcp::McpOptions;
use crate::stream::StreamOptions;

/// A server's configuration, complete.
#[derive(Clone)]
pub struct Configuration {
    /// Where Postgres is.
    pub database_url: String,
    /// Where NATS is.
    pub nats_url: String,
    /// Where Redis is.
    pub redis_url: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What development tokens are signed with; none where none are taken.
    pub secret: Option<Secret>,
    /// Whose tokens are taken beside those.
    pub issuer: Option<(IssuerOptions, KeyOptions)>,
    /// What a caller may ask for.
    pub limits: LimitOptions,
    /// The certificate; none where connections are in the clear.
    pub tls: Option<TlsFiles>,
    /// Folders in which the workspaces of runs must lie.
    pub workspaces: Vec<PathBuf>,
    /// What the tree is signed with.
    pub signing: Signing,
    /// Where checkpoints are mirrored to.
    pub checkpoint_mirror: Option<Place>,
    /// How often the whole ledger is verified; never where there is none.
    pub verify_every: Option<Duration>,
    /// How long an approval is valid, in seconds.
    pub approval_ttl_s: u32,
    /// Whose signatures on policy bundles are believed.
    pub bundle_trust: Trust,
    /// What evaluates policies.
    pub engine: Engine,
    /// Where copies of the audit trail go.
    pub audit: Audit,
    /// Where metrics can be read; nowhere where there is none.
    pub metrics_listen: Option<SocketAddr>,
    /// Bounds of live streams.
    pub streams: StreamOptions,
    /// What built-in tools are configured with.
    pub tools: ToolSettings,
    /// Where models are that plan runs; none where no model may.
    pub model: Option<ModelServer>,
    /// Programs that may be started as upstream MCP servers.
    pub upstream_programs: Vec<PathBuf>,
    /// Bounds of the MCP door.
    pub mcp: McpOptions,
    /// What it does.
    pub roles: Roles,
    /// Bounds of a worker.
    pub worker: WorkerOptions,
}

/// What a server does. Servers over one ledger share it out as their operator likes; each role may run many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Serve REST, live streams and MCP, and decide
    Api,
    /// Walk runs and carry out their tool calls
    Worker,
    /// Publish events and checkpoints, sign the tree, and verify it where that is asked for
    Relay,
    /// Keep the views
    Projector,
}

/// The roles of a process.
#[derive(Clone, Debug)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// These.
    pub fn of(roles: &[Role]) -> Self {
        Self(roles.to_vec())
    }

    /// All.
    pub fn all() -> Self {
        Self(Role::value_variants().to_vec())
    }

    /// Whether the process plays a role.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().filter_map(|role| Some(role.to_possible_value()?.get_name().to_owned())).collect()
    }
}

/// Where copies of the audit trail go; nowhere where there is none.
#[derive(Clone, Default)]
pub struct Audit {
    /// Loki.
    pub loki: Option<LokiOptions>,
    /// The address of an OTLP receiver of logs.
    pub otlp_url: Option<String>,
    /// JSON lines.
    pub lines: Option<AuditLines>,
    /// The label `job`, and the name of the service.
    pub job: String,
}

/// Where JSON lines of the audit trail go.
#[derive(Clone)]
pub enum AuditLines {
    /// To standard output.
    Out,
    /// To the end of a file.
    File(PathBuf),
}

/// What evaluates policies, and its bounds.
#[derive(Clone)]
pub struct Engine {
    /// The OPA server; none where this process evaluates them itself.
    pub opa: Option<Opa>,
    /// How long one decision may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many decisions are made at once.
    pub concurrency: usize,
}

/// An OPA server.
#[derive(Clone)]
pub struct Opa {
    /// Where it is.
    pub url: String,
    /// The file it loads its bundle from, to be kept at the active bundle.
    pub bundle_file: Option<PathBuf>,
}

/// The keys of the ledger's log.
#[derive(Clone)]
pub struct Signing {
    /// The one in force.
    pub signer: Signer,
    /// Those before it that are at hand.
    pub old: Vec<Signer>,
}
