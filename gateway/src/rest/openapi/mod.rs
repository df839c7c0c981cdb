//! The API described in OpenAPI 3.1, from the code that serves it: what is routed is described, or it does not compile.
//!
//! A handler says with `#[utoipa::path]` what it takes and gives, `routes!` routes it, and its examples are in `examples/`.
//! Schemas are those of the very types that are sent and read (`schemars`).

mod answers;
mod assemble;
mod examples;
mod links;
pub mod page;
mod parameters;
mod problems;
mod refusals;
mod schema;
pub mod serve;
#[cfg(test)]
mod tests;

/// What a text may not hold.
pub const NO_NUL: &str = r"^[^\u0000]*$";

pub use answers::{Recorded, Shown, Tagged, Waited, json as json_of};
pub use assemble::document;
pub use parameters::LastEvent;
pub use refusals::{Command, Lookup, NoPage, Open, Publication, Query, RunCommand, Unready};
pub(crate) use schema::described;
pub use schema::{Bytes, body, embedded};
