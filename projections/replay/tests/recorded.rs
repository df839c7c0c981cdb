//! A run recorded by the first version replays identically for ever, and every kind of change to it is found and named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use xagent_domain::bundle::Manifest;
use xagent_domain::{Limits, Recorded};
use xagent_policies::Bulk;
use xagent_replay::{Cause, Divergence, Kind, Needs, Recordings, Report, StateCheck, verify};

const FIXTURE: &str = include_str!("fixtures/repo_review_v1.json");

fn recordings() -> Recordings {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let events = fixture["events"].as_array().unwrap().iter().map(event).collect();
    let bundles = fixture["bundles"].as_array().unwrap().iter().map(|bundle| {
        let manifest: Manifest = serde_json::from_value(bundle.clone()).unwrap();
        (manifest.digest, manifest)
    });
    Recordings { events, bundles: bundles.collect(), ..Recordings::default() }
}

fn event(value: &Value) -> Recorded {
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    Recorded {
        position: value["position"].as_u64().unwrap(),
        tenant: text("tenant").parse().unwrap(),
        aggregate_type: text("aggregate_type"),
        aggregate_id: text("aggregate_id"),
        sequence: value["sequence"].as_u64().unwrap(),
        event_type: text("event_type"),
        event_version: text("event_version"),
        payload: text("payload"),
        metadata: text("metadata"),
        recorded_at_us: value["recorded_at_us"].as_i64().unwrap(),
        leaf_hash: text("leaf_hash").parse().unwrap(),
    }
}

fn replay(recordings: &Recordings) -> Report {
    let limits = Limits { timeout_ms: 10_000 };
    let report = verify(recordings, &Bulk::exact(limits), None);
    assert_eq!(verify(recordings, &Bulk::new(limits), None), report, "in bulk it is found alike");
    report
}

/// What replay finds once one event is changed, which is sealed again so that its leaf hash says nothing.
fn resealed(event_type: &str, from: &str, to: &str) -> Divergence {
    let mut recordings = recordings();
    let changed =
        recordings.events.iter_mut().find(|e| e.event_type == event_type && e.payload.contains(from)).unwrap();
    changed.payload = changed.payload.replacen(from, to, 1);
    changed.leaf_hash = xagent_tree::leaf_hash(changed).unwrap();
    replay(&recordings).divergence.unwrap()
}

#[test]
fn a_run_of_the_first_version_is_identical() {
    let recordings = recordings();
    let report = replay(&recordings);
    assert_eq!(report.divergence, None);
    assert!(report.identical);
    assert_eq!((report.events, report.decisions, report.decided_again), (49, 12, 12));
    assert_eq!((report.commands, report.commands_unknown), (24, 0));
    assert_eq!((report.not_decidable_again.len(), report.state), (0, StateCheck::NothingToCompare));
    let needs = Needs::of(&recordings.events);
    assert_eq!((needs.blobs.len(), needs.bundles.len()), (0, 1));
}

