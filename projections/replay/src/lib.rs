//! Replay: what was recorded, decided again and compared, byte for byte.
//!
//! It is given recordings and touches nothing else: no database, no socket, no clock. Where a recording is
//! missing it says so. The gateway loads the recordings and prints the report.

mod cause;
mod commands;
mod compare;
mod consultations;
mod decisions;
mod diff;
pub mod evidence;
mod forks;
pub mod logged;
mod recordings;
mod report;
mod verify;
pub mod whatif;

pub use cause::Cause;
pub use compare::{ComparedCall, ComparedDecision, ComparedPair, ComparedRun, Comparison, Part, Parting, compare};
pub use diff::{Change, diff};
pub use recordings::{Needs, Recordings};
pub use report::{Divergence, Kind, Report, StateCheck};
pub use verify::verify;
