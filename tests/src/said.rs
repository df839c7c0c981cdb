//! What an appender says, a line of JSON each: what it is about to ask for, and what it was promised.

use serde::{Deserialize, Serialize};
use xagent_ledger::Receipt;

/// A line of an appender.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The command with this key is about to be appended for the first time.
    Trying(String),
    /// A command was acknowledged.
    Acknowledged(Acknowledged),
}

/// A command's key and what it was promised.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The key.
    pub key: String,
    /// The promise.
    pub receipt: Receipt,
    /// Whether it had been appended before.
    pub repeated: bool,
}
