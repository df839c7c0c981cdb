//! Tools: what is registered, what a call would touch, and the built-in ones themselves.

mod builtin;
mod catalog;
mod fetch;
mod files;
mod resources;
mod search;
mod toolbox;

pub use builtin::builtin_registrations;
pub(crate) use builtin::is_builtin;
pub use catalog::Catalog;
pub(crate) use catalog::{Wanted, check_registration};
pub use toolbox::{ToolBox, ToolResult};
