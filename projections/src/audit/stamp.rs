//! Timestamps that keep the order of the ledger: an event has the time it was recorded at, in nanoseconds, or one
//! nanosecond more than the event before it, where that is later.
//!
//! Events of one append share their time, to the microsecond. A timestamp is a function of the ledger alone, so that an event
//! that is sent twice is the same entry, and entries of any one stream sort by position.

use xagent_domain::Recorded;
use xagent_ledger::{Ledger, LedgerError};

/// Events looked back over at once.
const PAGE: u64 = 1000;

/// The timestamp of the latest event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps(i64);

impl Stamps {
    /// Behind an event that has this timestamp.
    pub fn after(at_ns: i64) -> Self {
        Self(at_ns)
    }

    /// As they stand behind the event at a position: from where the clock had last moved before it.
    pub async fn at(ledger: &Ledger, position: u64) -> Result<Self, LedgerError> {
        let mut after = position;
        loop {
            after = after.saturating_sub(PAGE);
            let events = ledger.range(after, u32::try_from(position - after).unwrap_or(u32::MAX)).await?;
            let moved = events.windows(2).rposition(|pair| match pair {
                [before, next] => before.recorded_at_us != next.recorded_at_us,
                _ => false,
            });
            if moved.is_some() || after == 0 {
                let mut stamps = Self(i64::MIN);
                for event in &events {
                    stamps.next(event);
                }
                return Ok(stamps);
            }
        }
    }

    /// The timestamp of the next event.
    pub fn next(&mut self, event: &Recorded) -> i64 {
        self.0 = event.recorded_at_us.saturating_mul(1000).max(self.0.saturating_add(1));
        self.0
    }

    /// The latest one.
    pub fn latest(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::event;
    use super::*;

    fn stamped(times_us: &[i64]) -> Vec<i64> {
        let mut stamps = Stamps::after(i64::MIN);
        let events = (1..).zip(times_us);
        events.map(|(at, us)| stamps.next(&Recorded { recorded_at_us: *us, ..event(at, "GoalSet", "{}") })).collect()
    }

    #[test]
    fn events_of_one_moment_come_one_nanosecond_after_the_other() {
        assert_eq!(stamped(&[5, 5, 5, 6]), [5000, 5001, 5002, 6000]);
    }

    #[test]
    fn more_events_than_a_microsecond_has_nanoseconds_keep_their_order() {
        let times: Vec<i64> = std::iter::repeat_n(5, 1500).chain([6, 6, 9]).collect();
        let stamped = stamped(&times);
        assert!(stamped.is_sorted_by(|before, after| before < after));
        assert_eq!(stamped[1499..], [6499, 6500, 6501, 9000]);
    }
}
