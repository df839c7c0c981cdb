//! What the law in force does, measured through the real engine on inputs the real domain builds: its efficacy against
//! recorded attacks, and its matrix of principals, commands and tools.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod efficacy;
mod generated;
mod matrix;
mod suite;
mod trial;
