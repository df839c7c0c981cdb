//! The disk of the write-ahead log fills up while four processes append.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::Rng;
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::AbortHandle;
use xagent_ledger::LedgerError;
use xagent_stack::Stack;
use xagent_tests::until;

use crate::contention::{append, ledger_at};
use crate::database::Database;
use crate::reckoning::Scene;
use crate::wal_disk::WalDisk;

const ROUNDS: usize = 20;
const SMALL: [&str; 2] = ["ALTER SYSTEM SET min_wal_size = '32MB'", "ALTER SYSTEM SET max_wal_size = '48MB'"];

/// Somebody else who writes much: about a segment.
const MUCH: &str = "SELECT pg_logical_emit_message(false, 'much', repeat('x', 16 * 1024 * 1024))";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_that_was_acknowledged_and_appending_goes_on_once_there_is_room() {
    let database = Database::start().await;
    for setting in SMALL {
        PgConnection::connect(database.url()).await.unwrap().execute(setting).await.unwrap();
    }
    database.act(Stack::stop).await;
    let disk = match WalDisk::take_over(&database.cluster()) {
        Ok(disk) => disk,
        Err(reason) => {
            // Past the harness, which keeps to itself what a test prints that does not fail.
            let skipped = format!("\nNOT TRIED: a full disk, for a small one cannot be mounted here: {reason}\n");
            return std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        }
    };
    database.act(Stack::start_again).await;
    let mut scene = Scene::begin(database.url(), database.url()).await;
    let refused = Refused::watch(database.url());
    for _ in 0..ROUNDS {
        let moment = rand::rng().random_range(0..20);
        scene.appenders.go_on_together(moment).await;
        let before = refused.count();
        disk.fill();
        until("appends are refused", async || {
            write_much(database.url()).await;
            (refused.count() > before).then_some(())
        })
        .await;
        disk.clear();
        go_on(&mut scene, &database).await;
    }
    drop(refused);
    scene.reckon().await;
}

/// As far as there is room.
async fn write_much(url: &str) {
    let write = async { PgConnection::connect(url).await?.execute(MUCH).await.map(drop) };
    // What becomes of it does not matter.
    drop(tokio::time::timeout(Duration::from_secs(5), write).await);
}

/// Postgres comes back by itself where it can; where it has ended, it is started again, as any supervisor would.
async fn go_on(scene: &mut Scene, database: &Database) {
    let mut look = tokio::time::interval(Duration::from_millis(200));
    let mut goes_on = std::pin::pin!(scene.appenders.go_on(2));
    loop {
        tokio::select! {
            () = &mut goes_on => return,
            _ = look.tick() => database.act(Stack::start_again).await,
        }
    }
}

/// One more client, which counts how often it is told to come back later.
struct Refused {
    count: Arc<AtomicUsize>,
    client: AbortHandle,
}

impl Refused {
    fn watch(url: &str) -> Self {
        let (ledger, count) = (ledger_at(url), Arc::<AtomicUsize>::default());
        let counted = count.clone();
        let client = tokio::spawn(async move {
            let mut pause = tokio::time::interval(Duration::from_millis(10));
            loop {
                pause.tick().await;
                // The stream is never there, so that nothing is appended that would have to be accounted for.
                match append(&ledger, "nothing", "nothing", 1).await {
                    Err(LedgerError::Unavailable { .. }) => drop(counted.fetch_add(1, Ordering::Relaxed)),
                    other => assert!(matches!(other, Err(LedgerError::Conflict { .. })), "{other:?}"),
                }
            }
        });
        Self { count, client: client.abort_handle() }
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        self.client.abort();
    }
}
