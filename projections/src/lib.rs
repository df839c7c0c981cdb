//! The read side: the relay to NATS JetStream and the views built from it. It never appends.
//!
//! The doors read its views and start its tasks. Every view can be dropped and is rebuilt from the ledger.

mod bus;
mod relay;
mod runs;

pub use bus::{Bus, STREAM};
pub use relay::{CloudEvent, Relay, subject};
pub use runs::{RunProjector, RunView, RunViews, ViewError};

use std::time::Duration;

use rand::Rng;

/// A pause after `failures` failures in a row: growing to two seconds, with jitter.
fn pause(failures: u32) -> Duration {
    let bound = (50_u64 << failures.min(6)).min(2000);
    Duration::from_millis(rand::rng().random_range(bound / 2..=bound))
}
