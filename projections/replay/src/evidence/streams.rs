//! Completeness: no gap in a stream, none in a range, nothing that does not belong, and what is known of a run's tail.

use std::collections::{BTreeMap, BTreeSet};

use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{CallId, Decider, Recorded, read};

use super::package::{Manifest, Positions, RunName};
use super::seals::place;
use super::verdict::{Continues, Fault, Finding, RunProven, Tail, Verdict, find};

/// Events by tenant, type and id of their stream.
type Streams<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a Recorded>>;

pub(super) fn complete(manifest: &Manifest, events: &[Recorded], verdict: &mut Verdict) {
    let subject = &manifest.subject;
    let findings = &mut verdict.findings;
    let streams = streams(events);
    for stream in streams.values() {
        without_gaps(stream, findings);
    }
    if subject.runs.is_empty() && subject.range.is_none() {
        find(findings, Fault::Form, "manifest", "it is about nothing: neither runs nor a range");
    }
    if !subject.runs.is_sorted_by(|one, next| (&one.tenant, &one.run) < (&next.tenant, &next.run)) {
        find(findings, Fault::Form, "manifest", "its runs are not in order, or there twice");
    }
    for run in &subject.runs {
        whole_run(run, streams.get(&(run.tenant.as_str(), "run", run.run.as_str())), findings);
    }
    if let Some(range) = subject.range {
        whole_range(range, events, findings);
        verdict.range = Some(range);
    }
    nothing_else(manifest, events, findings);
    let size = verdict.tree.as_ref().map(|tree| tree.size);
    let is_begun = |kind: &str, events: &[&Recorded]| kind == "run" && events[0].sequence == 1;
    let begun = streams.iter().filter(|((_, kind, _), events)| is_begun(kind, events));
    verdict.runs = begun.map(|(_, events)| proven(events, subject.range, size)).collect();
    for run in &mut verdict.runs {
        let there = |id: &str| streams.get(&(run.tenant.as_str(), "run", id)).is_some_and(|at| is_begun("run", at));
        let own = streams.get(&(run.tenant.as_str(), "run", run.run.as_str()));
        let left = own.and_then(|events| left(events.iter().copied()));
        run.continues = left.map(|(id, at)| Continues { compared: there(&id), run: id, at });
    }
}

/// The run that a fork continues, and the sequence after which.
pub(super) fn left<'e>(events: impl IntoIterator<Item = &'e Recorded>) -> Option<(String, u64)> {
    let forked = events.into_iter().find(|event| event.event_type == "RunForked")?;
    match read::<RunEvent>(&forked.event_type, &forked.event_version, &forked.payload).ok()? {
        RunEvent::RunForked { from, at_sequence, .. } => Some((from.to_string(), at_sequence)),
        _ => None,
    }
}

fn streams(events: &[Recorded]) -> Streams<'_> {
    let mut streams = Streams::new();
    for event in events {
        let name = (event.tenant.as_str(), event.aggregate_type.as_str(), event.aggregate_id.as_str());
        streams.entry(name).or_default().push(event);
    }
    streams
}

fn without_gaps(events: &[&Recorded], findings: &mut Vec<Finding>) {
    for (one, next) in events.iter().zip(events.iter().skip(1)) {
        if next.sequence <= one.sequence {
            find(findings, Fault::Form, place(next), format!("it comes behind sequence {}", one.sequence));
        } else if next.sequence - one.sequence > 1 {
            let between = format!("between positions {} and {}", one.position, next.position);
            let missing = span("sequence", one.sequence + 1, next.sequence - 1);
            find(findings, Fault::Gap, stream(one), format!("{missing} missing, {between}"));
        }
    }
}

