//! The working memory of runs that a model plans: its turns, apart from the rest of the run, for as long as it works.

use serde::{Deserialize, Serialize};
use xagent_domain::Tenant;
use xagent_domain::run::Memory;

use super::{RunView, RunViews, ViewError};

/// Bytes of a memory that is kept here; the ledger answers for a longer one.
const LARGEST: usize = 1024 * 1024;
/// A memory is forgotten when nothing has happened to its run for a day, and an hour after its run has ended.
const EXPIRY_MS: i64 = 24 * 3_600_000;
const EXPIRY_OF_ENDED_MS: i64 = 3_600_000;

/// A working memory as the view holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryView {
    /// Sequence of the last event in it.
    pub sequence: u64,
    /// Position of the last event in it.
    pub position: u64,
    /// When that was recorded, in microseconds since 1970.
    pub updated_at_us: i64,
    /// What is remembered.
    pub memory: Memory,
}

impl RunViews {
    /// The working memory of a run, if the view has it.
    pub async fn memory(&self, tenant: &Tenant, run: &str) -> Result<Option<MemoryView>, ViewError> {
        self.one(tenant, &format!("memory:{run}")).await
    }
}

/// How long a run's memory is kept behind its last event, in milliseconds.
pub(super) fn expiry_ms(view: &RunView) -> i64 {
    if view.state.status().has_ended() { EXPIRY_OF_ENDED_MS } else { EXPIRY_MS }
}

/// What is to be kept of a run's memory; nothing where it remembers nothing or too much.
pub(super) fn kept(view: &RunView) -> Option<String> {
    view.state.memory().turns().next()?;
    let RunView { sequence, position, updated_at_us, ref state } = *view;
    let kept = MemoryView { sequence, position, updated_at_us, memory: state.memory().clone() };
    serde_json::to_string(&kept).ok().filter(|text| text.len() <= LARGEST)
}
