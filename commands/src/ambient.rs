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
}

/// A pause before attempt number `attempt` (from 0), growing up to `most` milliseconds, with jitter.
pub(crate) fn pause(attempt: u32, most: u64) -> std::time::Duration {
    let bound = (4_u64 << attempt.min(16)).min(most);
    std::time::Duration::from_millis(rand::rng().random_range(bound / 2..=bound))
}
