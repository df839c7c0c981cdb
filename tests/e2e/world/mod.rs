//! One test's world: a database of its own, its own NATS and Redis, the built binary as its server.

mod api;
mod bare;
mod http;
mod postgres;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use xagent_ledger::{Clock, Ledger, LedgerOptions};
use xagent_projections::RunViews;
use xagent_stack::{Need, Server, Stack, StackError, StackOptions};

pub use api::{Api, claims, signed};
pub use bare::{Bare, stream};
pub use http::SlowServer;

/// The longest a condition is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "tests read the machine's clock")]
    fn now_us(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    }
}

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
        Self::with(Need::Existing(database_url.clone()), Some(database_url)).await
    }

    /// A world with a Postgres of its own, to be stopped and paused.
    pub async fn with_own_postgres() -> Self {
        Self::with(Need::Private, None).await
    }

    async fn with(postgres: Need, database_url: Option<String>) -> Self {
        let folder = folder("world-");
        let options =
            StackOptions { folder: folder.path().to_owned(), postgres, nats: Need::Private, redis: Need::Private };
        let stack = blocking(move || Stack::start(options)).await;
        let own = stack.postgres_url().to_owned();
        if database_url.is_none() {
            xagent_ledger::migrate(&own).await.unwrap();
        }
        let workspace = folder.path().join("workspace");
        std::fs::create_dir(&workspace).unwrap();
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

    /// Starts one more server over the same ledger and waits until it is ready.
    pub async fn another_server(&self) -> (Child, String) {
        let mut command = Command::new(binary());
        self.environment(&mut command);
        command.args(["--json", "serve", "--listen", "127.0.0.1:0", "--workspace"]).arg(&self.workspace);
        command.stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"));
        let url = said["url"].as_str().unwrap().to_owned();
        let api = Api::new(&url, "default", "readiness", &[], &[]);
        until("the server is ready", async || (api.get("/readyz").await.status == 200).then_some(())).await;
        (child, url)
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

    /// Runs the binary to its end.
    pub async fn xagent(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        self.environment(&mut command);
        command.env("XAGENT_URL", &self.url).args(arguments).output().await.unwrap()
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

/// Waits for a condition; panics where it does not come true in time.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    loop {
        look.tick().await;
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain until {what}", PATIENCE.as_secs());
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StackError> + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap().unwrap()
}

/// A folder that the user `postgres` can pass through.
fn folder(prefix: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let root = std::env::var_os("XAGENT_TEST_ROOT").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(root).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

/// The binary beside the folder of this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("xagent");
    assert!(binary.is_file(), "{} is missing: run `cargo build --workspace` first", binary.display());
    binary
}
