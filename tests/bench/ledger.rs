//! The ledger against its peers, in one run on one Postgres: durable appends of 1 KB events by 1, 8, 64 and 256 writers.
//!
//! Peers: the stock event store of postgres-es, and a bare batched INSERT of the same rows into a table of the same columns
//! and indexes. Every acknowledgement of every contestant is fsynced. Figures are events a second; what counts is the ratios.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use xagent_domain::tool::{Registration, Tool, ToolEvent};
use xagent_domain::{CanonicalJson, Digest, Metadata, Tenant};
use xagent_ledger::{Append, Clock, Expected, Folded, Ledger, LedgerOptions};
use xagent_stack::{Need, Stack, StackOptions};

const WRITERS: [usize; 4] = [1, 8, 64, 256];
const ROUND: Duration = Duration::from_secs(4);
const BARE_BATCH: usize = 256;

struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "measured time is the machine's")]
    fn now_us(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    }
}

/// An event whose payload is about 1 KB.
fn event() -> ToolEvent {
    ToolEvent::ToolRegistered(Box::new(Registration {
        name: "tool".to_owned(),
        description: "x".repeat(800),
        schema: CanonicalJson::of(&json!({})).unwrap(),
        executor: xagent_domain::run::Executor::Client,
        risk: "low".to_owned(),
        idempotent: false,
        consequential: false,
        reads_untrusted: false,
        paths: Vec::new(),
        urls: Vec::new(),
        code: Default::default(),
    }))
}

fn metadata() -> Metadata {
    Metadata { actor: "bench".to_owned(), command_id: "c".repeat(36), ..Metadata::default() }
}

/// Events a second, and the median and 99th percentile of one append in milliseconds.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
}

/// Lets `writers` append again and again for one round.
async fn measure<F, Fut>(writers: usize, append: F) -> Figures
where
    F: Fn(u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = u64> + Send,
{
    let (append, number) = (Arc::new(append), Arc::new(AtomicU64::new(0)));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (append, number) = (append.clone(), number.clone());
            tokio::spawn(async move {
                let (mut events, mut times) = (0, Vec::new());
                while begin.elapsed() < ROUND {
                    let asked = Instant::now();
                    events += append(number.fetch_add(1, Ordering::Relaxed)).await;
                    times.push(asked.elapsed().as_secs_f64() * 1000.0);
                }
                (events, times)
            })
        })
        .collect();
    let (mut events, mut times) = (0, Vec::new());
    for task in tasks {
        let (done, taken) = task.await.unwrap();
        events += done;
        times.extend(taken);
    }
    let rate = events as f64 / begin.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Figures { rate, p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
}

async fn ours(ledger: Ledger, writers: usize) -> Figures {
    measure(writers, move |number| {
        let ledger = ledger.clone();
        async move {
            let append = Append {
                tenant: Tenant::default_tenant(),
                aggregate_id: format!("w{writers}-{number}"),
                expected: Expected::Exactly(0),
                events: vec![event()],
                blobs: Vec::new(),
                metadata: metadata(),
                command: None,
            };
            ledger.append::<Tool>(append).await.unwrap();
            1
        }
    })
    .await
}

async fn postgres_es(pool: PgPool, writers: usize) -> Figures {
    let repository = Arc::new(postgres_es::PostgresEventRepository::new(pool).with_tables("es_events", "es_snapshots"));
    measure(writers, move |number| {
        let repository = repository.clone();
        async move {
            let event = SerializedEvent {
                aggregate_id: format!("w{writers}-{number}"),
                sequence: 1,
                aggregate_type: "tool".to_owned(),
                event_type: "ToolRegistered".to_owned(),
                event_version: "1".to_owned(),
                payload: serde_json::to_value(event()).unwrap(),
                metadata: serde_json::to_value(metadata()).unwrap(),
            };
            repository.persist::<Folded<Tool>>(&[event], None).await.unwrap();
            1
        }
    })
    .await
}

/// One connection, one statement and one commit per batch.
async fn bare(pool: PgPool) -> Figures {
    let (payload, metadata) = (CanonicalJson::of(&event()).unwrap(), CanonicalJson::of(&metadata()).unwrap());
    measure(1, move |number| {
        let (pool, payload, metadata) = (pool.clone(), payload.clone(), metadata.clone());
        async move {
            let first = i64::try_from(number * BARE_BATCH as u64).unwrap();
            let positions: Vec<i64> = (first + 1..).take(BARE_BATCH).collect();
            let ids: Vec<String> = positions.iter().map(|position| format!("b-{position}")).collect();
            let leaves: Vec<Vec<u8>> = ids.iter().map(|id| Digest::of(id.as_bytes()).as_bytes().to_vec()).collect();
            let same = |text: &CanonicalJson| vec![text.as_str().to_owned(); BARE_BATCH];
            let sql = "INSERT INTO bare SELECT 'tool', id, 1, 'ToolRegistered', '1', payload::json, metadata::json, position, \
                       'default', now(), leaf FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[]) \
                       AS row (id, payload, metadata, position, leaf)";
            let insert = sqlx::query(sql).bind(ids).bind(same(&payload)).bind(same(&metadata));
            insert.bind(positions).bind(leaves).execute(&pool).await.unwrap();
            BARE_BATCH as u64
        }
    })
    .await
}

async fn run(stack: &Stack) -> String {
    let url = stack.postgres_url();
    xagent_ledger::migrate(url).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(64).connect(url).await.unwrap();
    pool.execute(
        "CREATE TABLE bare (LIKE events INCLUDING ALL);
         CREATE TABLE es_events (aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint NOT NULL,
             event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
             PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
    )
    .await
    .unwrap();
    let ledger = Ledger::connect(url, Arc::new(Now), LedgerOptions::default()).unwrap();
    let bare = bare(pool.clone()).await;
    let mut table = format!("Bare INSERT, batches of {BARE_BATCH}: {:.0} events/s\n\n", bare.rate);
    table.push_str("| writers | ours, events/s | p50 ms | p99 ms | postgres-es, events/s | p50 ms | p99 ms | ours / postgres-es | ours / bare |\n");
    table.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for writers in WRITERS {
        let (ours, stock) = (ours(ledger.clone(), writers).await, postgres_es(pool.clone(), writers).await);
        let _ = writeln!(
            table,
            "| {writers} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {:.1} | {:.2} |",
            ours.rate,
            ours.p50,
            ours.p99,
            stock.rate,
            stock.p50,
            stock.p99,
            ours.rate / stock.rate,
            ours.rate / bare.rate
        );
    }
    let begin = Instant::now();
    let verified = ledger.verify(&[], |_| {}).await.unwrap();
    assert_eq!(verified.fault, None);
    let rate = verified.events as f64 / begin.elapsed().as_secs_f64();
    let _ = writeln!(table, "\nverify: {:.0} events/s over {} events", rate, verified.events);
    table
}

fn main() {
    let folder =
        std::env::var_os("XAGENT_TEST_ROOT").map_or_else(std::env::temp_dir, PathBuf::from).join("bench-ledger");
    std::fs::create_dir_all(&folder).unwrap();
    let elsewhere = || Need::None;
    let options = StackOptions { folder, postgres: Need::Private, nats: elsewhere(), redis: elsewhere() };
    let stack = Stack::start(options).unwrap();
    let table = tokio::runtime::Runtime::new().unwrap().block_on(run(&stack));
    println!("{table}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("ledger.md"), table).unwrap();
}
