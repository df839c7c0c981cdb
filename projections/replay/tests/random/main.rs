//! Random runs, made by the deciders and the law that serve: each is verified identical, and one change in a tenth of them is
//! found where it was made, under its name.
//!
//! `XAGENT_RANDOM_RUNS=10000` makes as many runs, a tenth of them changed; `XAGENT_RANDOM_SEED` begins elsewhere.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod acts;
mod law;
mod mutate;
mod story;

use std::collections::{BTreeMap, BTreeSet};

use xagent_policies::Bulk;
use xagent_replay::{StateCheck, verify};

use law::{LIMITS, Law};
use mutate::{mutated, names};
use story::Story;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().map_or(usual, |text| text.parse().unwrap())
}

/// Every kind of event that can happen to a run.
const KINDS: [&str; 22] = [
    "ApprovalGranted",
    "ApprovalRefused",
    "ApprovalRequested",
    "DecisionMade",
    "EventInherited",
    "GoalAchieved",
    "GoalFailed",
    "GoalSet",
    "PlannerConsulted",
    "RecordingMissing",
    "RunCancelled",
    "RunCompleted",
    "RunFailed",
    "RunForked",
    "RunPaused",
    "RunResumed",
    "RunStarted",
    "ToolCallCompleted",
    "ToolCallInterrupted",
    "ToolCallProposed",
    "ToolCallRejected",
    "ToolCallStarted",
];

/// What all runs together have shown.
#[derive(Default)]
struct Seen {
    events: BTreeMap<String, usize>,
    decisions: u64,
    refused: usize,
    bundles: usize,
    changes: BTreeSet<&'static str>,
}

impl Seen {
    fn check(&mut self, story: &mut Story<'_>, seed: u64, engine: &Bulk, changes: bool) {
        let served = Some((story.facts.len() as u64, &story.run));
        let report = verify(&story.recordings, engine, served);
        assert!(report.identical, "seed {seed}: {:#?}", report.divergence);
        assert_eq!((report.decisions, report.state), (report.decided_again, StateCheck::Identical), "seed {seed}");
        self.decisions += report.decisions;
        self.refused += story.refused;
        story.recordings.events.iter().for_each(|event| *self.events.entry(event.event_type.clone()).or_default() += 1);
        self.bundles = self.bundles.max(xagent_replay::Needs::of(&story.recordings.events).bundles.len());
        if !changes {
            return;
        }
        let changed = mutated(&mut story.rng, story.law, &story.recordings, &story.run);
        let served = changed.served.as_ref().map(|(at, state)| (*at, state));
        let report = verify(&changed.recordings, engine, served);
        let Some(found) = report.divergence else { panic!("seed {seed}: {} is not found", changed.name) };
        let (expected, at) = ((changed.kind, changed.sequence), (found.kind, found.sequence));
        assert_eq!(at, expected, "seed {seed}: {}: {found:#?}", changed.name);
        self.changes.insert(changed.name);
    }
}

#[test]
fn random_runs_are_identical_and_a_change_is_found_where_it_was_made_under_its_name() {
    let (runs, first) = (number("XAGENT_RANDOM_RUNS", 300), number("XAGENT_RANDOM_SEED", 1));
    let (law, engine, mut seen) = (Law::new(), Bulk::new(LIMITS), Seen::default());
    for seed in first..first + runs {
        let mut origin = Story::new(&law, 2 * seed);
        origin.unfold(None);
        let changes = seed % 10 == 0;
        // Every fourth run continues another one.
        if seed % 4 == 0 {
            let mut fork = Story::new(&law, 2 * seed + 1);
            fork.unfold(Some(&origin));
            seen.check(&mut fork, seed, &engine, changes);
        } else {
            seen.check(&mut origin, seed, &engine, changes);
        }
    }
    println!("{runs} runs, {} decisions, {} refusals: {:?}", seen.decisions, seen.refused, seen.events);
    let kinds: Vec<_> = seen.events.keys().map(String::as_str).collect();
    assert_eq!(kinds, KINDS, "each kind of event is among them");
    assert_eq!(seen.bundles, 2, "the bundle in force changed within a run");
    assert!(seen.refused > 0);
    if runs >= 10_000 {
        assert_eq!(seen.changes.into_iter().collect::<Vec<_>>().len(), names().len(), "each change was made");
    }
}
