//! Callers give up while Postgres hangs: what has not been sent by then is not sent any more.

use futures::future::join_all;
use xagent_ledger::LedgerError;
use xagent_stack::Stack;
use xagent_tests::until;

use crate::contention::{append, is_whole, ledger_at};
use crate::database::Database;

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_any_more_is_not_appended_after_an_outage() {
    let database = Database::start().await;
    let ledger = ledger_at(database.url());
    append(&ledger, "first", "first", 0).await.unwrap();
    database.act(Stack::pause).await;
    // The first one is on its way to a server that hangs, the others wait behind it.
    let append_to = async |number: u64| append(&ledger, &format!("k{number}"), &format!("s{number}"), 0).await;
    for outcome in join_all((0..50).map(append_to)).await {
        assert!(matches!(outcome, Err(LedgerError::Unavailable { .. })), "{outcome:?}");
    }
    database.act(Stack::resume).await;
    let last = until("the ledger takes commands again", async || append(&ledger, "last", "last", 0).await.ok()).await;
    let position = last.receipt.last_position;
    assert!(position <= 3, "{} commands went in that were given up", position - 2);
    is_whole(&ledger, ledger.head().await.unwrap().position).await;
    assert_eq!(ledger.head().await.unwrap().position, position);
}
