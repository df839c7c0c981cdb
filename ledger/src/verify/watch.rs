//! Verifying again and again, by one process at a time: tampering is known without anybody asking.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Against, Verification};
use crate::leader::{Led, lead};
use crate::{Lease, Ledger, LedgerError, measured};

/// How often a waiting watch looks at its lease.
const LOOK: Duration = Duration::from_secs(1);

/// Verifies the whole ledger, and again each time so much time has passed. Runs in every process that is told to; one of
/// them verifies.
pub struct Watch {
    ledger: Ledger,
    every: Duration,
}

impl Watch {
    /// Over `ledger`, from the end of one verification to the beginning of the next `every`.
    pub fn new(ledger: Ledger, every: Duration) -> Self {
        Self { ledger, every }
    }

    /// Watches until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        measured::watched();
        lead(&self, &stop).await;
    }

    async fn verify(&self) -> Result<(), LedgerError> {
        let begin = Instant::now();
        let found = self.ledger.verify(&Against::default(), |_, _| {}).await;
        let found = found.inspect_err(|_| measured::not_verified())?;
        measured::verified(&found, self.ledger.now_us(), begin.elapsed());
        tell(&found);
        Ok(())
    }
}

fn tell(found: &Verification) {
    match &found.fault {
        None => tracing::info!(events = found.events, "ledger.verified"),
        Some(fault) => tracing::error!(
            fault = %fault, faults = found.faults.len(), remedy = "run `xagent verify`", "ledger.broken"
        ),
    }
}

impl Led for Watch {
    const KEY: &'static str = "verify";
    type Error = LedgerError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), LedgerError> {
        while lease.is_held().await {
            self.verify().await?;
            *failures = 0;
            let next = Instant::now() + self.every;
            while Instant::now() < next && lease.is_held().await {
                tokio::time::sleep(LOOK.min(next.saturating_duration_since(Instant::now()))).await;
            }
        }
        Ok(())
    }
}
