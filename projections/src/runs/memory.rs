//! The working memory of runs that a model plans: its turns, apart from the rest of the run, for as long as it works.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xagent_domain::Tenant;
use xagent_domain::run::Memory;

use super::store::{Shelved, get};
use super::{RunView, RunViews, ViewError};

/// Bytes of a memory that is kept here; the ledger answers for a longer one.
const LARGEST: usize = 1024 * 1024;
/// A memory is forgotten when nothing has happened to its run for a day, and an hour after its run has ended.
const EXPIRY: Duration = Duration::from_secs(24 * 3600);
const EXPIRY_OF_ENDED: Duration = Duration::from_secs(3600);

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
        get(self, &key(tenant, run)).await
    }
}

pub(super) fn key(tenant: &Tenant, run: &str) -> String {
    format!("xagent:{tenant}:memory:{run}")
}

/// What is to be kept of a run's memory; nothing where it remembers nothing or too much.
pub(super) fn shelved(tenant: &Tenant, run: &str, view: Option<&RunView>) -> Result<Shelved, ViewError> {
    let key = key(tenant, run);
    let Some(view) = view.filter(|view| view.state.memory().turns().next().is_some()) else {
        return Ok(Shelved { key, text: String::new(), expiry: EXPIRY });
    };
    let RunView { sequence, position, updated_at_us, ref state } = *view;
    let expiry = if state.status().has_ended() { EXPIRY_OF_ENDED } else { EXPIRY };
    let text = serde_json::to_string(&MemoryView { sequence, position, updated_at_us, memory: state.memory().clone() })
        .map_err(|error| ViewError::Undecodable { key: key.clone(), detail: error.to_string() })?;
    let text = if text.len() > LARGEST { String::new() } else { text };
    Ok(Shelved { key, text, expiry })
}
