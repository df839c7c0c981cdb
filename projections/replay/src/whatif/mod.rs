//! What-if: history decided again under another bundle.
//!
//! Each decision is made again by the candidate. One that comes out otherwise, or that another engine made, is also made
//! again by the bundle that made it, on today's engine, so that what the engine changed and what the policy changed are
//! never taken for each other. What cannot be decided again is said.
//! The caller brings the events in order of position, chunk by chunk, and may judge chunks on as many cores as it likes:
//! [`Judge`] makes a [`Part`] of each, and a [`Tally`] adds them up in order.

mod answers;
mod change;
mod filter;
mod gate;
mod judge;
mod part;
mod report;
mod tally;

pub use change::{Class, Verdict};
pub use filter::Filter;
pub use gate::{Gate, GateError};
pub use judge::{Judge, Outage, Sampling, Settings, Sources};
pub use part::{Part, Undecided, Why};
pub use report::{Counts, Divergence, EngineChange, Engines, Example, Group, Groups, Reached};
pub use tally::Tally;
