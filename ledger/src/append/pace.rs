//! The pace of commits: whether those who write share one batch at a time, or two, of which one waits at the server while the
//! other is committed. Two keep the server busy, but fsync twice; which is better depends on the disk, the machine and how
//! many there are. So for each number of them, told apart roughly, now and then the other way is tried. Pure.

use std::time::Duration;

/// Batches that may be on their way at once.
pub(super) const ABREAST: usize = 2;
/// Batches after which the other way is tried, at first and once it was often in vain.
const HOLD: (u32, u32) = (512, 8192);
/// Batches of a trial, and of each of the looks before and after that it is held against.
const LOOK: u32 = 24;
/// Batches after a change that do not count: they began before it.
const SETTLING: u32 = 4;
/// How much of the time the other way has to take at most, to be kept.
const BETTER: f64 = 0.95;
/// Sizes of crowds that are told apart: more than batches on their way and the one that gathers can have.
const SIZES: usize = 12;

/// How many batches share those who write.
#[derive(Default)]
pub(super) struct Pace {
    ways: [Way; SIZES],
}

/// The way of crowds of about one size, and what is found out about it.
struct Way {
    abreast: usize,
    phase: Phase,
    /// Batches until the next phase.
    left: u32,
    /// Batches that do not count yet.
    settling: u32,
    /// Batches that the next hold lasts.
    hold: u32,
    /// Seconds that commands took.
    waited: f64,
    /// The commands, each times how many there were at once.
    crowds: f64,
}

/// What is done with the batches that come, and what they were worth in the phases before. A trial has to be better than
/// both looks beside it: what happens to disturb one of them says nothing.
#[derive(Clone, Copy)]
enum Phase {
    Hold,
    Before,
    Trial { before: f64 },
    After { before: f64, trial: f64 },
}

impl Pace {
    /// How many batches are to share `crowd` commands that are under way at once.
    pub(super) fn abreast(&self, crowd: usize) -> usize {
        self.ways.get(size(crowd)).map_or(ABREAST, |way| way.abreast)
    }

    /// Notes a batch whose commands took `waited`, all together, from when each was queued; `crowd` were under way at once.
    pub(super) fn note(&mut self, commands: usize, waited: Duration, crowd: usize) {
        if let Some(way) = self.ways.get_mut(size(crowd)).filter(|_| crowd >= ABREAST) {
            way.note(waited.as_secs_f64(), (commands * crowd) as f64);
        }
    }
}

/// From 48, 96 and so on to below the next one: powers of two, which numbers of workers often are, stay clear of the bounds.
fn size(crowd: usize) -> usize {
    (crowd + crowd / 3).checked_ilog2().map_or(0, |size| (size as usize).min(SIZES - 1))
}

impl Default for Way {
    fn default() -> Self {
        let (hold, _) = HOLD;
        Self { abreast: ABREAST, phase: Phase::Hold, left: hold, settling: 0, hold, waited: 0.0, crowds: 0.0 }
    }
}

impl Way {
    fn note(&mut self, waited: f64, crowds: f64) {
        if self.settling > 0 {
            self.settling -= 1;
            return;
        }
        self.waited += waited;
        self.crowds += crowds;
        self.left -= 1;
        if self.left == 0 {
            self.weigh();
        }
    }

    /// By Little's law the time that a command takes, over how many there are at once, is the time from one to the next.
    fn weigh(&mut self) {
        let worth = self.waited / self.crowds;
        (self.waited, self.crowds) = (0.0, 0.0);
        (self.phase, self.left) = match self.phase {
            Phase::Hold => (Phase::Before, LOOK),
            Phase::Before => {
                self.turn();
                (Phase::Trial { before: worth }, LOOK)
            }
            Phase::Trial { before } => {
                self.turn();
                (Phase::After { before, trial: worth }, LOOK)
            }
            Phase::After { before, trial } => {
                let (first, last) = HOLD;
                if trial < before.min(worth) * BETTER {
                    self.turn();
                    self.hold = first;
                } else {
                    self.hold = (self.hold * 4).min(last);
                }
                (Phase::Hold, self.hold)
            }
        };
    }

    fn turn(&mut self) {
        self.abreast = 1 + ABREAST - self.abreast;
        self.settling = SETTLING;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes so many batches of `crowd` commands that take turns, where two batches take so much of the time of one; tells
    /// how many there were abreast, on average.
    fn run(pace: &mut Pace, batches: u32, crowd: usize, two: f64) -> f64 {
        let mut sum = 0;
        for _ in 0..batches {
            let abreast = pace.abreast(crowd);
            let each = Duration::from_millis(1).mul_f64(if abreast == ABREAST { two } else { 1.0 });
            let commands = crowd / abreast;
            pace.note(commands, each * u32::try_from(commands).unwrap(), crowd);
            sum += abreast;
        }
        sum as f64 / f64::from(batches)
    }

    #[test]
    fn the_better_way_is_found_and_kept() {
        let mut pace = Pace::default();
        run(&mut pace, 1000, 64, 1.3);
        assert!(run(&mut pace, 20_000, 64, 1.3) < 1.01);
        run(&mut pace, 10_000, 64, 0.8);
        assert!(run(&mut pace, 20_000, 64, 0.8) > 1.99);
    }

    #[test]
    fn few_and_many_each_have_their_way() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            run(&mut pace, 100, 8, 1.3);
            run(&mut pace, 100, 64, 0.8);
        }
        assert_eq!((pace.abreast(9), pace.abreast(65)), (1, 2));
    }

    #[test]
    fn what_makes_little_difference_changes_nothing() {
        assert!(run(&mut Pace::default(), 20_000, 64, 1.02) > 1.97);
    }

    #[test]
    fn how_many_there_are_is_not_taken_for_how_long_they_take() {
        let mut pace = Pace::default();
        for crowd in [50, 95, 64, 80].repeat(50) {
            let waited = Duration::from_micros(10 * crowd as u64);
            (0..100).for_each(|_| pace.note(crowd / 2, waited * u32::try_from(crowd / 2).unwrap(), crowd));
        }
        assert_eq!(pace.ways[6].hold, HOLD.1);
    }

    #[test]
    fn a_stall_does_not_speak_for_the_other_way() {
        let mut pace = Pace::default();
        for batch in 0..20_000 {
            let stalled = batch % 300 == 0 && pace.abreast(64) == ABREAST;
            pace.note(32, Duration::from_millis(if stalled { 2000 } else { 32 }), 64);
            assert!(pace.abreast(64) == ABREAST || !matches!(pace.ways[6].phase, Phase::Hold));
        }
    }

    #[test]
    fn a_lone_command_tells_nothing() {
        let mut pace = Pace::default();
        (0..100_000).for_each(|_| pace.note(1, Duration::from_millis(1), 1));
        assert!(pace.ways.iter().all(|way| (way.abreast, way.left) == (ABREAST, HOLD.0)));
    }
}
