//! Tools: what is registered, what a call would touch, and the built-in ones themselves.

mod builtin;
mod catalog;
mod fetch;
mod files;
mod resources;
mod search;
mod toolbox;
mod upstream;

pub use builtin::builtin_registrations;
pub(crate) use builtin::is_builtin;
pub use catalog::Catalog;
pub(crate) use catalog::{Wanted, check_registration};
pub(crate) use resources::upstream_url;
pub use toolbox::{ToolBox, ToolResult};
pub(crate) use upstream::{Offered, UpstreamError, Upstreams, check_settings, offered, url_of};
