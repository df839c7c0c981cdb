//! What is read of a large ledger is found by indexes, whatever the planner knows of its ranges: as it is read, and as each
//! statement of the ledger is planned. So is the head, however many versions of it cannot be cleared away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::join_all;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use xagent_domain::tool::Tool;
use xagent_domain::{Digest, Tenant};
use xagent_ledger::{CommandKey, Ledger, LedgerOptions};
use xagent_tests::{Command, Now};
use xagent_tree::verify_inclusion;

use crate::world::{Bare, until};

const WIDTH: u64 = 16_384;
const COMMANDS: u32 = 260;
const EVENTS: u64 = 400;
const APPROVAL: &str = "appr_00000000000000000000000000000000";

/// Statements that read whole ranges, and are to: a range that is moved away.
const WHOLE_RANGES: [&str; 2] = ["archive/keep_commands.sql", "archive/keep_streams.sql"];

async fn append(ledger: &Ledger, number: u32) {
    let mut command = Command { minds: false, stream: format!("default/{}", number % 40), ..large(number) };
    let event = command.events.remove(0);
    command.events = vec![event; usize::try_from(EVENTS).unwrap()];
    ledger.append::<Tool>(command.append(0)).await.unwrap();
}

fn large(number: u32) -> Command {
    Command { blob: None, ..Command::of(&format!("large.{number}")) }
}

/// How often the tables that hold events were read as a whole, and by an index.
async fn scans(superuser: &PgPool) -> (i64, i64) {
    let sql = "SELECT sum(seq_scan)::bigint, sum(idx_scan)::bigint FROM pg_stat_user_tables \
               WHERE relname ~ '^events_from_|^archived_leaves$|^tree_nodes$'";
    sqlx::query_as(sql).fetch_one(superuser).await.unwrap()
}

/// What readers do, each in ranges old and new. Gives how many reads they are at least.
async fn read(ledger: &Ledger, archived: u64, size: u64) -> i64 {
    let (tenant, root) = (Tenant::default_tenant(), ledger.root_at(size).await.unwrap());
    let mut reads = 1;
    for position in [archived + 1, archived + WIDTH, size / 2, size - 1, size] {
        let page = ledger.range(position - 1, 500).await.unwrap();
        assert_eq!(page.len() as u64, 500.min(size + 1 - position));
        let stream = ledger.stream(&tenant, "tool", &page[0].aggregate_id, page[0].sequence - 1, 1).await.unwrap();
        assert_eq!(stream[0], page[0]);
        ledger.root_at(position).await.unwrap();
        assert_eq!(ledger.wakes(position, 10).await.unwrap(), []);
        assert_eq!(ledger.runs(&tenant, position, 10).await.unwrap(), []);
        reads += 5;
    }
    assert_eq!(ledger.run_of_approval(&tenant, &APPROVAL.parse().unwrap()).await.unwrap(), None);
    let listed = ledger.aggregate_ids(&tenant, "tool", "default/1").await.unwrap().len();
    assert_eq!(listed, if archived == 0 { 11 } else { 0 }, "streams are listed by their first events");
    for position in [1, 257, WIDTH, WIDTH + 1, size / 3, size - 300, size] {
        let proof = ledger.inclusion(position, size).await.unwrap().unwrap();
        assert!(verify_inclusion(&proof.leaf_hash, position - 1, size, &proof.path, &root), "{position}");
        assert!(ledger.consistency(position, size).await.unwrap().is_some());
        reads += 2;
    }
    for number in [0, COMMANDS / 2, COMMANDS - 1] {
        let key: CommandKey = large(number).command_key();
        let receipt = ledger.receipt(&tenant, &key).await.unwrap().unwrap();
        assert_eq!(receipt.leaf_hashes.len() as u64, EVENTS);
        assert_ne!(receipt.root, Digest::from_bytes([0; 32]));
        reads += 1;
    }
    reads
}

/// Reads as somebody who has just connected, and holds the database to what it counted.
async fn goes_by_indexes(bare: &Bare, archived: u64, size: u64) {
    let options = LedgerOptions { connections: 1, ..LedgerOptions::default() };
    let ledger = Ledger::connect(&bare.database_url, Arc::new(Now), options).unwrap();
    let before = scans(&bare.superuser).await;
    let reads = read(&ledger, archived, size).await;
    let read = scans(&bare.superuser).await.1.max(before.1 + reads);
    let after = until("the reads are counted", async || {
        // A session tells of all its reads now and then, when it has done one more.
        ledger.range(size, 1).await.unwrap();
        Some(scans(&bare.superuser).await).filter(|(_, by_index)| *by_index > read)
    })
    .await;
    assert_eq!(after.0, before.0, "a table was read as a whole");
}

/// Whoever has just connected finds out where streams and keys are before it appends.
async fn appends_by_indexes(bare: &Bare, number: u32) {
    let before = scans(&bare.superuser).await;
    let newcomer = bare.another_ledger();
    append(&newcomer, number).await;
    until("the append is counted", async || {
        newcomer.append::<Tool>(large(0).append(0)).await.unwrap();
        Some(scans(&bare.superuser).await).filter(|(_, by_index)| *by_index > before.1)
    })
    .await;
    assert_eq!(scans(&bare.superuser).await.0, before.0, "a table was read as a whole");
}

fn statements(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            statements(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            found.push(path);
        }
    }
}

