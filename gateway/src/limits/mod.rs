//! What one caller, and all together, may ask of a server: sizes, rates, requests at once, times, and how it stops.
//!
//! `rest` puts requests through here; the composition root configures it and starts the drain. It decides nothing that is
//! the law's: whoever is within these bounds is asked about there.

mod drain;
mod local;
mod pass;
mod rate;
mod size;
mod slots;

use std::time::Duration;

use xagent_projections::{Rate, RateCounters};

pub use drain::{Drain, watched};
pub use pass::{Turned, admit};
pub use size::sized;

use rate::Rates;
use slots::Slots;

/// The bounds.
#[derive(Clone, Debug)]
pub struct LimitOptions {
    /// Requests carried out at once.
    pub requests: usize,
    /// Of one principal.
    pub requests_per_principal: usize,
    /// The rate of one principal; none where it is not bounded here.
    pub rate: Option<Rate>,
    /// How long one request may take until its answer begins, body and all.
    pub request: Duration,
    /// How long the head of a request may take, from the connection's start or from the last answer.
    pub head: Duration,
    /// How long a request under way may take when the server stops, and a stream to say goodbye.
    pub drain: Duration,
    /// Connections open at once.
    pub connections: usize,
}

/// A request's head: more is refused.
pub const HEADERS: usize = 100;
pub const HEADER_BYTES: usize = 32 * 1024;
pub const TARGET_BYTES: usize = 8 * 1024;

/// The bounds in force.
pub struct Limits {
    pub options: LimitOptions,
    slots: Slots,
    rates: Rates,
}

impl Limits {
    pub fn new(options: LimitOptions, counters: RateCounters) -> Self {
        let slots = Slots::new(options.requests, options.requests_per_principal);
        Self { slots, rates: Rates::new(options.rate, counters), options }
    }
}
