//! Waiting for events: LISTEN wakes, a slow poll is the safety net.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::append::raise;
use crate::pause::pause;
use crate::{Ledger, LedgerError};

/// How long a waiting reader trusts notifications before it looks for itself.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait after a failure, at most.
const LONGEST_PAUSE_MS: u64 = 3000;

/// Waits for the ledger to grow.
pub struct Tail {
    ledger: Ledger,
    committed: watch::Receiver<u64>,
}

impl Ledger {
    /// A new waiting reader.
    pub fn tail(&self) -> Tail {
        Tail { ledger: self.clone(), committed: self.0.committed.subscribe() }
    }
}

impl Tail {
    /// Waits until there are events past `position` and returns the last position known, or gives up after `patience`
    /// with what it knows.
    pub async fn wait_past(&mut self, position: u64, patience: Duration) -> Result<u64, LedgerError> {
        let known = *self.committed.borrow_and_update();
        if known > position {
            return Ok(known);
        }
        let grown = self.committed.wait_for(|last| *last > position);
        if let Ok(Ok(last)) = tokio::time::timeout(patience.min(POLL), grown).await {
            return Ok(*last);
        }
        Ok(self.ledger.head().await?.position)
    }
}

/// Starts the task that turns notifications into a watched position. It lives until it is aborted.
pub(crate) fn listen(connect: PgConnectOptions, committed: watch::Sender<u64>) -> AbortHandle {
    tokio::spawn(async move {
        let mut failures = 0_u32;
        loop {
            let heard = listen_once(&connect, &committed, &mut failures).await;
            if let Err(error) = heard {
                tracing::debug!(error = %error, "ledger.listen.interrupted");
            }
            failures = failures.saturating_add(1);
            tokio::time::sleep(pause(failures, LONGEST_PAUSE_MS)).await;
        }
    })
    .abort_handle()
}

async fn listen_once(
    connect: &PgConnectOptions,
    committed: &watch::Sender<u64>,
    failures: &mut u32,
) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(2));
    let pool = pool.connect_lazy_with(connect.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("xagent_events").await?;
    *failures = 0;
    while let Some(notification) = listener.try_recv().await? {
        if let Ok(position) = notification.payload().parse::<u64>() {
            committed.send_if_modified(|last| raise(last, position));
        }
    }
    Ok(())
}