fn whole_run(run: &RunName, events: Option<&Vec<&Recorded>>, findings: &mut Vec<Finding>) {
    let name = format!("run {}", run.run);
    let Some((first, last)) = events.and_then(|events| Some((events.first()?, events.last()?))) else {
        return find(findings, Fault::Gap, name, "there is no event of it");
    };
    if first.sequence != 1 {
        let missing = span("sequence", 1, first.sequence.saturating_sub(1));
        find(findings, Fault::Gap, name.clone(), format!("{missing} missing, before position {}", first.position));
    }
    if last.sequence < run.events {
        let missing = span("sequence", last.sequence + 1, run.events);
        find(findings, Fault::Gap, name, format!("{missing} missing, after position {}", last.position));
    } else if last.sequence > run.events {
        let detail = format!("{} events are announced, and it reaches sequence {}", run.events, last.sequence);
        find(findings, Fault::Count, name, detail);
    }
}

fn whole_range(range: Positions, events: &[Recorded], findings: &mut Vec<Finding>) {
    let name = format!("range {} to {}", range.first, range.last);
    if range.first == 0 || range.first > range.last {
        return find(findings, Fault::Form, name, "there is no such range");
    }
    let mut due = range.first;
    let within = |position: u64| (range.first..=range.last).contains(&position);
    for position in events.iter().map(|event| event.position).filter(|position| within(*position)) {
        if position > due {
            find(findings, Fault::Gap, name.clone(), format!("{} missing", span("position", due, position - 1)));
        }
        due = position.saturating_add(1);
    }
    if due <= range.last {
        find(findings, Fault::Gap, name, format!("{} missing", span("position", due, range.last)));
    }
}

fn nothing_else(manifest: &Manifest, events: &[Recorded], findings: &mut Vec<Finding>) {
    let runs: BTreeSet<_> = manifest.subject.runs.iter().map(|run| (run.tenant.as_str(), run.run.as_str())).collect();
    let range = manifest.subject.range;
    for event in events {
        let in_range = range.is_some_and(|range| (range.first..=range.last).contains(&event.position));
        let of_run =
            event.aggregate_type == "run" && runs.contains(&(event.tenant.as_str(), event.aggregate_id.as_str()));
        if !in_range && !of_run {
            find(findings, Fault::Foreign, place(event), "it is neither of a run nor in the range");
        }
    }
}

fn proven(events: &[&Recorded], range: Option<Positions>, size: Option<u64>) -> RunProven {
    let (first, last) = (events[0], events[events.len() - 1]);
    let to_the_end = |range: Positions| Some(range.last) == size && range.first <= last.position.saturating_add(1);
    let tail = match () {
        () if Some(last.position) == size || range.is_some_and(to_the_end) => Tail::Proven,
        () if has_ended(events) => Tail::Ended,
        () => Tail::Open,
    };
    let (tenant, run) = (first.tenant.clone(), first.aggregate_id.clone());
    RunProven { tenant, run, events: last.sequence, tail, continues: None }
}

/// Whether the deciders accept nothing more of the run: it has ended, and no result is awaited.
fn has_ended(events: &[&Recorded]) -> bool {
    let (mut run, mut under_way) = (Run::default(), BTreeSet::<CallId>::new());
    for event in events {
        let Ok(fact) = read::<RunEvent>(&event.event_type, &event.event_version, &event.payload) else { return false };
        match &fact {
            RunEvent::ToolCallStarted { call, .. } => drop(under_way.insert(*call)),
            RunEvent::ToolCallCompleted { call, .. } | RunEvent::ToolCallInterrupted { call, .. } => {
                under_way.remove(call);
            }
            _ => {}
        }
        run.evolve(&fact);
    }
    run.status().has_ended() && under_way.is_empty()
}

fn stream(event: &Recorded) -> String {
    format!("{} {}", event.aggregate_type, event.aggregate_id)
}

/// `sequence 5 is`, or `sequences 5 to 7 are`.
fn span(name: &str, first: u64, last: u64) -> String {
    if first == last { format!("{name} {first} is") } else { format!("{name}s {first} to {last} are") }
}
