//! The working memory of a model that plans: its turns, folded from events, bounded.

use std::collections::BTreeMap;

use rpds::RedBlackTreeMapSync;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CallStatus, Consultation, Proposal, StepResult};
use crate::Content;

/// Turns remembered at most.
const TURNS: usize = 64;
/// Bytes of remembered texts at most, but for those of the last turn.
const BYTES: usize = 256 * 1024;

/// What became of a call the planner asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is not over.
    Open,
    /// It was not fit to be proposed.
    Rejected(String),
    /// It was decided, and ended.
    Ended(StepResult),
}

/// A call the planner asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remembered {
    /// The step's name.
    pub label: String,
    /// Its place among the function calls of the reply, from 0.
    pub index: u32,
    /// What became of it.
    pub fate: Fate,
}

/// One consultation as the planner remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    /// Its reply; none where there was none that could be used.
    pub reply: Option<Content>,
    /// Why its reply could not be used.
    pub unusable: Option<String>,
    /// The calls it asked for.
    pub calls: Vec<Remembered>,
}

/// Counts over turns that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Turns.
    pub turns: u32,
    /// Calls that succeeded.
    pub succeeded: u32,
    /// Calls that were denied or refused.
    pub denied: u32,
    /// Other calls.
    pub others: u32,
}

/// The working memory of a planner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    #[schemars(with = "BTreeMap<String, Turn>")]
    turns: RedBlackTreeMapSync<u32, Turn>,
    forgotten: LeftOut,
    bytes: usize,
    unusable: u32,
}

impl Memory {
    /// The turns remembered, by step.
    pub fn turns(&self) -> impl DoubleEndedIterator<Item = (&u32, &Turn)> {
        self.turns.iter()
    }

    /// What is remembered of the turns before those.
    pub fn forgotten(&self) -> LeftOut {
        self.forgotten
    }

    /// Consultations in a row that led to nothing that could be proposed.
    pub fn unusable(&self) -> u32 {
        self.unusable
    }

    /// The calls of the last turn, in order.
    pub(super) fn last_calls(&self) -> &[Remembered] {
        self.turns.last().map_or(&[], |(_, turn)| &turn.calls)
    }

    pub(super) fn consulted(&mut self, consultation: &Consultation) {
        let Some(exchange) = &consultation.exchange else { return };
        let (calls, unusable) = match &consultation.proposal {
            Proposal::CallTools { calls } => (calls.as_slice(), None),
            Proposal::Unusable { reason } => (&[][..], Some(reason.clone())),
            Proposal::CallTool { .. } | Proposal::Achieved { .. } | Proposal::GiveUp { .. } => (&[][..], None),
        };
        let remembered =
            |call: &super::PlannedCall| Remembered { label: call.label.clone(), index: call.index, fate: Fate::Open };
        let reply = exchange.reply.clone().filter(|_| unusable.is_none());
        let turn = Turn { reply, unusable, calls: calls.iter().map(remembered).collect() };
        self.unusable = self.unusable.saturating_add(1);
        self.bytes += turn.bytes();
        self.turns.insert_mut(consultation.step, turn);
        self.forget();
    }

    /// Something the planner asked for was fit to be proposed, or changed the run's goals.
    pub(super) fn was_of_use(&mut self) {
        self.unusable = 0;
    }

    /// What became of a call of the last turn; any other is nobody's memory.
    pub(super) fn ended(&mut self, label: &str, fate: Fate) {
        let Some(step) = self.turns.last().map(|(step, _)| *step) else { return };
        let Some(turn) = self.turns.get_mut(&step) else { return };
        let Some(call) = turn.calls.iter_mut().find(|call| call.label == label && call.fate == Fate::Open) else {
            return;
        };
        self.bytes += fate.bytes();
        call.fate = fate;
        self.forget();
    }

    fn forget(&mut self) {
        while self.turns.size() > 1 && (self.turns.size() > TURNS || self.bytes > BYTES) {
            let Some((step, turn)) = self.turns.first().map(|(step, turn)| (*step, turn.clone())) else { return };
            self.turns.remove_mut(&step);
            self.bytes = self.bytes.saturating_sub(turn.bytes());
            self.forgotten.leave_out(&turn);
        }
    }
}

impl LeftOut {
    /// Counts a turn that is left out.
    pub(super) fn leave_out(&mut self, turn: &Turn) {
        self.turns += 1;
        for call in &turn.calls {
            match &call.fate {
                Fate::Ended(result) if result.status == CallStatus::Succeeded => self.succeeded += 1,
                Fate::Ended(result) if matches!(result.status, CallStatus::Denied | CallStatus::Refused) => {
                    self.denied += 1;
                }
                Fate::Ended(_) | Fate::Rejected(_) | Fate::Open => self.others += 1,
            }
        }
    }
}

impl Turn {
    fn bytes(&self) -> usize {
        let calls: usize = self.calls.iter().map(|call| call.fate.bytes()).sum();
        calls + inline(self.reply.as_ref()) + self.unusable.as_ref().map_or(0, String::len)
    }
}

impl Fate {
    fn bytes(&self) -> usize {
        match self {
            Self::Open => 0,
            Self::Rejected(reason) => reason.len(),
            Self::Ended(result) => inline(result.output.as_ref()),
        }
    }
}

fn inline(content: Option<&Content>) -> usize {
    content.and_then(|content| content.text.as_ref()).map_or(0, String::len)
}