#[test]
fn a_change_that_was_sealed_again_is_still_found_by_deciding_again() {
    let denied = resealed("DecisionMade", r#"{\"allow\":false"#, r#"{\"allow\":true"#);
    assert_eq!(denied.kind, Kind::Result);
    assert!(denied.decision.unwrap().starts_with("dec_"));
    assert!(denied.recorded.starts_with("{\"allow\":true") && denied.replayed.starts_with("{\"allow\":false"));
    assert_eq!(resealed("DecisionMade", "{\"allow\":false", "{\"allow\":true").kind, Kind::Verdict);
    assert_eq!(resealed("DecisionMade", "\"commands_last_minute\":0", "\"commands_last_minute\":1").kind, Kind::Input);
    assert_eq!(resealed("DecisionMade", "interpreter-strict", "rvm").kind, Kind::Engine);
    assert_eq!(resealed("ToolCallCompleted", "\\\"count\\\":", "\\\"count\\\":1").kind, Kind::ContentDigest);
    assert_eq!(
        resealed("ToolCallStarted", "\"decision\":\"dec_0", "\"decision\":\"dec_1").kind,
        Kind::StartWithoutAllow
    );
    // The state carries it to the next decision, whose input then is another one.
    assert_eq!(resealed("GoalSet", "review this folder", "delete this folder").kind, Kind::Input);
}

#[test]
fn a_command_fed_again_brings_about_the_very_same_events() {
    let asked = resealed("ApprovalRequested", "content nobody vouches for was read", "it is late");
    assert_eq!((asked.kind, asked.sequence, asked.cause), (Kind::Command, 41, Cause::CodeChanged));
    assert!(asked.recorded.contains("it is late") && asked.replayed.contains("content nobody vouches for was read"));
    let achieved = resealed("GoalAchieved", "9 steps", "8 steps");
    assert_eq!((achieved.kind, achieved.sequence), (Kind::Command, 48));
    let who = resealed("ApprovalGranted", "\"granted_by\":\"bob\"", "\"granted_by\":\"eve\"");
    assert_eq!((who.kind, who.sequence), (Kind::Command, 43));
    let attempt = resealed("ToolCallStarted", "\"attempt\":1", "\"attempt\":2");
    assert_eq!((attempt.kind, attempt.sequence), (Kind::Command, 7));

    let mut cut = recordings();
    cut.events.pop();
    let cut = replay(&cut).divergence.unwrap();
    assert_eq!((cut.kind, cut.sequence, cut.cause), (Kind::SequenceGap, 48, Cause::Tampered));
    assert!(cut.replayed.contains("RunCompleted"), "a command's events are there together: {}", cut.replayed);
}

#[test]
fn the_likely_cause_is_named() {
    assert_eq!(resealed("DecisionMade", "interpreter-strict", "rvm").cause, Cause::EngineChanged);
    let mut changed = recordings();
    changed.events[5].payload = changed.events[5].payload.replacen("{\"allow\":true", "{\"allow\":false", 1);
    assert_eq!(replay(&changed).divergence.unwrap().cause, Cause::Tampered);
    let mut changed = recordings();
    changed.events[2].metadata = "{}".to_owned();
    assert_eq!(replay(&changed).divergence.unwrap().cause, Cause::Tampered);
}

#[test]
fn what_is_missing_is_named() {
    let mut without_bundle = recordings();
    without_bundle.bundles.clear();
    let missing = replay(&without_bundle).divergence.unwrap();
    assert_eq!((missing.kind, missing.sequence, missing.cause), (Kind::MissingBundle, 1, Cause::BundleMissing));

    let mut without_event = recordings();
    without_event.events.remove(4);
    assert_eq!(replay(&without_event).divergence.unwrap().kind, Kind::SequenceGap);

    let mut unreadable = recordings();
    unreadable.events[0].payload = unreadable.events[0].payload.replace("\"question\"", "\"query\"");
    let unreadable = replay(&unreadable).divergence.unwrap();
    assert_eq!(unreadable.kind, Kind::Undecodable);
    assert!(unreadable.decision.is_some());

    let mut other_bundle = recordings();
    let manifest = other_bundle.bundles.values_mut().next().unwrap();
    manifest.data.text = Some("{}".to_owned());
    assert_eq!(replay(&other_bundle).divergence.unwrap().kind, Kind::MissingBundle);
}

#[test]
fn every_byte_of_every_event_is_covered() {
    let original = recordings();
    for index in (0..original.events.len()).step_by(3) {
        let mut changed = original.clone();
        let event = &mut changed.events[index];
        // A letter in the middle of the payload: whatever it belongs to, it is found.
        let at = (event.payload.len() / 2..).find(|at| event.payload.as_bytes()[*at].is_ascii_lowercase()).unwrap();
        event.payload.replace_range(at..=at, "Z");
        let found = replay(&changed).divergence.unwrap();
        assert_eq!(found.position, original.events[index].position);
    }
}

#[test]
fn a_view_that_serves_another_state_is_found() {
    let recordings = recordings();
    let engine = Bulk::new(Limits { timeout_ms: 10_000 });
    let report = verify(&recordings, &engine, Some((49, &xagent_domain::run::Run::default())));
    let divergence = report.divergence.unwrap();
    assert_eq!((divergence.kind, divergence.cause), (Kind::State, Cause::ViewWrong));
}
