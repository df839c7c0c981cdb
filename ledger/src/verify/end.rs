//! The session that keeps ranges from being moved while a walk is under way, and what it finds beyond the head.

use std::time::Duration;

use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection, Executor, Postgres, Row as _};
use xagent_domain::Digest;

use super::fault::{Fault, Witness};
use super::findings::{FAULTS, Findings};
use super::spine::LEVEL;
use crate::archive::MOVING;
use crate::connect::SESSION;
use crate::read::{digest, unsigned};
use crate::{Ledger, LedgerError};

/// How long one question may take: some read a table once.
const PATIENCE: Duration = Duration::from_secs(120);
const READING: &str = "SET statement_timeout = '2min'";
const OPERATION: &str = "verify";

pub(super) struct Guard(PgConnection);

impl Guard {
    /// Keeps ranges where they are.
    pub(super) async fn take(ledger: &Ledger) -> Result<Self, LedgerError> {
        let taken = async {
            let mut connection = ledger.0.pool.connect_options().connect().await?;
            connection.execute(SESSION).await?;
            connection.execute(READING).await?;
            let lock = sqlx::query("SELECT pg_try_advisory_lock_shared($1)").bind(MOVING);
            let taken: bool = lock.fetch_one(&mut connection).await?.try_get(0)?;
            Ok(taken.then_some(Self(connection)))
        };
        let busy = "a range is being moved to or from an archive; try again when that is done";
        in_time(taken).await?.ok_or_else(|| unavailable(busy))
    }

    /// The numbers that a query finds. It may take longer than a query of a command.
    pub(super) async fn numbers(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<i64>, LedgerError> {
        let rows = in_time(query.fetch_all(&mut self.0)).await?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| failed(&error))
    }

    /// Events, nodes, checkpoints and commands beyond the end, and heads beside the one. Returns the positions of events past
    /// the head.
    pub(super) async fn look_past_the_head(
        &mut self,
        end: u64,
        findings: &mut Findings,
    ) -> Result<Vec<u64>, LedgerError> {
        let levels: Vec<i32> = (1..8).map(|level| level * i32::from(LEVEL)).collect();
        let limit = i64::try_from(FAULTS).unwrap_or(i64::MAX);
        let walked = i64::try_from(end).unwrap_or(i64::MAX);
        let query = sqlx::query(include_str!("past_the_head.sql")).bind(levels).bind(limit).bind(walked);
        let row = in_time(query.fetch_one(&mut self.0)).await?;
        let read = |row: &PgRow| {
            let past: Vec<i64> = row.try_get("past")?;
            let known = ["checkpoints", "nodes", "commands"].map(|column| unsigned(row, column));
            let [checkpoints, nodes, commands] = known;
            let heads = unsigned(row, "heads")?;
            Ok((heads, unsigned(row, "last_position")?, past, checkpoints?, nodes?, commands?))
        };
        let (heads, head, past, checkpoints, nodes, commands) = read(&row).map_err(|e: sqlx::Error| failed(&e))?;
        if heads != 1 {
            findings.add(Fault::Head { detail: format!("there must be one, and `ledger_head` holds {heads}") });
        }
        let known = [(checkpoints, Witness::Checkpoint), (nodes, Witness::Node), (commands, Witness::Command)];
        if head < end {
            findings.add(Fault::Truncated { position: head + 1, last: end, witness: Witness::Head });
        } else if let Some((last, witness)) = known.into_iter().find(|(known, _)| *known > head) {
            findings.add(Fault::Truncated { position: head + 1, last, witness });
        }
        Ok(past.into_iter().filter_map(|position| u64::try_from(position).ok()).collect())
    }

    /// Reads and hashes every blob; returns how many there are.
    pub(super) async fn check_blobs(&mut self, findings: &mut Findings) -> Result<u64, LedgerError> {
        self.0.execute("SET statement_timeout = 0").await.map_err(|error| failed(&error))?;
        let mut blobs = sqlx::query("SELECT digest, content FROM blobs").fetch(&mut self.0);
        let mut count = 0;
        while let Some(row) = in_time(blobs.try_next()).await? {
            let content: &[u8] = row.try_get("content").map_err(|error| failed(&error))?;
            let named: &[u8] = row.try_get("digest").map_err(|error| failed(&error))?;
            let named = digest(named, "digest").map_err(|error| failed(&error))?;
            count += 1;
            if Digest::of(content) != named && !findings.is_full() {
                findings.add(Fault::Blob { digest: named, problem: "corrupt" });
            }
        }
        Ok(count)
    }

    /// Ranges may be moved again. An error where they could have been before: then nothing that was found counts.
    pub(super) async fn release(mut self) -> Result<(), LedgerError> {
        let unlock = sqlx::query("SELECT pg_advisory_unlock_shared($1)").bind(MOVING);
        let held: bool = in_time(unlock.fetch_one(&mut self.0)).await?.try_get(0).map_err(|error| failed(&error))?;
        in_time(self.0.close()).await?;
        if held { Ok(()) } else { Err(unavailable("the connection was lost; try again")) }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, LedgerError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|error| failed(&error)),
        Err(_) => Err(unavailable("no answer in time")),
    }
}

fn failed(error: &sqlx::Error) -> LedgerError {
    LedgerError::database(OPERATION, error)
}

fn unavailable(detail: &str) -> LedgerError {
    LedgerError::Unavailable { operation: OPERATION, detail: detail.to_owned() }
}
