//! Leases: at most one holder per key over all processes of a ledger, or as many as a key has places. They end with their
//! process, with its connection, or within seconds of its falling silent.
//!
//! A lease keeps workers out of each other's way. What must never happen twice is kept by the streams' sequences.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::sync::Mutex;
use xagent_domain::Digest;

use crate::connect::within;
use crate::{Ledger, LedgerError};

const PATIENCE: Duration = Duration::from_secs(3);
/// How often the session is heard of. The database ends one it has not heard of for `SESSION`'s time.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A process that hangs, or whose host is gone, loses its leases like one that was killed, if a little later.
const SESSION: &str = "SET idle_session_timeout = '5s'; SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; \
                       SET tcp_keepalives_count = 3";

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
    /// What is in use in this process, though its connection may be gone.
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
        self.lease_any(vec![lock_key(key)]).await
    }

    /// Takes one of the `places` that `key` has over all processes, if one is free.
    pub async fn place(&self, key: &str, places: u32) -> Result<Option<Lease>, LedgerError> {
        self.lease_any((0..places).map(|place| lock_key(&format!("{key}#{place}"))).collect()).await
    }

    async fn lease_any(&self, mut keys: Vec<i64>) -> Result<Option<Lease>, LedgerError> {
        let leases = &self.0.leases;
        let mut session = leases.session.lock().await;
        // A session would get again what it has.
        keys.retain(|key| !session.held.contains(key));
        if keys.is_empty() {
            return Ok(None);
        }
        if session.connection.is_none() {
            session.connection = Some(leases.connected().await?);
            tokio::spawn(beat(Arc::downgrade(leases), session.generation));
        }
        let Some(key) = session.try_lock(&keys).await? else { return Ok(None) };
        session.held.insert(key);
        Ok(Some(Lease { leases: Arc::clone(leases), key, generation: session.generation }))
    }
}

impl Lease {
    /// Whether the lease is still held, as the database sees it.
    pub async fn is_held(&self) -> bool {
        let mut session = self.leases.session.lock().await;
        session.generation == self.generation && session.is_alive().await
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
    async fn connected(&self) -> Result<PgConnection, LedgerError> {
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.connect).await?;
            connection.execute(SESSION).await?;
            Ok(connection)
        };
        within(PATIENCE, "connect for leases", connecting).await
    }

    async fn release(&self, key: i64, generation: u64) {
        let mut session = self.session.lock().await;
        session.held.remove(&key);
        // What an earlier connection held went with it.
        if session.generation != generation {
            return;
        }
        let query = sqlx::query("SELECT pg_advisory_unlock($1)").bind(key);
        if let Err(error) = session.ask(query, |row| row.try_get::<bool, _>(0)).await {
            tracing::debug!(error = %error, "ledger.lease.lost");
        }
    }
}

/// Lets the database hear of the session for as long as it lives.
async fn beat(leases: Weak<Leases>, generation: u64) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Some(leases) = leases.upgrade() else { return };
        let mut session = leases.session.lock().await;
        if session.generation != generation || !session.is_alive().await {
            return;
        }
    }
}

impl Session {
    /// Takes the first of these keys that nobody has. The planner has no reason to try the others.
    async fn try_lock(&mut self, keys: &[i64]) -> Result<Option<i64>, LedgerError> {
        let sql = "SELECT (SELECT key FROM unnest($1::bigint[]) AS key WHERE pg_try_advisory_lock(key) LIMIT 1)";
        self.ask(sqlx::query(sql).bind(keys), |row| row.try_get(0)).await
    }

    async fn is_alive(&mut self) -> bool {
        self.ask(sqlx::query("SELECT true"), |row| row.try_get(0)).await.unwrap_or(false)
    }

    /// Asks one question; a failure closes the connection and so gives up every lease.
    async fn ask<T>(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
        read: impl FnOnce(sqlx::postgres::PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<T, LedgerError> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(LedgerError::Unavailable { operation: "lease", detail: "not connected".to_owned() });
        };
        let answer = within(PATIENCE, "lease", async { read(query.fetch_one(connection).await?) }).await;
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
