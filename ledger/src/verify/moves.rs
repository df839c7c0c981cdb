//! Rows that hold at another position than theirs: exchanged with each other, or moved as a whole because something was
//! put in or taken out before them. Pure; only `findings` calls it.

use super::fault::{Fault, Witness};
use super::findings::truncated;

/// Rows from `first` to `last` that were sealed `by` positions further on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub first: u64,
    pub last: u64,
    pub by: i64,
}

impl Move {
    /// Whether a row at `position` that was sealed `by` further on is the next of these.
    pub(super) fn goes_on_at(&self, position: u64, by: i64) -> bool {
        self.last + 1 == position && self.by == by
    }

    fn stands_at(&self, position: u64) -> bool {
        (self.first..=self.last).contains(&position)
    }

    fn sealed(&self) -> [u64; 2] {
        [self.first, self.last].map(|position| position.saturating_add_signed(self.by))
    }

    fn was_sealed_at(&self, position: u64) -> bool {
        let [first, last] = self.sealed();
        (first..=last).contains(&position)
    }

    /// Whether its rows and others stand at each other's positions.
    fn is_exchange(&self, moves: &[Self]) -> bool {
        let taken = self.sealed().iter().all(|place| moves.iter().any(|other| other.stands_at(*place)));
        let given = [self.first, self.last].iter().all(|place| moves.iter().any(|other| other.was_sealed_at(*place)));
        taken && given
    }
}

/// Adds the faults that explain the moves, and the missing or surplus rows at the end where those do not.
pub(super) fn explain(moves: &[Move], end: u64, cut: Option<u64>, past: &[u64], faults: &mut Vec<Fault>) {
    let (mut taken_out, mut put_in) = (0, 0);
    for run in moves {
        let count = run.by.unsigned_abs();
        let fault = if run.is_exchange(moves) {
            Fault::Reordered { position: run.first, last: run.last, sealed_at: run.first.saturating_add_signed(run.by) }
        } else if run.by > 0 {
            taken_out = count;
            Fault::Deleted { position: run.first, last: run.first + count - 1, closed_up: true }
        } else {
            put_in = count;
            let detail = "later events were moved up to make room for it";
            Fault::Forged { position: run.first.saturating_sub(count), last: run.first - 1, detail }
        };
        if !faults.iter().any(|known| same_place(known, &fault)) {
            faults.push(fault);
        }
    }
    if let Some(first) = cut.filter(|first| end + 1 - first != taken_out) {
        faults.push(truncated(first, end, Witness::Head));
    }
    if let (Some(first), Some(last)) = (past.first(), past.last())
        && past.len() as u64 != put_in
    {
        let detail = "the head row does not know it, unless the head row was set back";
        faults.push(Fault::Forged { position: *first, last: *last, detail });
    }
}

/// One insertion or deletion moves all rows after it: it is told once.
fn same_place(known: &Fault, fault: &Fault) -> bool {
    match (known, fault) {
        (Fault::Forged { position, .. }, Fault::Forged { position: other, .. })
        | (Fault::Deleted { position, .. }, Fault::Deleted { position: other, .. }) => position == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(moves: &[Move], cut: Option<u64>, past: &[u64]) -> Vec<Fault> {
        let mut faults = Vec::new();
        explain(moves, 20, cut, past, &mut faults);
        faults
    }

    #[test]
    fn rows_at_each_other_s_positions_are_reordered() {
        let moves = [Move { first: 5, last: 5, by: 3 }, Move { first: 8, last: 8, by: -3 }];
        let faults = explained(&moves, None, &[]);
        assert_eq!(faults, [(5, 8), (8, 5)].map(|(position, sealed_at)| reordered(position, sealed_at)));
        let turned = [Move { first: 1, last: 2, by: 1 }, Move { first: 3, last: 3, by: -2 }];
        assert!(explained(&turned, None, &[]).iter().all(|fault| matches!(fault, Fault::Reordered { .. })));
    }

    fn reordered(position: u64, sealed_at: u64) -> Fault {
        Fault::Reordered { position, last: position, sealed_at }
    }

    #[test]
    fn what_was_put_in_moved_all_after_it_up() {
        let faults = explained(&[Move { first: 6, last: 20, by: -1 }], None, &[21]);
        assert!(matches!(faults[..], [Fault::Forged { position: 5, last: 5, .. }]), "{faults:?}");
    }

    #[test]
    fn what_was_taken_out_moved_all_after_it_down() {
        let faults = explained(&[Move { first: 6, last: 18, by: 2 }], Some(19), &[]);
        assert_eq!(faults, [Fault::Deleted { position: 6, last: 7, closed_up: true }]);
    }

    #[test]
    fn a_cut_and_a_surplus_that_no_move_explains_are_told() {
        assert_eq!(explained(&[], Some(15), &[]), [truncated(15, 20, Witness::Head)]);
        assert!(matches!(explained(&[], None, &[21, 22])[..], [Fault::Forged { position: 21, last: 22, .. }]));
    }
}
