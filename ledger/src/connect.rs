//! Connecting: a lazy pool under the restricted role, every operation bounded in time.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection};

use crate::cache::Cache;
use crate::lease::Leases;
use crate::prove::plant;
use crate::ranges::{Extender, Ranges};
use crate::{Inner, Ledger, LedgerError, append, snapshot, tail};

/// Where the time comes from: microseconds since 1970-01-01T00:00:00Z.
pub trait Clock: Send + Sync {
    /// Now.
    fn now_us(&self) -> i64;
}

/// Bounds of a ledger's use of its database.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Connections at most.
    pub connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long one operation may take in all.
    pub operation_timeout: Duration,
    /// Positions in a range of events, of those this process adds; a multiple of 256.
    pub range_width: u64,
    /// Events that a stream grows by before its next snapshot, at least; `u64::MAX` for none.
    pub snapshot_every: u64,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        let (acquire_timeout, operation_timeout) = (Duration::from_secs(2), Duration::from_secs(3));
        Self { connections: 16, acquire_timeout, operation_timeout, range_width: 1 << 24, snapshot_every: 256 }
    }
}

/// How long a connection is taken for alive without a look.
const TRUSTED: Duration = Duration::from_secs(1);

/// Appending rests on the isolation: each statement has to see what was committed before it began to hold the lock.
pub(crate) const SESSION: &str = "SET ROLE xagent_app; SET default_transaction_isolation = 'read committed'; \
                       SET synchronous_commit = on; SET statement_timeout = '3s'; SET lock_timeout = '2s'; \
                       SET idle_in_transaction_session_timeout = '5s'";

impl Ledger {
    /// The ledger in the database at `url`. Connects when first used, so that it may be away at start.
    pub fn connect(url: &str, clock: Arc<dyn Clock>, options: LedgerOptions) -> Result<Self, LedgerError> {
        let connect = parse(url)?;
        check_width(options.range_width)?;
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| Box::pin(is_alive(connection, meta.idle_for)))
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
            .connect_lazy_with(connect.clone());
        let (committed, _) = tokio::sync::watch::channel(0);
        let listener = tail::listen(connect.clone(), committed.clone());
        let leases = Arc::new(Leases::new(connect.clone()));
        let queue = append::start(connect, clock.clone(), committed.clone(), options.operation_timeout);
        let ranges = Arc::new(Ranges::default());
        let (width, patience) = (options.range_width, options.operation_timeout);
        let extender = Extender { pool: pool.clone(), width, patience }.start(Arc::clone(&ranges));
        let (cache, snapshots) = (Cache::new(), snapshot::start(pool.clone(), patience));
        let inner =
            Inner { pool, clock, options, committed, queue, cache, snapshots, listener, ranges, extender, leases };
        Ok(Self(Arc::new(inner)))
    }

    /// The time of the clock that events are stamped by, in microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.0.clock.now_us()
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), LedgerError> {
        self.bounded("ping", async { sqlx::query("SELECT 1").execute(&self.0.pool).await.map(drop) }).await
    }

    /// Runs one operation within its time.
    pub(crate) async fn bounded<T, F>(&self, operation: &'static str, work: F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        within(self.0.options.operation_timeout, operation, work).await
    }
}

/// Runs one operation within `patience`.
pub(crate) async fn within<T>(
    patience: Duration,
    operation: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result.map_err(|error| LedgerError::database(operation, &error)),
        Err(_) => Err(LedgerError::Unavailable { operation, detail: "no answer in time".to_owned() }),
    }
}

/// Brings the schema of the database at `url` up to date, as its owner. Running twice changes nothing.
pub async fn migrate(url: &str) -> Result<(), LedgerError> {
    const OPERATION: &str = "migrate";
    let work = async {
        let mut owner =
            PgConnection::connect_with(&parse(url)?).await.map_err(|error| LedgerError::database(OPERATION, &error))?;
        sqlx::migrate!("../migrations")
            .run(&mut owner)
            .await
            .map_err(|error| LedgerError::Failed { operation: OPERATION, detail: error.to_string() })?;
        plant(&mut owner).await.map_err(|error| LedgerError::database(OPERATION, &error))?;
        owner.close().await.map_err(|error| LedgerError::database(OPERATION, &error))
    };
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .map_err(|_| LedgerError::Unavailable { operation: OPERATION, detail: "no answer in a minute".to_owned() })?
}

/// A connection that was used just now is taken for alive; one that is not fails its operation, like any that dies in one.
async fn is_alive(connection: &mut PgConnection, idle: Duration) -> Result<bool, sqlx::Error> {
    Ok(idle < TRUSTED || connection.ping().await.is_ok())
}

fn check_width(width: u64) -> Result<(), LedgerError> {
    if width > 0 && width.is_multiple_of(256) && i64::try_from(width).is_ok() {
        return Ok(());
    }
    let detail = format!("range_width is {width}: take a multiple of 256, as 16777216");
    Err(LedgerError::Failed { operation: "connect", detail })
}

fn parse(url: &str) -> Result<PgConnectOptions, LedgerError> {
    PgConnectOptions::from_str(url).map(|options| options.application_name("xagent")).map_err(|_| LedgerError::Failed {
        operation: "connect",
        detail: "the database URL is not of the form postgres://user:password@host:port/database".to_owned(),
    })
}
