//! Proof that an event is in the ledger.

use xagent_domain::Part;

/// An event that is in the ledger: made only from an append that went through or from a verified read.
#[derive(Debug)]
pub struct Committed<E> {
    event: E,
    position: u64,
    sequence: u64,
}

impl<E> Committed<E> {
    pub(crate) fn new(event: E, position: u64, sequence: u64) -> Self {
        Self { event, position, sequence }
    }

    /// The event.
    pub fn event(&self) -> &E {
        &self.event
    }

    /// Its place in the whole ledger.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Its place in its stream.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The same proof for the part of the event that is a `T`.
    pub fn part<T: Clone>(&self) -> Option<Committed<T>>
    where
        E: Part<T>,
    {
        let (position, sequence) = (self.position, self.sequence);
        self.event.part().cloned().map(|event| Committed { event, position, sequence })
    }
}
