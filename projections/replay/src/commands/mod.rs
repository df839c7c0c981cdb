//! Commands, fed again: what a run's events say was asked of it, with the recorded decisions and results, must bring about
//! the very same events.

mod inferred;

use std::collections::VecDeque;

use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{Decider, Metadata, Recorded};

use crate::Recordings;
use inferred::inferred;

/// Events of one command at most: a fork takes over up to 10,000 at once.
pub(crate) const AHEAD: usize = 10_128;

/// Where a walk over a run stands between commands.
#[derive(Default)]
pub(crate) struct Feed {
    /// What the command that is under way has yet to bring about.
    due: VecDeque<RunEvent>,
    /// A command that cannot be carried out.
    refused: Option<Refused>,
    /// A command of a kind this version does not know, or without what it was told from.
    passed: Option<String>,
    /// Commands fed again.
    pub fed: u64,
    /// Commands passed over: of a kind this version does not know, or a fork without the run it continues.
    pub unknown: u64,
}

/// A command that cannot be carried out on the state before it. Whatever else is wrong with its events says more, so it
/// is told once they are over.
struct Refused {
    why: String,
    sequence: u64,
    command: String,
}

/// What a command's events were recorded under.
fn command_id(event: &Recorded) -> String {
    serde_json::from_str::<Metadata>(&event.metadata).unwrap_or_default().command_id
}

impl Feed {
    /// Before an event is applied: where a command begins here, it is carried out on the state before it.
    pub fn before(&mut self, recordings: &Recordings, run: &Run, events: &[(&Recorded, RunEvent)]) {
        let Some((first, _)) = events.first() else { return };
        if !self.due.is_empty() || self.refused.is_some() || self.passed.as_ref() == Some(&command_id(first)) {
            return;
        }
        let refused = |why| Some(Refused { why, sequence: first.sequence, command: command_id(first) });
        let command = match inferred(recordings, run, events.get(..AHEAD).unwrap_or(events)) {
            Ok(Some(command)) => command,
            Ok(None) => {
                self.unknown += 1;
                self.passed = Some(command_id(first));
                return;
            }
            Err(why) => {
                self.refused = refused(why);
                return;
            }
        };
        match run.decide(&command) {
            Ok(events) => {
                self.fed += 1;
                self.due = events.into();
            }
            Err(refusal) => self.refused = refused(format!("the command is refused: {refusal}")),
        }
    }

    /// Where a command began that cannot be carried out, and why, once its events are over: `next` is the one after.
    pub fn refused(&self, next: Option<&Recorded>) -> Option<(u64, &str)> {
        let refused = self.refused.as_ref()?;
        let over = next.is_none_or(|next| command_id(next) != refused.command);
        over.then_some((refused.sequence, refused.why.as_str()))
    }

    /// What should stand in the place of `event`, where that is something else.
    pub fn other(&mut self, event: &RunEvent) -> Option<String> {
        let due = self.due.pop_front()?;
        (due != *event).then(|| crate::decisions::json(&due))
    }

    /// What the last command should have brought about and is not recorded.
    pub fn missing(&self) -> Option<String> {
        self.due.front().map(crate::decisions::json)
    }
}
