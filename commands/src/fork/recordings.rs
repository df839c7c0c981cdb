//! What a run has recorded of its calls: how each ended, and what the names in their URLs resolved to.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use xagent_domain::run::{Recording, Run, RunEvent, ToolOutcome};
use xagent_domain::{CallId, Digest, RunId, Tenant};
use xagent_ledger::Ledger;

use crate::tool::Resolving;
use crate::{CommandError, Resolver};

/// Events read at once.
const PAGE: u32 = 500;

/// The recorded ends of calls, by digest of the tool's registration and the canonical arguments, in order.
#[derive(Debug)]
pub(crate) struct Recordings {
    run: RunId,
    ends: HashMap<Digest, Vec<End>>,
    names: HashMap<String, BTreeSet<IpAddr>>,
    open: HashMap<CallId, Digest>,
}

/// How a call ended.
#[derive(Clone, Debug)]
struct End {
    sequence: u64,
    position: u64,
    outcome: ToolOutcome,
    duration_us: u64,
}

impl Recordings {
    /// Reads them from the ledger.
    pub(crate) async fn of(ledger: &Ledger, tenant: &Tenant, run: RunId) -> Result<Self, CommandError> {
        let mut recordings = Self { run, ends: HashMap::new(), names: HashMap::new(), open: HashMap::new() };
        let (id, mut after) = (run.to_string(), 0);
        loop {
            let page = ledger.committed::<Run>(tenant, &id, after, PAGE).await?;
            for event in &page {
                recordings.take((event.sequence(), event.position()), event.event().clone().itself());
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = last.sequence(),
                _ => return Ok(recordings),
            }
        }
    }

    fn take(&mut self, (sequence, position): (u64, u64), event: RunEvent) {
        match event {
            RunEvent::ToolCallProposed { call, arguments_digest, resources, .. } => {
                self.open.insert(call, arguments_digest);
                for url in resources.urls {
                    let addresses = url.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
                    self.names.entry(url.host).or_default().extend(addresses);
                }
            }
            RunEvent::ToolCallCompleted { call, outcome, duration_us } => {
                let Some(digest) = self.open.remove(&call) else { return };
                self.ends.entry(digest).or_default().push(End { sequence, position, outcome, duration_us });
            }
            _ => {}
        }
    }

    /// How such a call ended, and how long it took: the first one after the sequence `after`, or the last of all, where it is
    /// made more often here than it was there.
    pub(crate) fn end(&self, arguments_digest: &Digest, after: u64) -> Option<(ToolOutcome, u64)> {
        let ends = self.ends.get(arguments_digest)?;
        let end = ends.iter().find(|end| end.sequence > after).or_else(|| ends.last())?;
        let recording = Recording { run: self.run, sequence: end.sequence, position: end.position };
        Some((ToolOutcome { recording: Some(recording), ..end.outcome.clone() }, end.duration_us))
    }
}

/// Names resolve to what they resolved to then; what was never asked for has no address.
impl Resolver for Recordings {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        let addresses = self.names.get(host).map(|addresses| addresses.iter().copied().collect());
        Box::pin(std::future::ready(addresses.unwrap_or_default()))
    }
}