/// The ranges of events that a plan reads as a whole.
fn read_whole(plan: &Value, found: &mut BTreeSet<String>) {
    let relation = plan["Relation Name"].as_str().unwrap_or_default();
    if plan["Node Type"] == "Seq Scan" && relation.starts_with("events_from_") {
        found.insert(relation.to_owned());
    }
    plan["Plans"].as_array().into_iter().flatten().for_each(|part| read_whole(part, found));
}

/// The plan of a statement for whatever it may be asked.
async fn plan(connection: &mut PgConnection, statement: &str) -> Value {
    connection.execute(format!("PREPARE asked AS {statement}").as_str()).await.unwrap();
    let types = "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'asked'";
    let parameters: i32 = sqlx::query_scalar(types).fetch_one(&mut *connection).await.unwrap();
    let nulls = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
    let arguments = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE asked{arguments}");
    let plan: Value = sqlx::query_scalar(&explain).fetch_one(&mut *connection).await.unwrap();
    connection.execute("DEALLOCATE asked").await.unwrap();
    plan[0]["Plan"].clone()
}

async fn every_statement_is_planned_by_indexes(bare: &Bare) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ledger/src");
    let mut found = Vec::new();
    statements(&folder, &mut found);
    assert!(found.len() >= 10, "{found:?}");
    let mut connection = bare.superuser.acquire().await.unwrap();
    connection.execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
    for path in found {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let plan = plan(&mut connection, &std::fs::read_to_string(&path).unwrap()).await;
        let mut whole = BTreeSet::new();
        read_whole(&plan, &mut whole);
        assert!(whole.is_empty() || WHOLE_RANGES.contains(&name.as_str()), "{name} reads {whole:?}: {plan:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_streams_proofs_and_receipts_are_read_by_indexes() {
    let bare = Bare::in_ranges(WIDTH).await;
    for some in (0..COMMANDS).collect::<Vec<_>>().chunks(4) {
        join_all(some.iter().map(|number| append(&bare.ledger, *number))).await;
    }
    let size = u64::from(COMMANDS) * EVENTS;
    assert_eq!(bare.ledger.head().await.unwrap().position, size);
    goes_by_indexes(&bare, 0, size).await;
    every_statement_is_planned_by_indexes(&bare).await;
    sqlx::query("ANALYZE").execute(&bare.superuser).await.unwrap();
    goes_by_indexes(&bare, 0, size).await;
    every_statement_is_planned_by_indexes(&bare).await;
    bare.detach("one.xa").await;
    goes_by_indexes(&bare, WIDTH, size).await;
    appends_by_indexes(&bare, COMMANDS).await;
}

/// How often all versions of the head were gone through, and how often it was written.
async fn looks_at_all_heads(superuser: &PgPool) -> (i64, i64) {
    let sql = "SELECT seq_scan, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'ledger_head'";
    sqlx::query_as(sql).fetch_one(superuser).await.unwrap()
}

/// The blocks that are looked at for the head by somebody who has just connected.
async fn blocks_of_the_head(bare: &Bare) -> i64 {
    let mut connection = PgConnection::connect(&bare.database_url).await.unwrap();
    let explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT last_position FROM present_head";
    let plan: Value = sqlx::query_scalar(explain).fetch_one(&mut connection).await.unwrap();
    let blocks = |kind: &str| plan[0]["Plan"][kind].as_i64().unwrap();
    blocks("Shared Hit Blocks") + blocks("Shared Read Blocks")
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_look_at_no_earlier_head_while_a_transaction_stays_open() {
    const APPENDS: u32 = 300;
    let bare = Bare::new().await;
    bare.command(0).await.unwrap();
    let (looks, writes) = looks_at_all_heads(&bare.superuser).await;
    let mut open = bare.superuser.begin().await.unwrap();
    let hold = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    open.execute(hold).await.unwrap();
    let held: i64 = sqlx::query_scalar("SELECT last_position FROM present_head").fetch_one(&mut *open).await.unwrap();
    for number in 1..=APPENDS {
        let plain = Command { minds: false, stream: format!("default/{}", number % 4), ..large(number) };
        bare.ledger.append::<Tool>(plain.append(0)).await.unwrap();
        bare.command(number).await.unwrap();
    }
    let counted = until("the appends are counted", async || {
        bare.command(0).await.unwrap();
        let counted = looks_at_all_heads(&bare.superuser).await;
        (counted.1 >= writes + 2 * i64::from(APPENDS)).then_some(counted)
    })
    .await;
    assert!(counted.0 - looks < i64::from(APPENDS / 3), "{} looks at all versions", counted.0 - looks);

    // The same without the events, which is quicker: so many versions that some pages hold none that is looked at.
    let more = "DO $$ BEGIN FOR step IN 1..20000 LOOP
                    UPDATE ledger_head SET last_position = last_position + 1
                     WHERE lap = (SELECT last_position FROM present_head) / 1024;
                END LOOP; END $$";
    bare.superuser.execute(more).await.unwrap();
    let pages: i64 =
        sqlx::query_scalar("SELECT pg_relation_size('ledger_head') / current_setting('block_size')::bigint")
            .fetch_one(&bare.superuser)
            .await
            .unwrap();
    let looked_at = blocks_of_the_head(&bare).await;
    assert!(pages > 200 && looked_at < pages / 4, "{looked_at} of {pages}");
    let still: i64 = sqlx::query_scalar("SELECT last_position FROM present_head").fetch_one(&mut *open).await.unwrap();
    assert_eq!(still, held);
    open.rollback().await.unwrap();
}
