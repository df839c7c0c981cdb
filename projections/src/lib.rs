//! The read side: the relay to NATS JetStream and the views built from it. It never appends.
//!
//! The doors read its views and start its tasks. Every view can be dropped and is rebuilt from the ledger.

mod bus;
mod relay;
mod runs;

pub use bus::{Bus, STREAM};
pub use relay::{CloudEvent, Relay, subject};
pub use runs::{RunProjector, RunView, RunViews, ViewError};
