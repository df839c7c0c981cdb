//! Commands, fed again: what a run's events say was asked of it, with the recorded decisions and results, must bring about
//! the very same events.

mod inferred;

use std::collections::VecDeque;

use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{Decider, Recorded};

use crate::Recordings;
use inferred::inferred;

/// Events of one command at most: a model's goals, and all goals at the end.
pub(crate) const AHEAD: usize = 128;

/// Where a walk over a run stands between commands.
#[derive(Default)]
pub(crate) struct Feed {
    /// What the command that is under way has yet to bring about.
    due: VecDeque<RunEvent>,
    /// Why the command that would begin here cannot be carried out.
    refused: Option<String>,
    /// Commands fed again.
    pub fed: u64,
    /// Events that no command this version knows begins with.
    pub unknown: u64,
}

impl Feed {
    /// Before an event is applied: where a command begins here, it is carried out on the state before it.
    pub fn before(&mut self, recordings: &Recordings, run: &Run, events: &[(&Recorded, RunEvent)]) {
        if !self.due.is_empty() {
            return;
        }
        let command = match inferred(recordings, run, events.get(..AHEAD).unwrap_or(events)) {
            Ok(Some(command)) => command,
            Ok(None) => {
                self.unknown += 1;
                return;
            }
            Err(why) => {
                self.refused = Some(why);
                return;
            }
        };
        match run.decide(&command) {
            Ok(events) => {
                self.fed += 1;
                self.due = events.into();
            }
            Err(refusal) => self.refused = Some(format!("the command is refused: {refusal}")),
        }
    }

    /// What should stand in the place of `event`, where that is something else.
    pub fn other(&mut self, event: &RunEvent) -> Option<String> {
        if let Some(why) = self.refused.take() {
            return Some(why);
        }
        let due = self.due.pop_front()?;
        (due != *event).then(|| crate::decisions::json(&due))
    }

    /// What the last command should have brought about and is not recorded.
    pub fn missing(&self) -> Option<String> {
        self.due.front().map(crate::decisions::json)
    }
}
