//! Planners propose the next step from recorded state alone.

mod scripted;
mod template;

pub use scripted::check_plan;
pub(crate) use scripted::{PlannedCall, ScriptedPlanner, Step};
