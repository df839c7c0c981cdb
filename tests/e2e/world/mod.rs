//! One test's world: a database of its own, its own NATS and Redis, the built binary as its server.

mod api;
mod bare;
mod described;
mod http;
pub mod issuer;
mod live;
mod mcp;
mod named_proxy;
mod postgres;
mod shelf;
mod trap;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use serde_json::Value;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_projections::RunViews;
use xagent_stack::{Need, Server, Stack, StackError, StackOptions};

pub use api::{Answer, Api, claims, output, signed};
pub use bare::{Bare, stream};
pub use http::SlowServer;
pub use live::Live;
pub use mcp::{LEGACY, words};
pub use named_proxy::NamedProxy;
pub use shelf::Shelf;
pub use trap::Trap;
pub use xagent_tests::until;
use xagent_tests::{Now, blocking, folder};

/// Each byte of the secret key that signs checkpoints.
pub const KEY: u8 = 42;

pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

pub struct World {
    pub stack: Arc<Stack>,
    pub database_url: String,
    pub url: String,
    pub workspace: PathBuf,
    server: Option<Child>,
    // Last, so that everything in it has ended when it is removed.
    _folder: tempfile::TempDir,
}

impl World {
    /// A world on the shared Postgres, with a database of its own.
    pub async fn new() -> Self {
        let database_url = postgres::database().await;
        Self::with(Need::Existing(database_url.clone()), Some(database_url), Need::Private).await
    }

    /// A world over a database and a workspace that are there.
    pub async fn over(database_url: String, workspace: &Path) -> Self {
        let folder = folder("world-");
        let (postgres, nats) = (Need::Existing(database_url.clone()), Need::Private);
        let options = StackOptions { folder: folder.path().to_owned(), postgres, nats, redis: Need::Private };
        let stack = Arc::new(blocking(move || Stack::start(options)).await);
        let (url, workspace) = (String::new(), workspace.to_owned());
        let mut world = Self { stack, database_url, url, workspace, server: None, _folder: folder };
        world.start_server().await;
        world
    }

    /// The same over a NATS that runs already.
    pub async fn over_nats(url: &str) -> Self {
        let database_url = postgres::database().await;
        Self::with(Need::Existing(database_url.clone()), Some(database_url), Need::Existing(url.to_owned())).await
    }

    /// A world with a Postgres of its own, to be stopped and paused.
    pub async fn with_own_postgres() -> Self {
        Self::with(Need::Private, None, Need::Private).await
    }

