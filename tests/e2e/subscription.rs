//! Subscriptions: each position once, in order, whatever happens to those who tell of new ones.

use std::time::Duration;

use futures::future::join_all;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use xagent_domain::tool::Tool;
use xagent_ledger::{Ledger, LedgerError};
use xagent_tests::{Command, PATIENCE};

use crate::world::{Bare, until};

/// Reads from the beginning up to `end`, in pages of `page`.
fn follow(ledger: Ledger, page: u32, end: u64) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (mut events, mut read) = (ledger.subscribe(0, page), 0);
        while read < end {
            for event in events.next().await.unwrap() {
                assert_eq!(event.position, read + 1, "a position was missed, or seen twice");
                read += 1;
            }
            assert_eq!(events.position(), read);
        }
    })
}

async fn append(ledger: Ledger, name: String, commands: u32) {
    for number in 0..commands {
        let mut command = Command { minds: false, ..Command::of(&format!("{name}.{number}")) };
        command.events.truncate(1);
        ledger.append::<Tool>(command.append(0)).await.unwrap();
    }
}

/// Ends the sessions that listen, once all of `count` do.
async fn deafen(superuser: &PgPool, count: i64) {
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let end = listening.replace("count(*)", "count(pg_terminate_backend(pid))");
    until("they listen", async || {
        let listeners: i64 = sqlx::query_scalar(listening).fetch_one(superuser).await.unwrap();
        (listeners >= count).then_some(())
    })
    .await;
    assert!(sqlx::query_scalar::<_, i64>(&end).fetch_one(superuser).await.unwrap() >= count);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_position_is_missed_or_seen_twice_while_four_ledgers_append_and_listeners_are_cut_off() {
    let bare = Bare::new().await;
    let ledgers: Vec<_> = (0..4).map(|_| bare.another_ledger()).collect();
    let end = 4 * 4 * 150;
    let late = bare.another_ledger();
    let readers: Vec<_> =
        ledgers.iter().zip([1, 7, 100, 500]).map(|(ledger, page)| follow(ledger.clone(), page, end)).collect();
    let waits = follow(late.clone(), 500, end);
    let writers = (0..16).map(|writer| tokio::spawn(append(ledgers[writer % 4].clone(), format!("w{writer}"), 150)));
    let writers: Vec<_> = writers.collect();
    for round in 1..=5 {
        deafen(&bare.superuser, 6).await;
        let reached = |head: u64| (head >= end / 6 * round).then_some(());
        until("they append on", async || reached(bare.ledger.head().await.unwrap().position)).await;
    }
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    for reader in readers.into_iter().chain([waits]) {
        tokio::time::timeout(PATIENCE, reader).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_woken_and_whoever_does_not_wait_for_ever_gets_nothing() {
    let bare = Bare::filled(2).await;
    let mut events = bare.another_ledger().subscribe(3, 10);
    assert_eq!(events.next().await.unwrap().len(), 1);
    assert!(events.next_within(Duration::ZERO).await.unwrap().is_empty());
    let waiting = tokio::spawn(async move { events.next().await.unwrap().len() });
    bare.fill(2..3).await;
    assert_eq!(tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap(), 2);
}

fn missing(error: LedgerError) -> u64 {
    match error {
        LedgerError::Tampered { position, detail } if detail.starts_with("it is missing") => position,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_an_error_and_remains_one() {
    let bare = Bare::filled(10).await;
    bare.tamper(&["DELETE FROM events WHERE position IN (8, 19, 20)"]).await;
    let mut events = bare.ledger.subscribe(0, 100);
    assert_eq!(events.next().await.unwrap().len(), 7, "what is before it is given");
    for _ in 0..2 {
        assert_eq!(missing(events.next().await.unwrap_err()), 8);
        assert_eq!(events.position(), 7);
    }
    assert_eq!(bare.ledger.subscribe(8, 100).next().await.unwrap().len(), 10);
    assert_eq!(missing(bare.ledger.subscribe(18, 100).next().await.unwrap_err()), 19);
    assert_eq!(missing(bare.ledger.subscribe(21, 100).next().await.unwrap_err()), 21, "past the end of the ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_is_not_skipped() {
    let bare = Bare::in_ranges(256).await;
    bare.fill(0..150).await;
    bare.detach("one.xa").await;
    let error = bare.ledger.subscribe(200, 100).next().await.unwrap_err();
    assert!(matches!(error, LedgerError::Archived { position: 201, .. }), "{error}");
    assert_eq!(bare.ledger.subscribe(256, 100).next().await.unwrap().len(), 44);
}
