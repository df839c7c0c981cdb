//! Snapshots of long streams: used where they fit, dropped where they do not, and never needed.

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use xagent_domain::tool::Tool;
use xagent_domain::{Decider, Tenant};
use xagent_ledger::{Ledger, LedgerError, Loaded};
use xagent_tests::Command;

use crate::world::{Bare, until};

const STREAM: &str = "default/long";

/// Commands of one event each.
async fn grow(ledger: &Ledger, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let mut command = Command { stream: STREAM.to_owned(), minds: false, ..Command::of(&format!("p.{number}")) };
        command.events.truncate(1);
        ledger.append::<Tool>(command.append(0)).await.unwrap();
    }
}

async fn load(ledger: &Ledger) -> Loaded<Tool> {
    ledger.load::<Tool>(&Tenant::default_tenant(), STREAM).await.unwrap()
}

/// Loads as a process that knows nothing yet, and holds what it gets to the events from the first one on.
async fn is_the_fold_of_its_events(bare: &Bare) {
    let newcomer = bare.another_ledger();
    let loaded = load(&newcomer).await;
    let events = newcomer.committed::<Tool>(&Tenant::default_tenant(), STREAM, 0, 10_000).await.unwrap();
    let mut folded = Tool::default();
    events.iter().for_each(|event| folded.evolve(event.event()));
    assert_eq!((loaded.sequence, loaded.state), (events.len() as u64, folded));
}

async fn sequences(bare: &Bare) -> Vec<i64> {
    sqlx::query_scalar("SELECT sequence FROM snapshots ORDER BY sequence").fetch_all(&bare.superuser).await.unwrap()
}

async fn is_kept_at(bare: &Bare, sequence: i64) {
    until("the snapshot is kept", async || (sequences(bare).await == [sequence]).then_some(())).await;
}