    async fn with(postgres: Need, database_url: Option<String>, nats: Need) -> Self {
        let folder = folder("world-");
        let options = StackOptions { folder: folder.path().to_owned(), postgres, nats, redis: Need::Private };
        let stack = blocking(move || Stack::start(options)).await;
        let own = stack.postgres_url().to_owned();
        if database_url.is_none() {
            xagent_ledger::migrate(&own).await.unwrap();
        }
        let workspace = folder.path().join("workspace");
        std::fs::create_dir(&workspace).unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("checkpoint-key"), format!("{KEY:02x}").repeat(32)).unwrap();
        let mut world = Self {
            stack: Arc::new(stack),
            database_url: database_url.unwrap_or(own),
            url: String::new(),
            workspace,
            server: None,
            _folder: folder,
        };
        world.start_server().await;
        world
    }

    /// Starts the server and waits until it is ready.
    pub async fn start_server(&mut self) {
        let (server, url) = self.another_server().await;
        (self.server, self.url) = (Some(server), url);
    }

    /// Starts the server with other settings and waits until it is ready.
    pub async fn start_server_with(&mut self, set: impl FnOnce(&mut Command)) {
        let (server, url) = self.server_with(set).await;
        (self.server, self.url) = (Some(server), url);
    }

    /// Starts one more server over the same ledger and waits until it is ready.
    pub async fn another_server(&self) -> (Child, String) {
        self.server_with(|_| {}).await
    }

    /// The same, with other settings.
    pub async fn server_with(&self, set: impl FnOnce(&mut Command)) -> (Child, String) {
        self.server_of(Command::new(binary()), set).await
    }

    /// Starts the server anew with other settings, in place of the one there is.
    pub async fn restart_with(&mut self, set: impl FnOnce(&mut Command)) {
        self.restart_of(Command::new(binary()), set).await;
    }

    /// The same, started by another program.
    pub async fn restart_of(&mut self, command: Command, set: impl FnOnce(&mut Command)) {
        self.kill_server().await;
        let (server, url) = self.server_of(command, set).await;
        (self.server, self.url) = (Some(server), url);
    }

    /// One more server, started by another program.
    async fn server_of(&self, mut command: Command, set: impl FnOnce(&mut Command)) -> (Child, String) {
        self.environment(&mut command);
        set(&mut command);
        command.args(["--json", "serve", "--listen", "127.0.0.1:0", "--workspace"]).arg(&self.workspace);
        let (child, url) = self.started(command).await;
        let api = Api::new(&url, "default", "readiness", &[], &[]);
        until("the server is ready", async || (api.get("/readyz").await.status == 200).then_some(())).await;
        (child, url)
    }

    /// Starts a server that does not come up, and gives what it says.
    pub async fn server_fails(&self, settings: &[(&str, &str)]) -> String {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        let output = command.envs(settings.iter().copied()).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Starts a process that does nothing but walk runs, and waits until it says that it does.
    pub async fn worker(&self, set: impl FnOnce(&mut Command)) -> Child {
        let mut command = Command::new(binary());
        self.environment(&mut command);
        set(&mut command);
        command
            .args(["--json", "serve", "--listen", "127.0.0.1:0", "--roles", "worker", "--workspace"])
            .arg(&self.workspace);
        let said = self.started_saying(command).await;
        assert_eq!(said.1["roles"], serde_json::json!(["worker"]));
        said.0
    }

    /// Leaves the work to others than the server.
    pub async fn without_workers() -> Self {
        let mut world = Self::new().await;
        world.restart_with(|serve| _ = serve.env("XAGENT_ROLES", "api,relay,projector")).await;
        world
    }

    /// Starts a server and reads where it listens.
    pub async fn started(&self, command: Command) -> (Child, String) {
        let (child, said) = self.started_saying(command).await;
        (child, said["url"].as_str().unwrap().to_owned())
    }

    async fn started_saying(&self, mut command: Command) -> (Child, Value) {
        command.stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"));
        (child, said)
    }

    /// The server's process.
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().and_then(Child::id).unwrap()
    }

    /// Kills the server as the system would.
    pub async fn kill_server(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().await.unwrap();
    }

    /// A principal of the tenant `default`.
    pub fn api(&self, subject: &str, scopes: &[&str]) -> Api {
        self.api_of("default", subject, scopes, &[])
    }

    pub fn api_of(&self, tenant: &str, subject: &str, scopes: &[&str], roles: &[&str]) -> Api {
        Api::new(&self.url, tenant, subject, scopes, roles)
    }

    /// A principal that may do everything but approve its own calls.
    pub fn everything(&self, subject: &str) -> Api {
        self.api(subject, &["*", "tool:*"])
    }

    /// The database as its superuser.
    pub async fn superuser(&self) -> PgPool {
        PgPool::connect(&self.database_url).await.unwrap()
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::connect(&self.database_url, Arc::new(Now), LedgerOptions::default()).unwrap()
    }

    pub async fn jetstream(&self) -> async_nats::jetstream::Context {
        let url = self.stack.nats_url();
        let (token, _) = url.strip_prefix("nats://").unwrap().split_once('@').unwrap();
        let client = async_nats::ConnectOptions::with_token(token.to_owned()).connect(url).await.unwrap();
        async_nats::jetstream::new(client)
    }

    pub fn views(&self) -> RunViews {
        RunViews::connect(self.stack.redis_url()).unwrap()
    }

    pub async fn head(&self) -> u64 {
        self.ledger().head().await.unwrap().position
    }

    /// Requests that were refused before the law was asked, as they are recorded behind a position.
    pub async fn refused_since(&self, position: u64) -> Vec<Value> {
        let events = self.ledger().range(position, 1000).await.unwrap();
        let refused = events.iter().filter(|event| event.event_type == "RequestsRefused").flat_map(|event| {
            let payload: Value = serde_json::from_str(&event.payload).unwrap();
            payload["RequestsRefused"]["refused"].as_array().unwrap().clone()
        });
        refused.collect()
    }

    /// Runs the binary to its end.
    pub async fn xagent(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// The binary, about to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        self.environment(&mut command);
        command.env("XAGENT_URL", &self.url).args(arguments);
        command
    }

    /// The same with nothing but its arguments: no server, no folder, no settings.
    pub async fn xagent_offline(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.env_clear().current_dir(&self.workspace).args(arguments).output().await.unwrap()
    }

    /// Does something to a server of the stack.
    pub async fn server(&self, server: Server, act: fn(&Stack, Server) -> Result<(), StackError>) {
        let stack = self.stack.clone();
        blocking(move || act(&stack, server)).await;
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("XAGENT_DATABASE_URL", &self.database_url)
            .env("XAGENT_NATS_URL", self.stack.nats_url())
            .env("XAGENT_REDIS_URL", self.stack.redis_url())
            .env("XAGENT_JWT_SECRET", SECRET)
            .env("XAGENT_HOME", self.workspace.with_file_name("home"))
            .env("XAGENT_CHECKPOINT_MIRROR", self.workspace.with_file_name("mirror"))
            .env("XAGENT_LOG", "error");
    }
}

/// The binary beside the folder of this test.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("xagent");
    assert!(binary.is_file(), "{} is missing: run `cargo build --workspace` first", binary.display());
    binary
}
