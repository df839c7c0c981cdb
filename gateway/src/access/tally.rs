//! The record of requests that are refused before the law is asked. Each is recorded before it is answered; equal ones of a
//! moment are one entry with a count, and the moments grow longer under a flood, so that whoever knocks a million times
//! writes a line a second and not a million lines.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use xagent_commands::Commands;
use xagent_domain::Tenant;
use xagent_domain::access::RefusedRequests;

use super::Why;

/// Refusals that wait to be recorded; more are sent away without being told why.
const WAITING: usize = 1024;
/// Refusals of a moment from which on the next one is longer.
const MANY: usize = 32;
/// The moments of a flood, and the shortest that is not none.
const LONGEST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(20);
/// Entries of one event at most: beyond it, what differs in kid, route or principal is counted together.
const ENTRIES: usize = 64;
/// What is written for what is counted together.
const ANY: &str = "*";

/// Where a request comes from, as far as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remote {
    Loopback,
    Private,
    Public,
}

/// A refused request.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Whose log it is in: of those nobody knows, that of the tenant `default`.
    pub tenant: Tenant,
    pub why: Why,
    pub credential: &'static str,
    pub kid: Option<String>,
    pub principal: Option<String>,
    pub method: String,
    pub route: String,
    pub remote: Remote,
    pub at_us: i64,
    pub trace_id: String,
}

/// A refusal that is not in the record, so that it must not be told as one that is.
#[derive(Debug)]
pub struct Unrecorded;

/// The way to the record. Cheap to clone.
#[derive(Clone)]
pub struct Tally {
    inbox: mpsc::Sender<(Refusal, oneshot::Sender<bool>)>,
    untold: Arc<AtomicU64>,
}

/// The other end.
pub struct Teller {
    inbox: mpsc::Receiver<(Refusal, oneshot::Sender<bool>)>,
    untold: Arc<AtomicU64>,
    commands: Commands,
    /// What could not be recorded yet.
    left: Counted,
}

type Counted = BTreeMap<Tenant, BTreeMap<Kind, RefusedRequests>>;

/// What makes refusals equal.
type Kind = (&'static str, &'static str, Option<String>, Option<String>, String, String, Remote);

impl Remote {
    pub fn of(address: IpAddr) -> Self {
        let (is_loopback, is_private) = match address.to_canonical() {
            IpAddr::V4(address) => (address.is_loopback(), address.is_private() || address.is_link_local()),
            IpAddr::V6(address) => {
                (address.is_loopback(), address.is_unique_local() || address.is_unicast_link_local())
            }
        };
        match (is_loopback, is_private) {
            (true, _) => Self::Loopback,
            (false, true) => Self::Private,
            (false, false) => Self::Public,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

impl Tally {
    /// A tally, and who writes it down.
    pub fn new(commands: Commands) -> (Self, Teller) {
        let (sender, inbox) = mpsc::channel(WAITING);
        let untold = Arc::<AtomicU64>::default();
        let teller = Teller { inbox, untold: untold.clone(), commands, left: Counted::new() };
        (Self { inbox: sender, untold }, teller)
    }

    /// Records a refusal; it is in the ledger when this returns.
    pub async fn record(&self, refusal: Refusal) -> Result<(), Unrecorded> {
        let (told, heard) = oneshot::channel();
        if self.inbox.try_send((refusal, told)).is_err() {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return Err(Unrecorded);
        }
        match heard.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Unrecorded),
        }
    }
}

impl Teller {
    /// Writes down what comes until `stop`, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut moment = Duration::ZERO;
        loop {
            let first = tokio::select! {
                first = self.inbox.recv() => first,
                () = stop.cancelled() => self.inbox.try_recv().ok(),
            };
            let Some(first) = first else { return };
            tokio::select! { () = tokio::time::sleep(moment) => {}, () = stop.cancelled() => {} }
            let mut batch = vec![first];
            while batch.len() < WAITING
                && let Ok(next) = self.inbox.try_recv()
            {
                batch.push(next);
            }
            moment = next_moment(moment, batch.len());
            self.write(batch).await;
        }
    }

