//! How long to wait after failures in a row. For whatever in this room tries again.

use std::time::Duration;

use rand::Rng;

/// Grows with the failures in a row up to `most_ms` milliseconds, with jitter.
pub(crate) fn pause(failures: u32, most_ms: u64) -> Duration {
    let bound = (50_u64 << failures.min(16)).min(most_ms);
    Duration::from_millis(rand::rng().random_range(bound / 2..=bound))
}
