//! A Postgres of a test's own, to be killed, cut off and filled up.

use std::path::PathBuf;
use std::sync::Arc;

use xagent_stack::{Need, Server, Stack, StackError, StackOptions};
use xagent_tests::{blocking, folder};

pub struct Database {
    stack: Arc<Stack>,
    // Last, so that the server has ended when it is removed.
    folder: tempfile::TempDir,
}

impl Database {
    /// With the schema in it.
    pub async fn start() -> Self {
        let folder = folder("faults-");
        let (path, elsewhere) = (folder.path().to_owned(), || Need::None);
        let options = StackOptions { folder: path, postgres: Need::Private, nats: elsewhere(), redis: elsewhere() };
        let stack = Arc::new(blocking(move || Stack::start(options)).await);
        xagent_ledger::migrate(stack.postgres_url()).await.unwrap();
        Self { stack, folder }
    }

    pub fn url(&self) -> &str {
        self.stack.postgres_url()
    }

    /// Where its files are.
    pub fn cluster(&self) -> PathBuf {
        let data = std::fs::read_to_string(self.folder.path().join("postgres-data"));
        data.map_or_else(|_| self.folder.path().join("postgres"), |data| data.trim().into()).join("cluster")
    }

    /// Does something to it.
    pub async fn act(&self, act: fn(&Stack, Server) -> Result<(), StackError>) {
        let stack = self.stack.clone();
        blocking(move || act(&stack, Server::Postgres)).await;
    }
}
