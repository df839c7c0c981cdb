//! Our engine held against a stock OPA: same bundle, same inputs, same bytes; and what goes wrong in either denies.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contest;
mod generated;
mod hostile;
mod outage;
mod rules;
mod safety;
mod stock;
mod switch;
mod templates;
mod traps;
