//! The clock and the source of ids of a running process. Everything else takes them as parameters.

use rand::Rng;
use uuid::Uuid;
use xagent_ledger::Clock;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now_us(&self) -> i64 {
        chrono::Utc::now().timestamp_micros()
    }
}

/// Draws UUID v7 ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids;

impl Ids {
    /// A new id.
    #[expect(clippy::disallowed_methods, reason = "the one place that draws ids")]
    pub fn draw(self) -> Uuid {
        Uuid::now_v7()
    }

    /// A new trace, as W3C Trace Context writes it.
    pub(crate) fn traceparent(self) -> String {
        let (trace, parent) = (rand::rng().random_range(1..=u128::MAX), rand::rng().random_range(1..=u64::MAX));
        format!("00-{trace:032x}-{parent:016x}-01")
    }
}

/// A pause before attempt number `attempt` (from 0), growing up to `most` milliseconds, with jitter.
pub(crate) fn pause(attempt: u32, most: u64) -> std::time::Duration {
    let bound = (4_u64 << attempt.min(16)).min(most);
    std::time::Duration::from_millis(rand::rng().random_range(bound / 2..=bound))
}

/// A pause before another request to a server that failed `failures` times before (from 0): from half a second up to
/// eight, with jitter.
pub(crate) fn back_off(failures: u32) -> std::time::Duration {
    let bound = (500_u64 << failures.min(16)).min(8000);
    std::time::Duration::from_millis(rand::rng().random_range(bound / 2..=bound))
}