    async fn write(&mut self, batch: Vec<(Refusal, oneshot::Sender<bool>)>) {
        let mut waiting = Vec::with_capacity(batch.len());
        let mut counted = std::mem::take(&mut self.left);
        let untold = self.untold.swap(0, Ordering::Relaxed);
        if let Some((refusal, _)) = batch.first().filter(|_| untold > 0) {
            // Those were sent away without an answer; how many there were is known all the same.
            let together = Refusal { kid: None, principal: None, tenant: Tenant::default_tenant(), ..refusal.clone() };
            add(&mut counted, Refusal { route: ANY.to_owned(), method: ANY.to_owned(), ..together }, untold);
        }
        for (refusal, told) in batch {
            waiting.push((refusal.tenant.clone(), told));
            add(&mut counted, refusal, 1);
        }
        let mut recorded = BTreeMap::new();
        for (tenant, kinds) in counted {
            let refused = kinds.values().cloned().collect();
            let done = self.commands.record_refused(&tenant, refused).await;
            if let Err(error) = &done {
                tracing::warn!(error = %error, "access.refusals.unrecorded");
                self.left.insert(tenant.clone(), kinds);
            }
            recorded.insert(tenant, done.is_ok());
        }
        for (tenant, told) in waiting {
            let _gone = told.send(recorded.get(&tenant).copied().unwrap_or(false));
        }
    }
}

/// Longer while many come, shorter again when few do.
fn next_moment(moment: Duration, came: usize) -> Duration {
    if came > MANY {
        return (moment * 2).clamp(SHORTEST, LONGEST);
    }
    if moment <= SHORTEST { Duration::ZERO } else { moment / 2 }
}

fn add(counted: &mut Counted, refusal: Refusal, count: u64) {
    let Refusal { tenant, why, credential, kid, principal, method, route, remote, at_us, trace_id } = refusal;
    let of_tenant = counted.entry(tenant).or_default();
    let mut kind: Kind = (why.code(), credential, kid, principal, method, route, remote);
    if of_tenant.len() >= ENTRIES && !of_tenant.contains_key(&kind) {
        let any = || ANY.to_owned();
        kind = (kind.0, kind.1, None, None, any(), any(), remote);
    }
    let (reason, credential, kid, principal, method, route, _) = kind.clone();
    let fresh = || RefusedRequests {
        reason: reason.to_owned(),
        credential: credential.to_owned(),
        kid,
        principal,
        method,
        route,
        remote: remote.as_str().to_owned(),
        count: 0,
        first_us: at_us,
        last_us: at_us,
        trace_id,
    };
    let entry = of_tenant.entry(kind).or_insert_with(fresh);
    entry.count += count;
    entry.first_us = entry.first_us.min(at_us);
    entry.last_us = entry.last_us.max(at_us);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kid: &str, at_us: i64) -> Refusal {
        Refusal {
            tenant: Tenant::default_tenant(),
            why: Why::UnknownKey,
            credential: "token",
            kid: Some(kid.to_owned()),
            principal: None,
            method: "GET".to_owned(),
            route: "/v1/runs".to_owned(),
            remote: Remote::Loopback,
            at_us,
            trace_id: at_us.to_string(),
        }
    }

    #[test]
    fn equal_refusals_are_one_entry_and_none_is_uncounted_however_they_differ() {
        let mut counted = Counted::new();
        for at in 0..3000 {
            add(&mut counted, refusal(&format!("key-{}", at % 1000), at), 1);
        }
        let entries: Vec<_> = counted[&Tenant::default_tenant()].values().collect();
        assert!(entries.len() <= ENTRIES + 1);
        assert_eq!(entries.iter().map(|entry| entry.count).sum::<u64>(), 3000);
        let first = entries.iter().find(|entry| entry.kid.as_deref() == Some("key-0")).unwrap();
        assert_eq!((first.count, first.first_us, first.last_us, first.trace_id.as_str()), (3, 0, 2000, "0"));
        let together = entries.iter().find(|entry| entry.kid.is_none()).unwrap();
        assert_eq!((together.reason.as_str(), together.route.as_str()), ("unknown_key", ANY));
    }

    #[test]
    fn the_moments_of_a_flood_grow_to_a_second_and_shrink_to_nothing() {
        let grown = (0..20).fold(Duration::ZERO, |moment, _| next_moment(moment, 1000));
        assert_eq!(grown, LONGEST);
        let quiet = (0..20).fold(grown, |moment, _| next_moment(moment, 1));
        assert_eq!(quiet, Duration::ZERO);
    }

    #[test]
    fn an_address_is_recorded_as_what_kind_it_is() {
        for (text, kind) in [
            ("127.0.0.1", Remote::Loopback),
            ("::ffff:127.0.0.1", Remote::Loopback),
            ("10.1.2.3", Remote::Private),
            ("fd00::1", Remote::Private),
            ("93.184.216.34", Remote::Public),
        ] {
            assert_eq!(Remote::of(text.parse().unwrap()), kind, "{text}");
        }
    }
}
