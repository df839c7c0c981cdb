//! What a run has used up, counted from its events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ArgumentRole, ArgumentUse};

/// Counts over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Bytes of arguments given and outputs got.
    pub bytes: u64,
    /// Money of started calls, in millionths of a unit.
    pub money_micros: i64,
    /// Tokens of planners, but for the consultation that has not yet led to a decision.
    pub tokens: u64,
    /// Tokens of that consultation.
    owed: u64,
}

impl Spent {
    /// Money of a call that starts.
    pub(super) fn pay(&mut self, values: &[ArgumentUse]) {
        let amounts = values.iter().filter(|value| value.role == Some(ArgumentRole::Amount));
        let sum: i64 = amounts.filter_map(|value| value.micros).fold(0, i64::saturating_add);
        self.money_micros = self.money_micros.saturating_add(sum).min(MOST);
    }

    /// Bytes of arguments or of an output.
    pub(super) fn carry(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes).min(MOST as u64);
    }

    /// Tokens of a consultation; they count once what it proposed is decided.
    pub(super) fn owe(&mut self, tokens: u64) {
        self.owed = self.owed.saturating_add(tokens).min(MOST as u64);
    }

    /// Counts what is owed.
    pub(super) fn settle(&mut self) {
        self.tokens = self.tokens.saturating_add(std::mem::take(&mut self.owed)).min(MOST as u64);
    }
}

/// Counters stop here: beyond it, other JSON readers would round.
const MOST: i64 = (1 << 53) - 1;
