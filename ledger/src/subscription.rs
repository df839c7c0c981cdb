//! Following the ledger: every event after a position, each once, in order. For whoever must not miss one.
//!
//! It catches up page by page, then waits: notifications wake it, and once a second it looks for itself.

use std::time::Duration;

use xagent_domain::Recorded;

use crate::pause::pause;
use crate::{Ledger, LedgerError, Tail};

/// How long one wait lasts before it begins anew.
const WAIT: Duration = Duration::from_secs(60);
/// How long to wait after a failure, at most.
const LONGEST_PAUSE_MS: u64 = 2000;

/// Reads on from a position. Holds nothing but that: a page is read when it is asked for.
pub struct Subscription {
    ledger: Ledger,
    tail: Tail,
    position: u64,
    page: u32,
    failures: u32,
}

impl Ledger {
    /// The events after position `after`, of all tenants, in pages of `page` events at most.
    pub fn subscribe(&self, after: u64, page: u32) -> Subscription {
        Subscription { ledger: self.clone(), tail: self.tail(), position: after, page: page.max(1), failures: 0 }
    }
}

impl Subscription {
    /// The position of the last event it gave, or that it began after.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next events, one at least: waits until they are there.
    ///
    /// Whoever gives up waiting, or gets an error, calls again and misses nothing. While the database is away each call
    /// says so, after a pause that grows with the failures in a row up to two seconds, so that a loop may just go on.
    /// Where a position is missing, or is archived, that is an error, and remains one: nothing is skipped.
    pub async fn next(&mut self) -> Result<Vec<Recorded>, LedgerError> {
        loop {
            let page = self.next_within(WAIT).await?;
            if !page.is_empty() {
                return Ok(page);
            }
        }
    }

    /// As [`Self::next`], but no events where there are none within `patience`, or a second or so.
    pub async fn next_within(&mut self, patience: Duration) -> Result<Vec<Recorded>, LedgerError> {
        if self.failures > 0 {
            tokio::time::sleep(pause(self.failures, LONGEST_PAUSE_MS)).await;
        }
        let page = self.read(patience).await;
        self.failures = if page.is_ok() { 0 } else { self.failures.saturating_add(1) };
        let page = page?;
        self.position = page.last().map_or(self.position, |event| event.position);
        Ok(page)
    }

    async fn read(&mut self, patience: Duration) -> Result<Vec<Recorded>, LedgerError> {
        let after = self.position;
        let page = self.ledger.range(after, self.page).await?;
        if !page.is_empty() {
            return without_gap(after, page);
        }
        match self.tail.wait_past(after, patience).await? {
            end if end < after => Err(missing(after, format!("the ledger ends at {end}"))),
            end if end == after => Ok(Vec::new()),
            end => match self.ledger.range(after, self.page).await? {
                page if page.is_empty() => Err(missing(after + 1, format!("the ledger goes on to {end}"))),
                page => without_gap(after, page),
            },
        }
    }
}

/// The events up to the first gap; an error where that is at once.
fn without_gap(after: u64, mut page: Vec<Recorded>) -> Result<Vec<Recorded>, LedgerError> {
    let whole = page.iter().zip(after + 1..).take_while(|(event, expected)| event.position == *expected).count();
    match page.first() {
        Some(first) if whole == 0 => Err(missing(after + 1, format!("the next one is at {}", first.position))),
        _ => {
            page.truncate(whole);
            Ok(page)
        }
    }
}

fn missing(position: u64, where_else: String) -> LedgerError {
    LedgerError::Tampered { position, detail: format!("it is missing, and {where_else}: run `xagent verify`") }
}
