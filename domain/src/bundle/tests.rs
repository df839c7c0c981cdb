//! The history of the law: published, activated, rolled back, retired, and read as it was recorded in every version.

use super::*;
use crate::{CanonicalJson, Usage};

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn manifest(name: &str) -> Box<Manifest> {
    let content = |text: &str| Content::of(text.to_owned(), "text/x-rego").0;
    let publication = Publication {
        revision: "r1".to_owned(),
        roots: vec![String::new()],
        signed_by: None,
        lines_covered: 9,
        lines: 10,
    };
    Box::new(Manifest {
        digest: digest(name),
        modules: BTreeMap::from([("a.rego".to_owned(), content("package a\n"))]),
        data: content("{}"),
        tests_passed: 3,
        publication: Some(publication),
    })
}

fn activate(name: &str) -> BundleAct {
    BundleAct::Activate(digest(name))
}

fn roll_back(to: &str) -> BundleAct {
    BundleAct::RollBack { to: digest(to) }
}

fn retire(name: &str) -> BundleAct {
    BundleAct::Retire { digest: digest(name), reason: "it lets too much through".to_owned() }
}

/// An installation, by what happened to it.
#[derive(Clone, Default)]
struct Given(Bundles);

impl Given {
    /// Bundles of these names, published.
    fn published(names: &[&str]) -> Self {
        names.iter().fold(Self::default(), |given, name| given.after(BundleAct::Publish(manifest(name))))
    }

    fn after(mut self, act: BundleAct) -> Self {
        self.when(act).unwrap().iter().for_each(|event| self.0.evolve(event));
        self
    }

    fn when(&self, act: BundleAct) -> Result<Vec<BundleEvent>, Refusal> {
        let context = Context::new(1, Usage::default());
        self.0.decide(&Command { act, intent: None, context, rulings: Vec::new() })
    }

    #[track_caller]
    fn then_conflict(&self, act: BundleAct, expected: &str) {
        match self.when(act) {
            Err(Refusal::Conflict { code, .. }) => assert_eq!(code, expected),
            other => panic!("{other:?}"),
        }
    }

    fn active(&self) -> Option<Digest> {
        self.0.active().map(|manifest| manifest.digest)
    }
}

#[test]
fn a_bundle_is_activated_and_names_the_one_it_replaces() {
    let given = Given::published(&["a", "b"]).after(activate("a"));
    let events = given.when(activate("b")).unwrap();
    let expected =
        BundleEvent::BundleActivated { digest: digest("b"), previous: Some(digest("a")), rolled_back: false };
    assert_eq!(events, [expected]);
    assert_eq!(given.after(activate("b")).active(), Some(digest("b")));
}

#[test]
fn publishing_or_activating_again_changes_nothing() {
    let given = Given::published(&["a"]).after(activate("a"));
    assert_eq!(given.when(BundleAct::Publish(manifest("a"))).unwrap(), []);
    assert_eq!(given.when(activate("a")).unwrap(), []);
}

#[test]
fn only_what_was_published_is_activated_or_retired() {
    for act in [activate("x"), retire("x")] {
        assert!(matches!(Given::published(&["a"]).when(act), Err(Refusal::NotFound { .. })));
    }
}

#[test]
fn a_roll_back_returns_step_by_step_and_not_to_and_fro() {
    let names = ["a", "b", "c"];
    let given = names.iter().fold(Given::published(&names), |given, name| given.after(activate(name)));
    let once = given.after(roll_back("b"));
    assert_eq!((once.active(), once.0.previous()), (Some(digest("b")), Some(digest("a"))));
    let twice = once.after(roll_back("a"));
    assert_eq!((twice.active(), twice.0.previous()), (Some(digest("a")), None));
    twice.then_conflict(roll_back("b"), "nothing_to_roll_back_to");
}

#[test]
fn a_roll_back_that_another_was_faster_than_returns_to_nothing_unseen() {
    let given = Given::published(&["a", "b", "c"]).after(activate("a")).after(activate("b")).after(activate("c"));
    given.then_conflict(roll_back("a"), "other_bundle_before");
}

#[test]
fn the_active_bundle_is_not_retired() {
    Given::published(&["a"]).after(activate("a")).then_conflict(retire("a"), "bundle_active");
}

#[test]
fn a_retired_bundle_is_kept_and_never_active_again() {
    let given = Given::published(&["a", "b"]).after(activate("a")).after(activate("b")).after(retire("a"));
    assert_eq!(given.0.status(&digest("a")), BundleStatus::Retired);
    assert!(given.0.published(&digest("a")).is_some());
    given.then_conflict(activate("a"), "bundle_retired");
    given.then_conflict(BundleAct::Publish(manifest("a")), "bundle_retired");
    given.then_conflict(retire("a"), "bundle_retired");
    given.then_conflict(roll_back("a"), "nothing_to_roll_back_to");
}

const FIXTURES: [(&str, &str); 6] = [
    ("1", include_str!("fixtures/bundle_published_v1.json")),
    ("2", include_str!("fixtures/bundle_published_v2.json")),
    ("1", include_str!("fixtures/bundle_activated_v1.json")),
    ("2", include_str!("fixtures/bundle_activated_v2.json")),
    ("1", include_str!("fixtures/bundle_retired_v1.json")),
    ("1", include_str!("fixtures/replay_recorded_v1.json")),
];

#[test]
fn events_of_every_version_ever_recorded_are_read_and_written_as_they_were() {
    for (version, recorded) in FIXTURES {
        let recorded = recorded.trim_end();
        let event: BundleEvent = serde_json::from_str(recorded).unwrap();
        assert_eq!(event.event_version(), version, "{recorded}");
        assert_eq!(CanonicalJson::of(&event).unwrap().as_str(), recorded);
    }
}
