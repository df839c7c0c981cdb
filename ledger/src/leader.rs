//! One process at a time does the work: it holds the lease, starts anew after a failure, and stops when asked.

use std::fmt::Display;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::measured;
use crate::pause::pause;
use crate::{Lease, Ledger, LedgerError};

/// How long a follower waits before it tries to lead.
const FOLLOW: Duration = Duration::from_secs(1);
/// How long to wait after a failure, at most.
const LONGEST_PAUSE_MS: u64 = 2000;

/// Work that one process at a time does.
pub trait Led: Sync {
    /// What the lease is called.
    const KEY: &'static str;
    /// Why the work broke off.
    type Error: Display + From<LedgerError> + Send;

    /// The ledger whose lease it is.
    fn ledger(&self) -> &Ledger;

    /// Works for as long as the lease is held; sets the failures back to 0 whenever it gets on.
    fn work(&self, lease: &Lease, failures: &mut u32) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Leads or follows until `stop`.
pub async fn lead<L: Led>(led: &L, stop: &CancellationToken) {
    let mut failures = 0;
    while !stop.is_cancelled() {
        let leading = async {
            match led.ledger().lease(L::KEY).await? {
                Some(lease) => led.work(&lease, &mut failures).await,
                None => Ok(()),
            }
        };
        let result = tokio::select! { () = stop.cancelled() => return, result = leading => result };
        let wait = match result {
            Ok(()) => FOLLOW,
            Err(error) => {
                failures += 1;
                measured::interrupted(L::KEY);
                tracing::warn!(error = %error, failures, key = L::KEY, "leader.interrupted");
                pause(failures, LONGEST_PAUSE_MS)
            }
        };
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(wait) => {} }
    }
}
