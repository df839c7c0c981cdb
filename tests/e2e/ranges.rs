//! Ranges of events: added ahead by whoever appends; in whichever one a thing lies, it is known; moved away meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use xagent_domain::tool::{Tool, ToolEvent};
use xagent_domain::{Digest, Tenant};
use xagent_ledger::{Append, Appended, Ledger, LedgerError};
use xagent_tests::Command;

use crate::world::{Bare, until};

/// Positions that are there ahead of the head at least, once whoever appends has had its time.
const AHEAD: u64 = 8192;

/// A command of one event on the stream `old`, decided on it at `sequence`.
fn old(key: &str, sequence: u64) -> Append<ToolEvent> {
    let mut command = Command::of(key);
    command.events.truncate(1);
    Command { stream: "default/old".to_owned(), minds: true, ..command }.append(sequence)
}

/// One command after the other, on streams that all append to; gives their number.
async fn go_on(ledger: Ledger, name: String, goes_on: impl Fn(u32) -> bool) -> u32 {
    let mut number = 0;
    while goes_on(number) {
        let command = Command { minds: false, ..Command::of(&format!("{name}.{number}")) };
        ledger.append::<Tool>(command.append(0)).await.unwrap();
        number += 1;
    }
    number
}

async fn ranges_are_ahead(bare: &Bare) {
    until("ranges are added ahead", async || {
        let (ranges, head) = (bare.ledger.attached().await.unwrap(), bare.ledger.head().await.unwrap());
        (ranges.last()?.1 > head.position + AHEAD).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_added_ahead_while_several_ledgers_append() {
    let bare = Bare::in_one_range(256).await;
    bare.fill(0..1).await;
    ranges_are_ahead(&bare).await;
    let appenders = (0..32_u32).map(|number| {
        let ledger = if number % 8 == 0 { bare.another_ledger() } else { bare.ledger.clone() };
        tokio::spawn(go_on(ledger, format!("p{number}"), |done| done < 50))
    });
    join_all(appenders).await.into_iter().for_each(|done| assert_eq!(done.unwrap(), 50));
    ranges_are_ahead(&bare).await;
    let (ranges, head) = (bare.ledger.attached().await.unwrap(), bare.ledger.head().await.unwrap().position);
    assert!(head > 8 * 256, "{head}");
    assert!((1..).step_by(256).zip(&ranges).all(|(first, range)| *range == (first, first + 256)), "{ranges:?}");
    let past = ranges.last().unwrap().1;
    assert!(past <= head + AHEAD + 2 * 256, "{past} is further ahead of {head} than anybody needs");
    assert_eq!(bare.holds(&[]).await["events"], head);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_past_the_last_range_says_so_and_appending_goes_on_by_itself_once_there_is_one() {
    let bare = Bare::in_one_range(256).await;
    // Nobody can add one.
    let mut holder = bare.superuser.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(7281094553)").execute(&mut *holder).await.unwrap();
    bare.fill(0..128).await;
    let refused = bare.command(128).await.unwrap_err();
    assert!(refused.is_unavailable() && refused.to_string().contains("there is no range for events"), "{refused}");
    assert!(bare.command(5).await.unwrap().repeated, "what is in is known");
    assert_eq!(bare.ledger.range(250, 10).await.unwrap().len(), 6, "what is in can be read");
    holder.close().await.unwrap();
    let appended = until("appending goes on", async || bare.command(128).await.ok()).await;
    assert_eq!((appended.receipt.first_position, appended.repeated), (257, false));
    bare.holds(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_a_range_waits_for_nobody_who_reads_or_appends() {
    let bare = Bare::in_one_range(256).await;
    bare.fill(0..10).await;
    let mut reading = bare.superuser.begin().await.unwrap();
    let mut appending = bare.superuser.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM events").execute(&mut *reading).await.unwrap();
    sqlx::query("LOCK TABLE events, events_from_1 IN ROW EXCLUSIVE MODE").execute(&mut *appending).await.unwrap();
    ranges_are_ahead(&bare).await;
    bare.fill(10..300).await;
    reading.rollback().await.unwrap();
    appending.rollback().await.unwrap();
}

/// What the ledger remembers of the stream `old`, which is at `at`, and of the command `first`.
async fn is_known(ledger: &Ledger, name: &str, first: &Appended<ToolEvent>, at: u64) {
    let again = ledger.append::<Tool>(old("old-1", 0)).await.unwrap();
    assert_eq!((again.receipt, again.repeated), (first.receipt.clone(), true));
    let mut reused = old("old-1", at);
    reused.command.as_mut().unwrap().body = Digest::of(b"another body");
    let reused = ledger.append::<Tool>(reused).await;
    assert!(matches!(reused, Err(LedgerError::KeyReused { .. })), "{reused:?}");
    for wrong in [0, at - 1, at + 1] {
        let conflict = ledger.append::<Tool>(old(&format!("{name}-{wrong}"), wrong)).await.unwrap_err();
        let expected =
            matches!(conflict, LedgerError::Conflict { expected, found, .. } if (expected, found) == (wrong, at));
        assert!(expected, "{conflict}");
    }
    let next = ledger.append::<Tool>(old(&format!("{name}-next"), at)).await.unwrap();
    assert_eq!((next.receipt.sequence, next.repeated), (at + 1, false));
}

/// A ledger that knows where the end is, but nothing of what lies in earlier ranges.
async fn newcomer(bare: &Bare, name: &str) -> Ledger {
    let ledger = bare.another_ledger();
    for number in 0..2 {
        let command =
            Command { stream: format!("default/{name}"), minds: false, ..Command::of(&format!("{name}.{number}")) };
        ledger.append::<Tool>(command.append(0)).await.unwrap();
    }
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_keys_of_earlier_ranges_are_known() {
    let bare = Bare::in_ranges(256).await;
    let first = bare.ledger.append::<Tool>(old("old-1", 0)).await.unwrap();
    bare.ledger.append::<Tool>(old("old-2", 1)).await.unwrap();
    bare.fill(0..300).await;
    is_known(&bare.ledger, "here", &first, 2).await;
    is_known(&bare.another_ledger(), "cold", &first, 3).await;
    is_known(&newcomer(&bare, "newcomer").await, "there", &first, 4).await;
    bare.holds(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_ranges_are_moved_away_while_appending_goes_on_and_what_was_in_them_is_known() {
    let bare = Bare::in_ranges(256).await;
    let first = bare.ledger.append::<Tool>(old("old-1", 0)).await.unwrap();
    bare.ledger.append::<Tool>(old("old-2", 1)).await.unwrap();
    let stopped = Arc::new(AtomicBool::new(false));
    let appenders: Vec<_> = (0..4)
        .map(|number| {
            let stopped = stopped.clone();
            tokio::spawn(go_on(bare.another_ledger(), format!("p{number}"), move |_| !stopped.load(Ordering::Relaxed)))
        })
        .collect();
    let mut files = Vec::new();
    for past in [257, 513, 769] {
        until("a range is full", async || (bare.ledger.head().await.unwrap().position >= past).then_some(())).await;
        files.push(bare.detach(&format!("until-{past}.xa")).await);
    }
    let head = bare.ledger.head().await.unwrap().position;
    until("appending has gone on", async || (bare.ledger.head().await.unwrap().position > head).then_some(())).await;
    stopped.store(true, Ordering::Relaxed);
    join_all(appenders).await.into_iter().for_each(|done| assert!(done.unwrap() > 0));

    bare.holds(&[]).await;
    let arguments: Vec<_> = files.iter().flat_map(|file| ["--archive", file]).collect();
    assert_eq!(bare.holds(&arguments).await["events"], bare.ledger.head().await.unwrap().position);
    let archived = bare.ledger.stream(&Tenant::default_tenant(), "tool", "default/old", 0, 10).await.unwrap_err();
    assert!(matches!(archived, LedgerError::Archived { .. }), "{archived}");
    is_known(&bare.ledger, "here", &first, 2).await;
    is_known(&bare.another_ledger(), "cold", &first, 3).await;
    is_known(&newcomer(&bare, "newcomer").await, "there", &first, 4).await;
    bare.holds(&arguments).await;
}
