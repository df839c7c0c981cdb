//! A ledger alone: a database of its own on the shared Postgres, no server.

use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{Executor, PgPool};
use tokio::process::Command;
use xagent_domain::tool::{Tool, ToolEvent};
use xagent_domain::{Blob, Digest, Metadata, Tenant};
use xagent_ledger::{Append, Appended, CommandKey, Expected, Ledger, LedgerError, LedgerOptions};
use xagent_tests::registered;

use super::{Now, binary, folder, postgres};

pub struct Bare {
    pub database_url: String,
    pub ledger: Ledger,
    pub superuser: PgPool,
    options: LedgerOptions,
    folder: tempfile::TempDir,
}

/// The tables that triggers guard.
const GUARDED: [&str; 8] =
    ["events", "ledger_head", "tree_nodes", "checkpoints", "commands", "blobs", "archived_leaves", "archived_streams"];

impl Bare {
    pub async fn new() -> Self {
        Self::with(LedgerOptions::default()).await
    }

    async fn with(options: LedgerOptions) -> Self {
        let database_url = postgres::database().await;
        // Soon, so that streams of tests have snapshots.
        let options = LedgerOptions { snapshot_every: 8, ..options };
        let ledger = Ledger::connect(&database_url, Arc::new(Now), options.clone()).unwrap();
        let superuser = PgPool::connect(&database_url).await.unwrap();
        Self { database_url, ledger, superuser, options, folder: folder("bare-") }
    }

    /// With one range of events so wide, and nothing behind it.
    pub async fn in_one_range(width: u64) -> Self {
        let bare = Self::with(LedgerOptions { range_width: width, ..LedgerOptions::default() }).await;
        let past = width + 1;
        let narrow = format!(
            "ALTER TABLE events DETACH PARTITION events_from_1; \
             ALTER TABLE events ATTACH PARTITION events_from_1 FOR VALUES FROM (1) TO ({past}); \
             UPDATE event_ranges SET past = {past}"
        );
        bare.superuser.execute(narrow.as_str()).await.unwrap();
        bare
    }

    /// With ranges of events so wide.
    pub async fn in_ranges(width: u64) -> Self {
        let bare = Self::in_one_range(width).await;
        let add = format!("SELECT added FROM add_range({width})");
        while sqlx::query_scalar::<_, Option<i64>>(&add).fetch_one(&bare.superuser).await.unwrap().is_some() {}
        bare
    }

    /// The ledger as another process has it.
    pub fn another_ledger(&self) -> Ledger {
        Ledger::connect(&self.database_url, Arc::new(Now), self.options.clone()).unwrap()
    }

    /// With commands 0 to `commands`, of two events each, in 30 streams.
    pub async fn filled(commands: u32) -> Self {
        let bare = Self::new().await;
        bare.fill(0..commands).await;
        bare
    }

    /// Commands of two events each, in 30 streams; each command has a key.
    pub async fn fill(&self, commands: std::ops::Range<u32>) {
        for round in commands.collect::<Vec<_>>().chunks(30) {
            for appended in join_all(round.iter().map(|command| self.command(*command))).await {
                assert!(!appended.unwrap().repeated);
            }
        }
    }

    /// The command of this number.
    pub async fn command(&self, number: u32) -> Result<Appended<ToolEvent>, LedgerError> {
        let text = format!("{number} {}", "x".repeat(100));
        let content = Blob { digest: Digest::of(text.as_bytes()), media_type: "text/plain".to_owned(), text };
        let append = Append {
            tenant: Tenant::default_tenant(),
            aggregate_id: stream(number),
            expected: Expected::Any,
            events: vec![registered(format!("tool-{number}"), "x".repeat(100)); 2],
            blobs: vec![content],
            metadata: Metadata {
                actor: "alice".to_owned(),
                command_id: format!("key-{number}"),
                ..Metadata::default()
            },
            command: Some(CommandKey { id: format!("key-{number}").parse().unwrap(), body: Digest::of(b"body") }),
        };
        self.ledger.append::<Tool>(append).await
    }

    /// Changes the database as somebody who owns it, triggers and all. Each change hits a row.
    pub async fn tamper(&self, changes: &[impl AsRef<str>]) {
        for table in GUARDED {
            self.superuser.execute(format!("ALTER TABLE {table} DISABLE TRIGGER ALL").as_str()).await.unwrap();
        }
        for change in changes.iter().map(AsRef::as_ref) {
            assert!(self.superuser.execute(change).await.unwrap().rows_affected() > 0, "{change}");
        }
    }

    /// Runs the binary to its end; the answer is JSON.
    pub async fn xagent(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let Output { status, stdout, stderr } = Command::new(binary())
            .env("XAGENT_DATABASE_URL", &self.database_url)
            .env("XAGENT_LOG", "error")
            .arg("--json")
            .args(arguments)
            .output()
            .await
            .unwrap();
        let said = if stdout.is_empty() { &stderr } else { &stdout };
        (status.code(), serde_json::from_slice(said).unwrap_or_else(|_| json!(String::from_utf8_lossy(said))))
    }

    /// `xagent verify`, which finds nothing.
    #[track_caller]
    pub fn holds(&self, arguments: &[&str]) -> impl Future<Output = Value> {
        let arguments = [&["verify"], arguments].concat();
        async move {
            let (code, said) = self.xagent(&arguments).await;
            assert_eq!((code, said["faults"].as_array().map(Vec::len)), (Some(0), Some(0)), "{said:#}");
            said
        }
    }

    /// `xagent verify`, which finds something: what it found first.
    pub async fn broken(&self, arguments: &[&str]) -> Value {
        let (code, said) = self.xagent(&[&["verify"], arguments].concat()).await;
        assert_eq!((code, &said["fault"]), (Some(1), &said["faults"][0]), "{said:#}");
        said
    }

    /// Moves the oldest range to a file.
    pub async fn detach(&self, name: &str) -> String {
        let file = self.file(name).display().to_string();
        let (code, said) = self.xagent(&["archive", "detach", &file]).await;
        assert_eq!((code, &said["done"]), (Some(0), &json!("detached")), "{said:#}");
        file
    }

    /// A file of this world's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The stream of the command of this number.
pub fn stream(number: u32) -> String {
    format!("default/tool-{}", number % 30)
}
