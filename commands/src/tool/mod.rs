//! Tools: what is registered, what a call would touch, and the built-in ones themselves.

mod builtin;
mod catalog;
mod code;
mod fetch;
mod files;
mod redact;
mod resolve;
mod resources;
mod search;
mod secrets;
mod settings;
mod sql;
mod toolbox;
mod toolkit;
mod upstream;

pub use builtin::builtin_registrations;
pub(crate) use builtin::is_builtin;
pub use catalog::Catalog;
pub(crate) use catalog::{Wanted, check_registration};
pub use resolve::{Resolver, Resolving, SystemResolver};
pub(crate) use resources::upstream_url;
pub use secrets::Secrets;
pub use settings::{CodeLimits, Database, Origin, SecretSource, ToolSettings};
pub use toolbox::{ToolBox, ToolResult};
pub use toolkit::Toolkit;
pub(crate) use upstream::{Offered, UpstreamError, Upstreams, check_settings, offered, url_of};
