//! Reading the ledger's wakes, from the beginning at start, then as they come.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use xagent_ledger::{Ledger, LedgerError, Tail, Wake};

use crate::ambient::pause;

/// Wakes read at once.
const PAGE: u32 = 1000;

/// Wakes after a position: waits for them, for a second or so, and then tells how far there are none.
pub(super) async fn wakes(ledger: &Ledger, position: u64, tail: &mut Tail) -> Result<Vec<Wake>, LedgerError> {
    let wakes = ledger.wakes(position, PAGE).await?;
    if !wakes.is_empty() {
        return Ok(wakes);
    }
    let head = tail.wait_past(position, Duration::from_secs(1)).await?;
    let wakes = ledger.wakes(position, PAGE).await?;
    Ok(if wakes.is_empty() { vec![nothing_until(head)] } else { wakes })
}

/// Hands on all wakes until `stop`.
pub(super) async fn follow(ledger: Ledger, read: mpsc::Sender<Vec<Wake>>, stop: CancellationToken) {
    let (mut position, mut failures, mut tail) = (0, 0, ledger.tail());
    loop {
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = wakes(&ledger, position, &mut tail) => found,
        };
        match found {
            Ok(wakes) => {
                failures = 0;
                position = wakes.last().map_or(position, |wake| position.max(wake.position));
                let is_read = tokio::select! { () = stop.cancelled() => return, sent = read.send(wakes) => sent };
                if is_read.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(error = %error, "worker.wakes.unavailable");
                failures += 1;
                tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(pause(failures, 1000)) => {} }
            }
        }
    }
}

/// A wake for nobody: the ledger holds none up to `position`.
fn nothing_until(position: u64) -> Wake {
    let (tenant, aggregate_id, event_type) = (xagent_domain::Tenant::default_tenant(), String::new(), String::new());
    Wake { position, tenant, aggregate_id, event_type, started: None, for_client: false }
}
