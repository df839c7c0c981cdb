//! What one contestant did in all its turns.

use serde_json::Value;
use xagent_tests::Ran;

/// All runs of one contestant.
#[derive(Default)]
pub struct Measured {
    decisions: u64,
    seconds: f64,
    pub peak_mib: f64,
}

impl Measured {
    pub fn add(&mut self, ran: Ran, decisions: impl Fn(&Value) -> u64) {
        self.decisions += decisions(&ran.said);
        self.seconds += ran.said["seconds"].as_f64().unwrap_or(ran.seconds);
        self.peak_mib = self.peak_mib.max(ran.peak_mib.unwrap_or_default());
    }

    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.decisions as f64 / self.seconds } else { 0.0 }
    }
}
