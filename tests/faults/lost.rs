//! A batch whose answer is lost, step by step: whether it is in is found out, not guessed.

use std::sync::Arc;

use futures::future::join;
use xagent_domain::tool::Tool;
use xagent_ledger::{Clock, Ledger, LedgerError, LedgerOptions};

use crate::contention::{Gate, append, appended, is_whole, ledger_at};
use crate::database::Database;
use crate::proxy::{Cut, Proxy};
use crate::wire::Call;

/// A clock that stands still, as one does that was set back: the ledger's time then stands still as well.
struct Still;

impl Clock for Still {
    fn now_us(&self) -> i64 {
        1_000_000
    }
}

fn still(url: &str) -> Ledger {
    Ledger::connect(url, Arc::new(Still), LedgerOptions::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_arrives_after_its_repetition_went_in_is_refused() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let ledger = ledger_at(proxy.url());
    append(&ledger, "a1", "a", 0).await.unwrap();
    let mut cutting = proxy.cut(Cut::Late, Call::Write);
    let asked = tokio::spawn(appended(ledger.clone(), "a2", "a", 1));
    cutting.reached().await;
    let appended = asked.await.unwrap().unwrap();
    assert_eq!((appended.receipt.last_position, appended.repeated), (2, false));
    assert_eq!(cutting.go().await, Some(false));
    append(&ledger, "a3", "a", 2).await.unwrap();
    is_whole(&ledger, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_server_still_works_at_when_its_client_is_cut_off_is_found() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let (ledger, other) = (ledger_at(proxy.url()), ledger_at(database.url()));
    append(&ledger, "a1", "a", 0).await.unwrap();
    let mut gate = Gate::close(&database).await;
    let mut cutting = proxy.cut(Cut::Work, Call::Write);
    let asked = tokio::spawn(appended(ledger.clone(), "a2", "a", 1));
    cutting.reached().await;
    gate.waiting(1).await;
    cutting.let_go();
    // Behind the batch itself, the question what became of it.
    gate.waiting(2).await;
    gate.open().await;
    assert_eq!(cutting.go().await, Some(true));
    let appended = asked.await.unwrap().unwrap();
    assert_eq!((appended.receipt.last_position, appended.repeated), (2, false));
    let again = append(&other, "a2", "a", 1).await.unwrap();
    assert_eq!((again.receipt, again.repeated), (appended.receipt, true));
    append(&ledger, "a3", "a", 2).await.unwrap();
    is_whole(&ledger, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_in_yet_when_its_outcome_is_asked_for_is_repeated_once() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let (ledger, other) = (ledger_at(proxy.url()), ledger_at(database.url()));
    append(&ledger, "a1", "a", 0).await.unwrap();
    let gate = Gate::close(&database).await;
    let mut cutting = proxy.cut(Cut::Late, Call::Write);
    let asked = tokio::spawn(appended(ledger.clone(), "a2", "a", 1));
    cutting.reached().await;
    // Nobody gets the lock in time.
    let lost = asked.await.unwrap();
    assert!(matches!(lost, Err(LedgerError::Unavailable { .. })), "{lost:?}");
    gate.open().await;
    assert_eq!(cutting.go().await, Some(true));
    let again = append(&other, "a2", "a", 1).await.unwrap();
    assert_eq!((again.receipt.last_position, again.repeated), (2, true));
    append(&ledger, "a3", "a", 2).await.unwrap();
    is_whole(&ledger, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_batch_is_not_taken_for_one_of_another_process_that_ends_alike() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let (ledger, other) = (still(proxy.url()), still(database.url()));
    append(&ledger, "w1", "w", 0).await.unwrap();
    let mut gate = Gate::close(&database).await;
    let first = tokio::spawn(appended(ledger.clone(), "w2", "w", 1));
    gate.waiting(1).await;
    let mut cutting = proxy.cut_second(Cut::Request, Call::Write);
    let second = tokio::spawn(appended(ledger.clone(), "v1", "v", 0));
    cutting.spared().await;
    // With two batches on their way, these two gather.
    let both = {
        let ledger = ledger.clone();
        tokio::spawn(async move { join(append(&ledger, "x1", "x", 0), append(&ledger, "c1", "c", 0)).await })
    };
    gate.open().await;
    first.await.unwrap().unwrap();
    cutting.reached().await;
    // The client of the second command has turned to the other process meanwhile.
    append(&other, "y1", "y", 0).await.unwrap();
    let theirs = append(&other, "c1", "c", 0).await.unwrap();
    cutting.go().await;
    second.await.unwrap().unwrap();
    let (alone, repeated) = both.await.unwrap();
    assert_eq!(repeated.unwrap().receipt, theirs.receipt);
    let alone = alone.unwrap().receipt;
    assert_eq!(ledger.load::<Tool>(&"default".parse().unwrap(), "default/x").await.unwrap().sequence, 1);
    assert_eq!(ledger.range(alone.first_position - 1, 1).await.unwrap()[0].leaf_hash, alone.leaf_hashes[0]);
    is_whole(&ledger, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_batches_lost_together_are_each_found_or_repeated_as_a_whole() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let ledger = ledger_at(proxy.url());
    append(&ledger, "a1", "a", 0).await.unwrap();
    for (cut, from) in [(Cut::Work, 1), (Cut::Late, 4), (Cut::Request, 7)] {
        let mut gate = Gate::close(&database).await;
        let key = |number: u64| format!("a{number}");
        let first = tokio::spawn(appended(ledger.clone(), key(from + 1), "a", from));
        gate.waiting(1).await;
        let mut cutting = proxy.cut(cut, Call::Write);
        let second = tokio::spawn(appended(ledger.clone(), key(from + 2), "a", from + 1));
        cutting.reached().await;
        cutting.let_go();
        // Behind the first one, the question what became of both.
        gate.waiting(2).await;
        gate.open().await;
        cutting.go().await;
        for (asked, position) in [(first, from + 1), (second, from + 2)] {
            let receipt = asked.await.unwrap().unwrap().receipt;
            assert_eq!((receipt.last_position, receipt.sequence), (position, position), "{cut:?}");
        }
        append(&ledger, &key(from + 3), "a", from + 2).await.unwrap();
        is_whole(&ledger, from + 3).await;
    }
}
