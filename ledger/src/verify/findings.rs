//! What a walk has found so far, within a bound: the first faults, and the rows that may be explained by each other at the
//! end. Pure.

use xagent_domain::{Digest, Place};

use super::fault::{Fault, Witness};
use super::inspect::Changed;
use super::moves::{Move, explain};

/// Faults that are told of at most.
pub(super) const FAULTS: usize = 100;

/// A row that does not hold, and is not known to have stood nearby.
struct Suspect {
    position: u64,
    found: Digest,
    recorded: Digest,
    changed: Box<Changed>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Findings {
    faults: Vec<Fault>,
    moves: Vec<Move>,
    suspects: Vec<Suspect>,
    /// Positions at which there is nothing, up to the one before the next row.
    gap: Option<(u64, u64)>,
    /// Whether rows are missing, moved or changed, so that what follows on them is no news.
    disturbed: bool,
}

impl Findings {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn is_full(&self) -> bool {
        self.faults.len() + self.moves.len() + self.suspects.len() >= FAULTS
    }

    pub(super) fn is_disturbed(&self) -> bool {
        self.disturbed
    }

    /// From here on, what does not follow on a row before is no news.
    pub(super) fn disturb(&mut self) {
        self.disturbed = true;
    }

    pub(super) fn missing(&mut self, position: u64) {
        let first = self.gap.map_or(position, |(first, _)| first);
        (self.gap, self.disturbed) = (Some((first, position)), true);
    }

    /// There is a row after what is missing.
    pub(super) fn present(&mut self) {
        if let Some((position, last)) = self.gap.take() {
            self.add(Fault::Deleted { position, last, closed_up: false });
        }
    }

    /// A row that does not hold; where `hash` it is its hash that was changed.
    pub(super) fn changed(
        &mut self,
        position: u64,
        found: Digest,
        recorded: Digest,
        mut changed: Box<Changed>,
        hash: bool,
    ) {
        if hash {
            (changed.column, changed.seed) = ("leaf_hash", None);
        }
        match changed.moved.filter(|_| !hash) {
            Some(by) => match self.moves.last_mut().filter(|run| run.goes_on_at(position, by)) {
                Some(run) => run.last = position,
                None => self.moves.push(Move { first: position, last: position, by }),
            },
            None => self.suspects.push(Suspect { position, found, recorded, changed }),
        }
    }

    /// The faults, the first one first. `end` is where the ledger should end; `past` are the rows beyond it.
    pub(super) fn finish(mut self, end: u64, past: &[u64]) -> Vec<Fault> {
        let far = self.find_far_moves();
        // Their blocks do not fit because of them.
        self.faults.retain(|fault| !far.iter().any(|position| fault.is_block_with(*position)));
        let cut = self.gap.filter(|(_, last)| *last == end).map(|(first, _)| first);
        if cut.is_none() {
            // The walk was given up in the middle of it.
            self.present();
        }
        let mut faults = self.faults;
        explain(&self.moves, end, cut, past, &mut faults);
        faults.extend(self.suspects.into_iter().map(|suspect| Fault::Edited {
            position: suspect.position,
            column: suspect.changed.column,
            recorded: suspect.recorded,
            found: suspect.found,
        }));
        faults.sort_by_key(Fault::position);
        faults.truncate(FAULTS);
        faults
    }

    /// Rows that were sealed at each other's positions, however far apart; returns where they stand.
    fn find_far_moves(&mut self) -> Vec<u64> {
        let sealed_at = |suspect: &Suspect, other: &Suspect| {
            let (position, sequence) = (other.position, suspect.changed.sequence);
            let place = Place { position, recorded_at_us: suspect.changed.recorded_at_us, sequence };
            let hash = suspect.changed.seed.as_ref().map(|seed| seed.at(place));
            hash.is_some_and(|hash| hash == suspect.recorded || hash == other.recorded)
        };
        let place = |suspect: &Suspect| {
            let mut others = self.suspects.iter().filter(|other| other.position != suspect.position);
            others.find(|other| sealed_at(suspect, other)).map(|other| (suspect.position, other.position))
        };
        let moved: Vec<_> = self.suspects.iter().filter_map(place).collect();
        self.suspects.retain(|suspect| moved.iter().all(|(position, _)| *position != suspect.position));
        let by = |from: u64, to: u64| i64::try_from(to).unwrap_or(0) - i64::try_from(from).unwrap_or(0);
        self.moves.extend(moved.iter().map(|(from, to)| Move { first: *from, last: *from, by: by(*from, *to) }));
        moved.into_iter().map(|(from, _)| from).collect()
    }
}

/// The end that is missing.
pub(super) fn truncated(position: u64, last: u64, witness: Witness) -> Fault {
    Fault::Truncated { position, last, witness }
}
