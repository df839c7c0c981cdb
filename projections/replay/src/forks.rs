//! What a run has of the one it continues: what it took over, what answered its calls, and the law it is under.

use xagent_domain::governed::Governed;
use xagent_domain::run::{Inherited, Recording, Run, RunEvent, ToolOutcome};
use xagent_domain::{DecisionMade, Question, Recorded, read};

use crate::decisions::json;
use crate::{Divergence, Kind, Recordings};

/// What a run took over is what the other one recorded there.
pub(crate) fn check_inherited(
    recordings: &Recordings,
    event: &Recorded,
    inherited: &Inherited,
) -> Result<(), Box<Divergence>> {
    let Some(origin) = &recordings.origin else { return Ok(()) };
    let found = there(origin, inherited.sequence, inherited.position);
    if found.as_ref() == Some(&inherited.event) {
        return Ok(());
    }
    let replayed = found.map_or_else(|| nothing(inherited.sequence), |found| json(&found));
    Err(Divergence::at(event, Kind::Inheritance, json(&inherited.event), replayed))
}

/// What answered in a tool's place is what the other run recorded there.
pub(crate) fn check_answer(
    recordings: &Recordings,
    event: &Recorded,
    outcome: &ToolOutcome,
) -> Result<(), Box<Divergence>> {
    let (Some(origin), Some(Recording { sequence, position, .. })) = (&recordings.origin, &outcome.recording) else {
        return Ok(());
    };
    let said = |outcome: &ToolOutcome| json(&ToolOutcome { recording: None, ..outcome.clone() });
    let replayed = match there(origin, *sequence, *position) {
        Some(RunEvent::ToolCallCompleted { outcome: found, .. }) => said(&found),
        Some(other) => json(&other),
        None => nothing(*sequence),
    };
    let recorded = said(outcome);
    if recorded == replayed { Ok(()) } else { Err(Divergence::at(event, Kind::Recording, recorded, replayed)) }
}

/// A decision on a tool call is by the bundle its run is under.
pub(crate) fn check_law(run: &Run, event: &Recorded, made: &DecisionMade) -> Result<(), Box<Divergence>> {
    let is_of_call = matches!(made.question, Question::ToolCall { .. });
    match run.law().filter(|law| is_of_call && *law != made.evaluation.bundle) {
        Some(law) => Err(Divergence::at(event, Kind::Law, made.evaluation.bundle.to_string(), law.to_string())),
        None => Ok(()),
    }
}

/// The event of the other run at this place, or the one it took over there itself.
fn there(origin: &[Recorded], sequence: u64, position: u64) -> Option<RunEvent> {
    let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
    let recorded = origin.get(index).filter(|event| (event.sequence, event.position) == (sequence, position))?;
    match read(&recorded.event_type, &recorded.event_version, &recorded.payload).ok()? {
        RunEvent::EventInherited(inherited) => Some(inherited.event),
        event => Some(event),
    }
}

fn nothing(sequence: u64) -> String {
    format!("the other run has no such event at sequence {sequence}")
}
