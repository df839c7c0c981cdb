//! Two processes over one ledger: neither is misled by what it remembers, and a repetition is known whatever came between.

use std::sync::Arc;

use futures::future::join_all;
use sqlx::{Connection, Executor, PgConnection};
use xagent_domain::tool::Tool;
use xagent_ledger::{Against, Appended, Ledger, LedgerError, LedgerOptions};
use xagent_tests::{Command, Now, until};

use crate::database::Database;

type Outcome = Result<Appended<<Tool as xagent_domain::Decider>::Event>, LedgerError>;

pub fn ledger_at(url: &str) -> Ledger {
    Ledger::connect(url, Arc::new(Now), LedgerOptions::default()).unwrap()
}

/// A command of one event on `stream`.
fn command(key: &str, stream: &str) -> Command {
    let mut command = Command::of(key);
    command.events.truncate(1);
    Command { stream: format!("default/{stream}"), minds: true, ..command }
}

pub async fn append(ledger: &Ledger, key: &str, stream: &str, sequence: u64) -> Outcome {
    ledger.append::<Tool>(command(key, stream).append(sequence)).await
}

/// As [`append`], for a task of its own.
pub async fn appended(ledger: Ledger, key: impl AsRef<str>, stream: &str, sequence: u64) -> Outcome {
    append(&ledger, key.as_ref(), stream, sequence).await
}

/// The lock that appends take one after the other, held by somebody else.
pub struct Gate(PgConnection);

impl Gate {
    pub async fn close(database: &Database) -> Self {
        let mut session = PgConnection::connect(database.url()).await.unwrap();
        session.execute("SELECT pg_advisory_lock(7281094552)").await.unwrap();
        Self(session)
    }

    /// Waits until so many appenders wait for the lock.
    pub async fn waiting(&mut self, count: i64) {
        let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        until("appenders wait for the lock", async || {
            let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.0).await.unwrap();
            (waiting == count).then_some(())
        })
        .await;
    }

    pub async fn open(self) {
        self.0.close().await.unwrap();
    }
}

pub async fn is_whole(ledger: &Ledger, events: u64) {
    let verification = ledger.verify(&Against::default(), |_, _| {}).await.unwrap();
    assert_eq!((verification.fault, verification.events), (None, events));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_gets_its_first_receipt_though_its_stream_went_on() {
    let database = Database::start().await;
    let ledger = ledger_at(database.url());
    let first = append(&ledger, "first", "a", 0).await.unwrap();
    append(&ledger, "second", "a", 1).await.unwrap();
    let again = append(&ledger, "first", "a", 0).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.receipt, first.receipt);
    // All at once, they meet in a batch or two.
    let together = join_all((0..8).map(|_| append(&ledger, "third", "a", 2))).await;
    let receipts: Vec<_> = together.into_iter().map(|outcome| outcome.unwrap().receipt).collect();
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0] && receipt.last_position == 3));
    let conflict = append(&ledger, "fourth", "a", 2).await;
    assert!(matches!(conflict, Err(LedgerError::Conflict { expected: 2, found: 3, .. })), "{conflict:?}");
    let mut other = command("first", "a").append(3);
    other.command.as_mut().unwrap().body = xagent_domain::Digest::of(b"another body");
    let reused = ledger.append::<Tool>(other).await;
    assert!(matches!(reused, Err(LedgerError::KeyReused { .. })), "{reused:?}");
    is_whole(&ledger, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_another_process_moved_is_not_judged_by_what_is_remembered() {
    let database = Database::start().await;
    let (one, other) = (ledger_at(database.url()), ledger_at(database.url()));
    append(&one, "a1", "a", 0).await.unwrap();
    append(&other, "a2", "a", 1).await.unwrap();
    // The other process has moved the ledger by just as much as this batch was to move it.
    append(&one, "b1", "b", 0).await.unwrap();
    append(&one, "a3", "a", 2).await.unwrap();
    is_whole(&one, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_batch_that_lost_a_race_are_not_mixed_up() {
    let database = Database::start().await;
    let (one, other) = (ledger_at(database.url()), ledger_at(database.url()));
    for sequence in 0..5 {
        append(&one, &format!("z{sequence}"), "z", sequence).await.unwrap();
    }
    // Each has found the other one in its way: from then on they ask first. One of them has been alone again since.
    append(&other, "m1", "m", 0).await.unwrap();
    append(&one, "w1", "w", 0).await.unwrap();
    append(&other, "m2", "m", 1).await.unwrap();
    append(&one, "w2", "w", 1).await.unwrap();
    append(&one, "w3", "w", 2).await.unwrap();
    let mut gate = Gate::close(&database).await;
    let first = tokio::spawn(appended(one.clone(), "w4", "w", 3));
    gate.waiting(1).await;
    let between = tokio::spawn(appended(other, "m3", "m", 2));
    gate.waiting(2).await;
    // They gather while the first one waits: a batch whose streams are not in the order of their names.
    let streams = [("z", 5), ("a", 0), ("k", 0), ("b", 0)];
    let key = |stream: &str| format!("{stream}-last");
    let batch = streams.map(|(stream, at)| tokio::spawn(appended(one.clone(), key(stream), stream, at)));
    gate.open().await;
    assert_eq!(first.await.unwrap().unwrap().receipt.last_position, 11);
    assert_eq!(between.await.unwrap().unwrap().receipt.last_position, 12);
    for (outcome, (stream, at)) in join_all(batch).await.into_iter().zip(streams) {
        assert_eq!(outcome.unwrap().unwrap().receipt.sequence, at + 1, "{stream}");
    }
    is_whole(&one, 16).await;
}
