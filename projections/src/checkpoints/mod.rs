//! Checkpoints on their way out: to NATS for whoever listens, and to a place outside that who owns the database cannot
//! rewrite. Neither holds up signing.

mod directory;
mod mirror;
mod place;
mod relay;
mod web;

pub use mirror::CheckpointMirror;
pub use place::{Place, PlaceError};
pub use relay::CheckpointRelay;
