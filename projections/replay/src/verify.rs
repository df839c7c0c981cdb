//! The walk over a run's events: each is checked against what went before it, then folded into the state.

use std::collections::BTreeMap;

use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{CallId, Decider, DecisionId, Digest, Question, Recorded};
use xagent_policies::Bulk;

use crate::commands::{AHEAD, Feed};
use crate::consultations::check_consultation;
use crate::decisions::{check_decision, json, load_bundles};
use crate::forks::{check_answer, check_inherited, check_law};
use crate::recordings::contents;
use crate::{Divergence, Kind, Recordings, Report, StateCheck};

/// Where the walk stands.
pub(crate) struct Walk<'a> {
    pub recordings: &'a Recordings,
    pub engine: &'a Bulk,
    pub run: Run,
    pub report: Report,
    feed: Feed,
    /// Decisions that allow a tool call.
    allowed: BTreeMap<DecisionId, CallId>,
}

/// Verifies one run: inputs rebuilt, decisions made again by `engine`, everything compared, up to the first divergence.
///
/// `served` is the state a view serves, with the sequence it is at, if there is one to compare with.
pub fn verify(recordings: &Recordings, engine: &Bulk, served: Option<(u64, &Run)>) -> Report {
    let run = recordings.events.first().map(|event| event.aggregate_id.clone()).unwrap_or_default();
    let report = Report { run, ..Report::default() };
    let mut walk =
        Walk { recordings, engine, run: Run::default(), report, feed: Feed::default(), allowed: BTreeMap::new() };
    match walk.walk(served) {
        Ok(()) => walk.report.identical = true,
        Err(divergence) => walk.report.divergence = Some(*divergence),
    }
    walk.report
}

impl Walk<'_> {
    fn walk(&mut self, served: Option<(u64, &Run)>) -> Result<(), Box<Divergence>> {
        let recordings = self.recordings;
        load_bundles(recordings, self.engine)?;
        let (facts, unreadable) = read_all(&recordings.events);
        for (place, ((event, fact), sequence)) in facts.iter().zip(1_u64..).enumerate() {
            self.report.events += 1;
            in_place(event, sequence)?;
            refused(&self.feed, Some(event), &facts)?;
            self.feed.before(recordings, &self.run, facts.get(place..).unwrap_or_default());
            self.check(event, fact)?;
            sealed(event)?;
            if let Some(replayed) = self.feed.other(fact) {
                let divergence = Divergence::at(event, Kind::Command, event.payload.clone(), replayed);
                return Err(culprit(divergence, sequence, facts.get(place..).unwrap_or_default(), unreadable));
            }
            (self.report.commands, self.report.commands_unknown) = (self.feed.fed, self.feed.unknown);
            self.run.evolve(fact);
            if let Some((at, state)) = served
                && at == sequence
            {
                self.compare_state(event, state)?;
            }
        }
        if unreadable.is_none() {
            refused(&self.feed, None, &facts)?;
        }
        match (unreadable, recordings.events.last(), self.feed.missing()) {
            (Some(divergence), _, _) => Err(divergence),
            (None, Some(last), Some(missing)) => {
                Err(Divergence::at(last, Kind::SequenceGap, "nothing after this event", missing))
            }
            (None, _, _) => Ok(()),
        }
    }

    fn check(&mut self, event: &Recorded, fact: &RunEvent) -> Result<(), Box<Divergence>> {
        for content in contents(fact) {
            let Some(text) = self.recordings.text(content) else {
                let recorded = content.digest.to_string();
                return Err(Divergence::at(event, Kind::MissingBlob, recorded, "nothing under this digest"));
            };
            let found = Digest::of(text.as_bytes());
            if found != content.digest {
                let recorded = content.digest.to_string();
                return Err(Divergence::at(event, Kind::ContentDigest, recorded, found.to_string()));
            }
        }
        match fact {
            RunEvent::DecisionMade(made) => {
                self.report.decisions += 1;
                check_decision(self, event, made)?;
                check_law(&self.run, event, made)?;
                if let (true, Question::ToolCall { call, .. }) = (made.allow, &made.question) {
                    self.allowed.insert(made.decision, *call);
                }
            }
            RunEvent::PlannerConsulted(made) => check_consultation(self.recordings, &self.run, event, made)?,
            RunEvent::ToolCallStarted { call, decision, .. } if self.allowed.get(decision) != Some(call) => {
                let recorded = format!("{call} started under {decision}");
                return Err(Divergence::at(event, Kind::StartWithoutAllow, recorded, "no such decision allows it"));
            }
            RunEvent::EventInherited(inherited) => check_inherited(self.recordings, event, inherited)?,
            RunEvent::ToolCallCompleted { outcome, .. } => check_answer(self.recordings, event, outcome)?,
            _ => {}
        }
        Ok(())
    }

    fn compare_state(&mut self, event: &Recorded, served: &Run) -> Result<(), Box<Divergence>> {
        let (served, folded) = (json(served), json(&self.run));
        if served != folded {
            return Err(Divergence::at(event, Kind::State, served, folded));
        }
        self.report.state = StateCheck::Identical;
        Ok(())
    }
}

