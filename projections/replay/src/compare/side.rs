//! One of two runs, told by its calls.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::run::{CallStatus, Run, RunEvent, RunStatus};
use xagent_domain::{CallId, Decider, DecisionMade, Digest, Question, Recorded, RunId, read};

/// A run that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedRun {
    /// The run.
    pub run: String,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended, in a sentence.
    pub summary: String,
    /// Events it has.
    pub events: u64,
    /// Who plans.
    pub planner: Option<String>,
    /// The run it continues.
    pub forked_from: Option<RunId>,
    /// The sequence of the last event it continues.
    pub forked_at: Option<u64>,
    /// The bundle its tool calls are decided by, where it is not the one in force.
    pub policy: Option<Digest>,
}

/// A decision on a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedDecision {
    /// `allow`, `deny` or `approval`.
    pub verdict: String,
    /// Codes of a denial.
    pub codes: Vec<String>,
    /// The bundle that decided.
    pub bundle: Digest,
}

/// A call that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedCall {
    /// The step's name.
    #[serde(skip)]
    pub label: String,
    /// The sequence of its proposal.
    pub sequence: u64,
    /// The tool.
    pub tool: String,
    /// Digest of its registration.
    pub tool_digest: Digest,
    /// Digest of its canonical arguments.
    pub arguments: Digest,
    /// The decisions on it, in order.
    pub decisions: Vec<ComparedDecision>,
    /// Where it stands.
    pub status: CallStatus,
    /// Digest of its output.
    pub output: Option<Digest>,
    /// Whether it was taken over from the run that this one continues.
    pub inherited: bool,
    /// Whether a recording answered.
    pub recorded: bool,
    /// Whether it was not made for want of a recording.
    pub recording_missing: bool,
}

/// A run and its calls, in order.
pub(super) struct Told {
    pub run: ComparedRun,
    pub calls: Vec<ComparedCall>,
}

pub(super) fn told(events: &[Recorded]) -> Result<Told, Box<Recorded>> {
    let (mut run, mut calls, mut places) = (Run::default(), Vec::new(), BTreeMap::new());
    for recorded in events {
        let event = read::<RunEvent>(&recorded.event_type, &recorded.event_version, &recorded.payload);
        let event = event.map_err(|_| Box::new(recorded.clone()))?;
        run.evolve(&event);
        let inherited = matches!(event, RunEvent::EventInherited(_));
        tell(&mut calls, &mut places, (recorded.sequence, inherited), event.itself());
    }
    for (id, place) in places {
        if let (Some(call), Some(status)) = (calls.get_mut(place), run.call_status(&id)) {
            call.status = status;
        }
    }
    let (fork, id) = (run.fork(), events.first().map(|event| event.aggregate_id.clone()));
    let compared = ComparedRun {
        run: id.unwrap_or_default(),
        status: run.status(),
        summary: run.summary().to_owned(),
        events: events.len() as u64,
        planner: run.planner().map(|planner| planner.name().to_owned()),
        forked_from: fork.map(|fork| fork.from),
        forked_at: fork.map(|fork| fork.at_sequence),
        policy: fork.and_then(|fork| fork.law),
    };
    Ok(Told { run: compared, calls })
}

fn tell(
    calls: &mut Vec<ComparedCall>,
    places: &mut BTreeMap<CallId, usize>,
    (sequence, inherited): (u64, bool),
    event: RunEvent,
) {
    let about = match &event {
        RunEvent::DecisionMade(made) => match &made.question {
            Question::ToolCall { call, .. } => Some(*call),
            Question::Command(_) => None,
        },
        RunEvent::ToolCallCompleted { call, .. } | RunEvent::RecordingMissing { call, .. } => Some(*call),
        _ => None,
    };
    let known = about.and_then(|call| places.get(&call)).and_then(|place| calls.get_mut(*place));
    match (event, known) {
        (RunEvent::DecisionMade(made), Some(call)) => call.decisions.push(verdict(&made)),
        (RunEvent::ToolCallCompleted { outcome, .. }, Some(call)) => {
            (call.output, call.recorded) = (Some(outcome.output.digest), outcome.recording.is_some());
        }
        (RunEvent::RecordingMissing { .. }, Some(call)) => call.recording_missing = true,
        (RunEvent::ToolCallProposed { call, label, tool, arguments, .. }, _) => {
            places.insert(call, calls.len());
            calls.push(ComparedCall {
                label,
                sequence,
                tool: tool.name,
                tool_digest: tool.digest,
                arguments: arguments.digest,
                decisions: Vec::new(),
                status: CallStatus::Proposed,
                output: None,
                inherited,
                recorded: false,
                recording_missing: false,
            });
        }
        _ => {}
    }
}

fn verdict(made: &DecisionMade) -> ComparedDecision {
    let verdict = match (made.allow, made.asks_for_approval()) {
        (true, _) => "allow",
        (false, true) => "approval",
        (false, false) => "deny",
    };
    let codes = made.deny.iter().map(|reason| reason.code.clone()).collect();
    ComparedDecision { verdict: verdict.to_owned(), codes, bundle: made.evaluation.bundle }
}
