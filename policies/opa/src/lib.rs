//! The client of a stock OPA server, as an alternative to the embedded engine. The only part of the law that can reach
//! a network; the gateway starts it where the configuration says so.
//!
//! A decision names a bundle by digest, so an answer counts only where OPA says, in the same answer, that this bundle
//! and no other made it (`docs/decisions/0010-opa-by-revision.md`). All else is a denial.

mod answer;
mod archive;
mod ask;
mod server;

pub use archive::archive;
pub use server::{OpaError, OpaOptions, OpaServer};