/// A stream of 20 events with a snapshot of all of them.
async fn with_snapshot() -> Bare {
    let bare = Bare::new().await;
    grow(&bare.ledger, 0..20).await;
    load(&bare.ledger).await;
    is_kept_at(&bare, 20).await;
    bare
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_one_snapshot_which_follows_it() {
    let bare = with_snapshot().await;
    is_the_fold_of_its_events(&bare).await;
    grow(&bare.ledger, 20..25).await;
    load(&bare.ledger).await;
    is_the_fold_of_its_events(&bare).await;
    assert_eq!(sequences(&bare).await, [20], "none is due yet");
    grow(&bare.ledger, 25..30).await;
    is_the_fold_of_its_events(&bare).await;
    is_kept_at(&bare, 30).await;
    for sequence in [1, 19, 29, 30, 31] {
        let at = bare.ledger.load_at::<Tool>(&Tenant::default_tenant(), STREAM, sequence).await.unwrap();
        let name = at.state.registration().unwrap().name.clone();
        assert_eq!((at.sequence, name), (sequence.min(30), format!("p.{}/0", sequence.min(30) - 1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_does_not_fit_is_dropped_and_the_events_are_read() {
    let edits = [
        "UPDATE snapshots SET state = convert_to(replace(convert_from(state, 'UTF8'), 'p.19', 'p.91'), 'UTF8')",
        "UPDATE snapshots SET digest = sha256(state)",
        "UPDATE snapshots SET sequence = 19",
        "UPDATE snapshots SET sequence = 21",
        "UPDATE snapshots SET sequence = 9223372036854775807",
    ];
    for edit in edits {
        let bare = with_snapshot().await;
        bare.tamper(&[edit]).await;
        is_the_fold_of_its_events(&bare).await;
        is_kept_at(&bare, 20).await;
        bare.holds(&[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_stream_or_by_other_code_is_not_taken() {
    let bare = with_snapshot().await;
    let copy = "INSERT INTO snapshots SELECT tenant, aggregate_type, $1, $2, sequence, state, digest FROM snapshots";
    let none = "default/none";
    let code = xagent_domain::CODE;
    sqlx::query(copy).bind(none).bind(code).execute(&bare.superuser).await.unwrap();
    let loaded = bare.another_ledger().load::<Tool>(&Tenant::default_tenant(), none).await.unwrap();
    assert_eq!((loaded.sequence, loaded.state), (0, Tool::default()));
    is_kept_at(&bare, 20).await;

    bare.tamper(&["UPDATE snapshots SET code = 'another', state = 'nonsense'"]).await;
    is_the_fold_of_its_events(&bare).await;
    until("each code has its own", async || (sequences(&bare).await == [20, 20]).then_some(())).await;
    grow(&bare.ledger, 20..30).await;
    is_the_fold_of_its_events(&bare).await;
    is_kept_at(&bare, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_not_taken_over_an_event_that_was_changed() {
    let bare = with_snapshot().await;
    bare.tamper(&["UPDATE events SET payload = replace(payload::text, 'xxx', 'xyx')::json WHERE position = 20"]).await;
    let refused = bare.another_ledger().load::<Tool>(&Tenant::default_tenant(), STREAM).await.unwrap_err();
    assert!(matches!(refused, LedgerError::Tampered { position: 20, .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_says_something_else_than_its_events_is_named_by_verification() {
    let bare = with_snapshot().await;
    assert_eq!(bare.holds(&["--snapshots"]).await["snapshots"], 1);
    let state = "convert_to(replace(convert_from(state, 'UTF8'), 'p.19', 'p.91'), 'UTF8')";
    bare.tamper(&[format!("UPDATE snapshots SET state = {state}")]).await;
    let said = bare.broken(&["--snapshots"]).await;
    let expected = json!({"kind": "snapshot", "stream": format!("tool/{STREAM}"), "sequence": 20});
    assert_eq!((&said["fault"], said["faults"].as_array().map(Vec::len)), (&expected, Some(1)), "{said:#}");
    bare.holds(&[]).await;
    bare.superuser.execute("DELETE FROM snapshots").await.unwrap();
    assert_eq!(bare.holds(&["--snapshots"]).await["snapshots"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_appends_may_drop_snapshots_but_not_change_them_and_nothing_depends_on_them() {
    let bare = with_snapshot().await;
    let mut owner = PgConnection::connect(&bare.database_url).await.unwrap();
    owner.execute("SET ROLE xagent_app").await.unwrap();
    for change in ["UPDATE snapshots SET sequence = 1", "TRUNCATE snapshots", "DROP TABLE snapshots"] {
        let refused = owner.execute(change).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{change}");
    }
    assert_eq!(owner.execute("DELETE FROM snapshots").await.unwrap().rows_affected(), 1);
    is_the_fold_of_its_events(&bare).await;
    is_kept_at(&bare, 20).await;
    bare.holds(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_beginning_is_archived_goes_on_from_its_snapshot() {
    let bare = Bare::in_ranges(256).await;
    grow(&bare.ledger, 0..250).await;
    bare.fill(0..10).await;
    grow(&bare.ledger, 250..260).await;
    load(&bare.ledger).await;
    is_kept_at(&bare, 260).await;
    bare.detach("one.xa").await;
    let newcomer = bare.another_ledger();
    assert_eq!(load(&newcomer).await.sequence, 260);
    grow(&newcomer, 260..261).await;
    let name = load(&newcomer).await.state.registration().unwrap().name.clone();
    assert_eq!(name, "p.260/0");
    bare.superuser.execute("DELETE FROM snapshots").await.unwrap();
    let archived = bare.another_ledger().load::<Tool>(&Tenant::default_tenant(), STREAM).await.unwrap_err();
    assert!(matches!(archived, LedgerError::Archived { .. }), "{archived}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_knows_is_brought_up_to_what_others_wrote() {
    let bare = Bare::new().await;
    let other = bare.another_ledger();
    for turn in 0..30 {
        let writer = if turn % 3 == 0 { &other } else { &bare.ledger };
        grow(writer, turn..turn + 1).await;
        for reader in [&bare.ledger, &other] {
            let loaded = load(reader).await;
            let name = loaded.state.registration().unwrap().name.clone();
            assert_eq!((loaded.sequence, name), (turn + 1, format!("p.{turn}/0")));
        }
    }
    is_the_fold_of_its_events(&bare).await;
}
