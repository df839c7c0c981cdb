//! Durable appends of 1 KB events by 1, 8, 64 and 256 writers; each number of them begins with nothing in any table.

use std::fmt::Write as _;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, Executor, PgConnection};

use crate::databases::Databases;
use crate::figures::Figures;
use crate::peers::{bare, ours, postgres_es};

const WRITERS: [usize; 4] = [1, 8, 64, 256];
/// Contestants take turns, so that what the machine does besides strikes all of them, forwards and backwards, so that none
/// always follows on the same one. One more turn goes before, in which they connect.
const TURNS: usize = 8;
/// The table of postgres-es, under another name.
pub const ES_EVENTS: &str = "CREATE TABLE es_events (aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint NOT NULL, \
     event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL, \
     PRIMARY KEY (aggregate_type, aggregate_id, sequence))";
const HEADINGS: &str = "| writers | ledger, events/s | p50 ms | p99 ms | postgres-es, events/s | p50 ms | p99 ms | bare INSERT \
                        of as many rows, rows/s | p50 ms | p99 ms | ledger / postgres-es | ledger / bare | p50, ledger / bare |\n\
                        |---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

/// The table of all contestants.
pub async fn table(databases: &Databases) -> String {
    let mut table = HEADINGS.to_owned();
    for writers in WRITERS {
        let url = databases.copy("append").await;
        let pool = PgPoolOptions::new().max_connections(64).connect(&url).await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let ledger = crate::ledger(&url);
        pool.execute(ES_EVENTS).await.unwrap();
        pool.execute("CREATE TABLE bare (LIKE events_from_1 INCLUDING ALL)").await.unwrap();
        let [mut we, mut stock, mut plain] = [(); 3].map(|()| Figures::default());
        for turn in 0..=TURNS {
            if turn == 1 {
                [we, stock, plain] = [(); 3].map(|()| Figures::default());
            }
            let name = format!("{writers}-{turn}");
            let first = turn * 10_000_000 + 1;
            for contestant in if turn % 2 == 0 { [0, 1, 2] } else { [2, 1, 0] } {
                match contestant {
                    0 => plain.add(bare(&mut connection, writers, name.clone(), first).await),
                    1 => we.add(ours(ledger.clone(), writers, name.clone()).await),
                    _ => stock.add(postgres_es(pool.clone(), writers, name.clone()).await),
                }
            }
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
