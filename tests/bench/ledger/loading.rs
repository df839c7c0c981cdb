//! What it takes to load a run from its events and from a snapshot of all of it, and to keep that snapshot: what the
//! interval of snapshots is chosen by (`docs/decisions/0011-snapshots.md`).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use sqlx::{Executor, PgPool};
use xagent_domain::Tenant;
use xagent_domain::run::Run;
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_tests::until;

use crate::Now;

const TIMES: usize = 15;
const HEADINGS: &str = "| events in the run | loaded from events, p50 ms | from a snapshot, p50 ms | the state, bytes | kept, \
                        p50 ms |\n|---|---|---|---|---|\n";

/// Of runs of different lengths.
pub async fn table(url: &str, database: &PgPool, runs: &[(u64, String)]) -> String {
    let (eager, plain) = (connect(url, 1), || connect(url, u64::MAX));
    database.execute("CREATE TABLE kept (LIKE snapshots INCLUDING ALL)").await.unwrap();
    let mut table = HEADINGS.to_owned();
    for (events, run) in runs {
        database.execute("DELETE FROM snapshots").await.unwrap();
        let from_events = median(async || load(&plain(), run).await).await;
        load(&eager, run).await;
        let bytes = until("the snapshot is kept", async || {
            let bytes = "SELECT octet_length(state) FROM snapshots WHERE aggregate_id = $1";
            sqlx::query_scalar::<_, i32>(bytes).bind(run).fetch_optional(database).await.unwrap()
        })
        .await;
        let from_snapshot = median(async || load(&plain(), run).await).await;
        let kept = median(async || keep(&eager, database, run).await).await;
        let _ = writeln!(table, "| {events} | {from_events:.2} | {from_snapshot:.2} | {bytes} | {kept:.2} |");
    }
    table
}

fn connect(url: &str, snapshot_every: u64) -> Ledger {
    let options = LedgerOptions { snapshot_every, ..LedgerOptions::default() };
    Ledger::connect(url, Arc::new(Now), options).unwrap()
}

/// Milliseconds, by a process that knows nothing but its connection.
async fn load(ledger: &Ledger, run: &str) -> f64 {
    ledger.ping().await.unwrap();
    let begin = Instant::now();
    ledger.load::<Run>(&Tenant::default_tenant(), run).await.unwrap();
    begin.elapsed().as_secs_f64() * 1000.0
}

/// Milliseconds to write the state out and commit it.
async fn keep(ledger: &Ledger, database: &PgPool, run: &str) -> f64 {
    let state = ledger.load::<Run>(&Tenant::default_tenant(), run).await.unwrap().state;
    database.execute("DELETE FROM kept").await.unwrap();
    let begin = Instant::now();
    let state = serde_json::to_vec(&state).unwrap();
    let insert = "INSERT INTO kept SELECT tenant, aggregate_type, aggregate_id, code, sequence, $1, digest FROM snapshots \
                  WHERE aggregate_id = $2";
    let inserted = sqlx::query(insert).bind(state).bind(run).execute(database).await.unwrap();
    assert_eq!(inserted.rows_affected(), 1);
    begin.elapsed().as_secs_f64() * 1000.0
}

async fn median(mut measure: impl AsyncFnMut() -> f64) -> f64 {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        times.push(measure().await);
    }
    times.sort_by(f64::total_cmp);
    times[TIMES / 2]
}
