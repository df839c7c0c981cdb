//! Databases of one Postgres: copies of a migrated one, and of ledgers that were filled.

use sqlx::{Connection, Executor, PgConnection};
use xagent_tests::until;

/// The databases of a server.
pub struct Databases {
    server: String,
    migrated: String,
}

impl Databases {
    /// Those beside the migrated one at `url`.
    pub fn of(url: &str) -> Self {
        let (server, migrated) = url.rsplit_once('/').unwrap();
        Self { server: server.to_owned(), migrated: migrated.to_owned() }
    }

    /// A new, empty ledger.
    pub async fn copy(&self, name: &str) -> String {
        self.copy_of(&self.migrated, name).await
    }

    /// A copy of a ledger that nobody is connected to any more, in the place of one that an earlier run left behind.
    pub async fn copy_of(&self, template: &str, name: &str) -> String {
        self.drop(name).await;
        let copy = format!("CREATE DATABASE {name} TEMPLATE {template}");
        until("the database can be copied", async || match self.maintenance().await.execute(copy.as_str()).await {
            Ok(_) => Some(()),
            // Sessions of whoever filled it have not quite ended yet.
            Err(error) if error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("55006")) => None,
            Err(error) => panic!("{error}"),
        })
        .await;
        self.url(name)
    }

    /// Whether there is one of this name.
    pub async fn has(&self, name: &str) -> bool {
        let found = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(name);
        found.fetch_optional(&mut self.maintenance().await).await.unwrap().is_some()
    }

    /// Drops one, whoever is connected to it.
    pub async fn drop(&self, name: &str) {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.maintenance().await.execute(drop.as_str()).await.unwrap();
    }

    /// Vacuums a ledger that was filled, and writes out what is in memory, so that neither is done while somebody is
    /// measured. A ledger that took months to grow was vacuumed on the way.
    pub async fn settle(&self, name: &str) {
        let mut filled = PgConnection::connect(&self.url(name)).await.unwrap();
        filled.execute("VACUUM (ANALYZE)").await.unwrap();
        filled.execute("CHECKPOINT").await.unwrap();
    }

    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.server)
    }

    async fn maintenance(&self) -> PgConnection {
        PgConnection::connect(&self.url("postgres")).await.unwrap()
    }
}
