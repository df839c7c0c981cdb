//! Leases: at most one holder per key over all processes of a ledger. They end with their process or its connection.
//!
//! A lease keeps workers out of each other's way. What must never happen twice is kept by the streams' sequences.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::Mutex;
use xagent_domain::Digest;

use crate::connect::within;
use crate::{Ledger, LedgerError};

const PATIENCE: Duration = Duration::from_secs(3);

/// The one session that holds all leases of this process.
pub(crate) struct Leases {
    connect: PgConnectOptions,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    connection: Option<PgConnection>,
    /// Raised whenever a connection, and with it every lease, is lost.
    generation: u64,
    held: HashSet<i64>,
}

/// A key held by this process until it is dropped.
pub struct Lease {
    leases: Arc<Leases>,
    key: i64,
    generation: u64,
}

impl Leases {
    pub(crate) fn new(connect: PgConnectOptions) -> Self {
        Self { connect, session: Mutex::default() }
    }
}

impl Ledger {
    /// Takes the lease on `key`, if nobody has it.
    pub async fn lease(&self, key: &str) -> Result<Option<Lease>, LedgerError> {
        let key = lock_key(key);
        let leases = &self.0.leases;
        let mut session = leases.session.lock().await;
        if session.held.contains(&key) {
            return Ok(None);
        }
        if session.connection.is_none() {
            let connected = within(PATIENCE, "connect for leases", PgConnection::connect_with(&leases.connect)).await?;
            session.connection = Some(connected);
        }
        if !session.ask("SELECT pg_try_advisory_lock($1)", key).await? {
            return Ok(None);
        }
        session.held.insert(key);
        Ok(Some(Lease { leases: Arc::clone(leases), key, generation: session.generation }))
    }
}

impl Lease {
    /// Whether the lease is still held, as the database sees it.
    pub async fn is_held(&self) -> bool {
        let mut session = self.leases.session.lock().await;
        let alive = "SELECT $1::bigint IS NOT NULL";
        session.generation == self.generation && session.ask(alive, self.key).await.unwrap_or(false)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (leases, key, generation) = (Arc::clone(&self.leases), self.key, self.generation);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { leases.release(key, generation).await });
        }
    }
}

impl Leases {
    async fn release(&self, key: i64, generation: u64) {
        let mut session = self.session.lock().await;
        session.held.remove(&key);
        if session.generation == generation
            && let Err(error) = session.ask("SELECT pg_advisory_unlock($1)", key).await
        {
            tracing::debug!(error = %error, "ledger.lease.lost");
        }
    }
}

impl Session {
    /// Asks one yes-or-no question; a failure closes the connection and so gives up every lease.
    async fn ask(&mut self, sql: &'static str, key: i64) -> Result<bool, LedgerError> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(LedgerError::Unavailable { operation: "lease", detail: "not connected".to_owned() });
        };
        let query = sqlx::query(sql).bind(key);
        let answer = within(PATIENCE, "lease", async { query.fetch_one(connection).await?.try_get(0) }).await;
        if answer.is_err() {
            self.connection = None;
            self.generation += 1;
        }
        answer
    }
}

/// A key of Postgres' advisory locks: the first eight bytes of the digest of the name.
fn lock_key(name: &str) -> i64 {
    let digest = Digest::of(name.as_bytes());
    digest.as_bytes().iter().take(8).fold(0_i64, |key, byte| (key << 8) | i64::from(*byte))
}