fn in_place(event: &Recorded, sequence: u64) -> Result<(), Box<Divergence>> {
    if event.sequence == sequence {
        return Ok(());
    }
    let recorded = format!("sequence {}", event.sequence);
    Err(Divergence::at(event, Kind::SequenceGap, recorded, format!("sequence {sequence}")))
}

/// A command whose events are over and that cannot be carried out; `next` is the event after them.
fn refused(feed: &Feed, next: Option<&Recorded>, facts: &Facts<'_>) -> Result<(), Box<Divergence>> {
    let Some((sequence, why)) = feed.refused(next) else { return Ok(()) };
    let from = facts.iter().position(|(event, _)| event.sequence == sequence);
    let began = from.and_then(|place| facts.get(place..));
    let Some((events, (event, _))) = began.and_then(|events| Some((events, events.first()?))) else { return Ok(()) };
    let divergence = Divergence::at(event, Kind::Command, event.payload.clone(), why);
    Err(culprit(divergence, sequence, events, None))
}

/// What a command is told from may be what was changed: then that is the place, not where it shows first.
fn culprit(
    shows: Box<Divergence>,
    sequence: u64,
    from: &[(&Recorded, RunEvent)],
    unreadable: Option<Box<Divergence>>,
) -> Box<Divergence> {
    let mut events = from.iter().zip(sequence..).take(AHEAD);
    let changed =
        events.find_map(|((event, _), sequence)| in_place(event, sequence).and_then(|()| sealed(event)).err());
    changed.or(unreadable).unwrap_or(shows)
}

type Facts<'e> = Vec<(&'e Recorded, RunEvent)>;

/// The events up to the first that cannot be read, and what is wrong with that.
fn read_all(events: &[Recorded]) -> (Facts<'_>, Option<Box<Divergence>>) {
    let mut facts = Vec::with_capacity(events.len());
    for event in events {
        match read(event) {
            Ok(fact) => facts.push((event, fact)),
            Err(divergence) => return (facts, Some(divergence)),
        }
    }
    (facts, None)
}

fn read(event: &Recorded) -> Result<RunEvent, Box<Divergence>> {
    xagent_domain::read(&event.event_type, &event.event_version, &event.payload)
        .map_err(|error| Divergence::at(event, Kind::Undecodable, event.payload.clone(), error.to_string()))
}

/// After the checks that can say more: whatever else was changed shows in the leaf hash.
fn sealed(event: &Recorded) -> Result<(), Box<Divergence>> {
    let leaf = xagent_tree::leaf_hash(event)
        .map_err(|error| Divergence::at(event, Kind::Undecodable, event.payload.clone(), error.to_string()))?;
    if leaf == event.leaf_hash {
        return Ok(());
    }
    Err(Divergence::at(event, Kind::LeafHash, event.leaf_hash.to_string(), leaf.to_string()))
}
