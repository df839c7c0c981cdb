//! Rebuilding the query tables beside the live ones, which serve meanwhile and are replaced in one step.

use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::{Connection, PgConnection};
use xagent_ledger::Ledger;

use super::build::build;
use super::connect::unsigned;
use super::digest::digest;
use super::fold::Fold;
use super::write::{apply, lock};
use super::{Tables, TablesDigest, TablesError};

const OPERATION: &str = "rebuild the query tables";
/// Rounds in which a build comes close to the head before it takes the live one's place.
const ROUNDS: u32 = 5;
/// Events that may still be missing then: so many are folded while the live projector waits.
const CLOSE: u64 = 1000;
/// How often a replaced build that is still being read is tried to be dropped.
const TRIES: u32 = 5;

/// What a build is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To take the place of what is live.
    Live,
    /// To be looked at: as of a position, kept beside what is live.
    At(u64),
    /// To be compared with what is live, and dropped.
    Check,
}

/// A build, done.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// Where it is now, a schema or a generation of keys; nothing where it was dropped.
    pub schema: Option<String>,
    /// Events that were folded.
    pub events: u64,
    /// How long that took, in milliseconds, without making indexes.
    pub folded_ms: u64,
    /// Events a second.
    pub events_per_second: u64,
    /// The digests of its tables or views.
    pub built: TablesDigest,
    /// Those of what is live at the same position, where they were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<TablesDigest>,
}

impl Built {
    /// A build of so many events, which took so long.
    pub(crate) fn of(schema: String, events: u64, took: Duration, built: TablesDigest) -> Self {
        let folded_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let events_per_second = events.saturating_mul(1000) / folded_ms.max(1);
        Self { schema: Some(schema), events, folded_ms, events_per_second, built, live: None }
    }
}

/// Rebuilds.
pub struct Rebuild {
    ledger: Ledger,
    tables: Tables,
}

impl Rebuild {
    /// From `ledger`, beside the live `tables`.
    pub fn new(ledger: Ledger, tables: Tables) -> Self {
        Self { ledger, tables }
    }

    /// Builds; tells the last position wanted and how far it is after each page.
    pub async fn run(&self, target: Target, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Built, TablesError> {
        let lease = self.ledger.lease("rebuild/tables").await?.ok_or(TablesError::Busy)?;
        let acquired = self.tables.writer.acquire().await;
        let mut connection = acquired.map_err(|error| TablesError::database("connect", &error))?;
        let head = self.ledger.head().await?.position;
        let built = match target {
            Target::Live => self.live(&mut connection, head, told).await,
            Target::At(position) => self.at(&mut connection, position, head, told).await,
            Target::Check => self.check(&mut connection, told).await,
        };
        drop(lease);
        built
    }

    /// Drops tables that were built as of a position.
    pub async fn drop_at(&self, position: u64) -> Result<(), TablesError> {
        let acquired = self.tables.writer.acquire().await;
        let mut connection = acquired.map_err(|error| TablesError::database("connect", &error))?;
        call(&mut connection, "drop_views", &format!("views_at_{position}")).await
    }

    async fn live(
        &self,
        connection: &mut PgConnection,
        head: u64,
        told: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Built, TablesError> {
        const SCHEMA: &str = "views_next";
        call(connection, "drop_views", "views_old").await?;
        let took = self.fill(connection, SCHEMA, head, told).await?;
        call(connection, "index_views", SCHEMA).await?;
        call(connection, "analyse_views", SCHEMA).await?;
        let mut at = head;
        for _ in 0..ROUNDS {
            let head = self.ledger.head().await?.position;
            build(connection, &self.ledger, SCHEMA, (at, head), &|done| told(done, head)).await?;
            let behind = head - at;
            at = head;
            if behind < CLOSE {
                break;
            }
        }
        let built = digest(connection, SCHEMA).await?;
        self.swap(connection, SCHEMA, at).await?;
        self.drop_old(connection).await;
        Ok(Built::of("views".to_owned(), head, took, built))
    }

    /// Brings a build to where the live tables are and puts it in their place. Their projector waits meanwhile.
    async fn swap(&self, connection: &mut PgConnection, schema: &str, at: u64) -> Result<(), TablesError> {
        let database = |error: sqlx::Error| TablesError::database(OPERATION, &error);
        let mut transaction = connection.begin().await.map_err(database)?;
        lock(&mut transaction).await?;
        let live = sqlx::query("SELECT position FROM views.position").fetch_one(&mut *transaction).await;
        let live = live.and_then(|row| unsigned(&row, "position")).map_err(database)?;
        let (mut fold, mut at) = (Fold::new(), at);
        while at < live {
            let wanted = u32::try_from(live - at).unwrap_or(u32::MAX).min(1000);
            let events = self.ledger.range(at, wanted).await?;
            apply(&mut transaction, schema, &mut fold, at, &events).await?;
            at = events.last().map_or(live, |event| event.position);
        }
        call(&mut transaction, "swap_views", schema).await?;
        transaction.commit().await.map_err(database)
    }

    /// Readers of the replaced tables come to their end first.
    async fn drop_old(&self, connection: &mut PgConnection) {
        for attempt in 1..=TRIES {
            match call(connection, "drop_views", "views_old").await {
                Ok(()) => return,
                Err(error) => tracing::warn!(error = %error, attempt, "view.tables.old_not_dropped"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn at(
        &self,
        connection: &mut PgConnection,
        position: u64,
        head: u64,
        told: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Built, TablesError> {
        if position > head {
            return Err(TablesError::Ahead { wanted: position, head });
        }
        let schema = format!("views_at_{position}");
        let took = self.fill(connection, &schema, position, told).await?;
        call(connection, "index_views", &schema).await?;
        call(connection, "analyse_views", &schema).await?;
        let built = digest(connection, &schema).await?;
        Ok(Built::of(schema, position, took, built))
    }

    async fn check(
        &self,
        connection: &mut PgConnection,
        told: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Built, TablesError> {
        const SCHEMA: &str = "views_check";
        let live = digest(connection, "views").await?;
        let took = self.fill(connection, SCHEMA, live.position, told).await?;
        let built = digest(connection, SCHEMA).await?;
        call(connection, "drop_views", SCHEMA).await?;
        let events = live.position;
        Ok(Built { schema: None, live: Some(live), ..Built::of(String::new(), events, took, built) })
    }

    /// Makes a schema anew and folds all events up to a position into it.
    async fn fill(
        &self,
        connection: &mut PgConnection,
        schema: &str,
        to: u64,
        told: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Duration, TablesError> {
        call(connection, "drop_views", schema).await?;
        call(connection, "create_views", schema).await?;
        let begun = Instant::now();
        build(connection, &self.ledger, schema, (0, to), &|done| told(done, to)).await?;
        Ok(begun.elapsed())
    }
}

/// Calls one of the functions that keep schemas of views. They take the time they need.
async fn call(connection: &mut PgConnection, function: &str, schema: &str) -> Result<(), TablesError> {
    let database = |error: sqlx::Error| TablesError::database(OPERATION, &error);
    let mut transaction = connection.begin().await.map_err(database)?;
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await.map_err(database)?;
    let sql = format!("SELECT {function}($1)");
    sqlx::query(&sql).bind(schema).execute(&mut *transaction).await.map_err(database)?;
    transaction.commit().await.map_err(database)
}
