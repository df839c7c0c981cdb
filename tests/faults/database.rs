//! A Postgres of a test's own, to be killed, cut off and filled up.

use std::sync::Arc;

use xagent_stack::{Need, Server, Stack, StackError, StackOptions};
use xagent_tests::{blocking, folder};

pub struct Database {
    stack: Arc<Stack>,
    // Last, so that the server has ended when it is removed.
    _folder: tempfile::TempDir,
}

impl Database {
    /// With the schema in it.
    pub async fn start() -> Self {
        let folder = folder("faults-");
        let (path, elsewhere) = (folder.path().to_owned(), || Need::None);
        let options = StackOptions { folder: path, postgres: Need::Private, nats: elsewhere(), redis: elsewhere() };
        let stack = Arc::new(blocking(move || Stack::start(options)).await);
        xagent_ledger::migrate(stack.postgres_url()).await.unwrap();
        Self { stack, _folder: folder }
    }

    pub fn url(&self) -> &str {
        self.stack.postgres_url()
    }

    /// Does something to it.
    pub async fn act(&self, act: fn(&Stack, Server) -> Result<(), StackError>) {
        let stack = self.stack.clone();
        blocking(move || act(&stack, Server::Postgres)).await;
    }
}
