//! Durable appends of 1 KB events by 1, 8, 64 and 256 writers.

use std::fmt::Write as _;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, Executor, PgConnection};

use crate::figures::Figures;
use crate::peers::{bare, ours, postgres_es};

const WRITERS: [usize; 4] = [1, 8, 64, 256];
/// Contestants take turns, so that what the machine does besides strikes all of them.
const TURNS: usize = 4;
const ES_EVENTS: &str = "CREATE TABLE es_events (aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint NOT NULL, \
     event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL, \
     PRIMARY KEY (aggregate_type, aggregate_id, sequence))";
const HEADINGS: &str = "| writers | ledger, events/s | p50 ms | p99 ms | postgres-es, events/s | p50 ms | p99 ms | bare INSERT \
                        of as many rows, rows/s | p50 ms | p99 ms | ledger / postgres-es | ledger / bare | p50, ledger / bare |\n\
                        |---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

/// The table of all contestants.
pub async fn table(url: &str) -> String {
    let pool = PgPoolOptions::new().max_connections(64).connect(url).await.unwrap();
    let mut connection = PgConnection::connect(url).await.unwrap();
    let ledger = crate::ledger(url);
    pool.execute(ES_EVENTS).await.unwrap();
    let mut table = HEADINGS.to_owned();
    for writers in WRITERS {
        pool.execute("DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE events_from_1 INCLUDING ALL)").await.unwrap();
        let [mut we, mut stock, mut plain] = [(); 3].map(|()| Figures::default());
        for turn in 0..TURNS {
            let name = format!("{writers}-{turn}");
            plain.add(bare(&mut connection, writers, name.clone(), turn * 10_000_000 + 1).await);
            we.add(ours(ledger.clone(), writers, name.clone()).await);
            stock.add(postgres_es(pool.clone(), writers, name).await);
        }
        let _ = write!(table, "| {writers} |");
        for figures in [&we, &stock, &plain] {
            let (rate, p50, p99) = (figures.rate(), figures.percentile(50), figures.percentile(99));
            let _ = write!(table, " {rate:.0} | {p50:.2} | {p99:.2} |");
        }
        let (to_stock, to_plain) = (we.rate() / stock.rate(), we.rate() / plain.rate());
        let p50 = we.percentile(50) / plain.percentile(50);
        let _ = writeln!(table, " {to_stock:.1} | {to_plain:.2} | {p50:.2} |");
    }
    table
}
