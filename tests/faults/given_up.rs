//! Callers give up while Postgres hangs: what has not been sent by then is not sent any more.

use futures::future::join_all;
use xagent_ledger::LedgerError;
use xagent_stack::Stack;
use xagent_tests::until;

use crate::contention::{append, appended, is_whole, ledger_at};
use crate::database::Database;
use crate::proxy::{Cut, Proxy};
use crate::wire::Call;

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_any_more_is_not_appended_after_an_outage() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let ledger = ledger_at(proxy.url());
    append(&ledger, "first", "first", 0).await.unwrap();
    database.act(Stack::pause).await;
    // One is on its way to a server that hangs, the others wait behind it.
    let mut cutting = proxy.cut(Cut::Work, Call::Write);
    let sent = tokio::spawn(appended(ledger.clone(), "sent", "sent", 0));
    cutting.reached().await;
    let append_to = async |number: u64| append(&ledger, &format!("k{number}"), &format!("s{number}"), 0).await;
    for outcome in join_all((0..50).map(append_to)).await {
        assert!(matches!(outcome, Err(LedgerError::Unavailable { .. })), "{outcome:?}");
    }
    assert!(matches!(sent.await.unwrap(), Err(LedgerError::Unavailable { .. })));
    database.act(Stack::resume).await;
    cutting.go().await;
    let last = until("the ledger takes commands again", async || append(&ledger, "last", "last", 0).await.ok()).await;
    let position = last.receipt.last_position;
    assert!(position <= 3, "{} commands went in that were given up", position - 2);
    is_whole(&ledger, ledger.head().await.unwrap().position).await;
    assert_eq!(ledger.head().await.unwrap().position, position);
}
