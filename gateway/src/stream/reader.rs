//! One reader: a position, a filter, and when it must end. Whoever lags reads on from the ledger and misses nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use xagent_domain::{ApiKeyId, Digest, Tenant};
use xagent_ledger::LedgerError;

use super::filter::Filter;
use super::item::Item;
use super::window::{Look, State};
use super::{Seat, Streams};
use crate::listen::Peer;
use crate::problem::{Problem, ProblemType};

/// How long to wait before the ledger is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why events cannot be read.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub reason: &'static str,
    pub detail: String,
}

/// What a reader is told.
pub enum Said {
    /// An event.
    Event(Arc<Item>),
    /// Nothing new; what it wants to see next is at this position or behind it.
    Heartbeat(u64),
    /// There is no more on this connection.
    End(End),
}

/// Why a stream ends, and where to go on.
#[derive(Clone, Debug, serde::Serialize)]
pub struct End {
    pub reason: &'static str,
    pub detail: String,
    pub from: u64,
}

/// Who reads, and until when that is believed.
pub struct Holder {
    /// The api key; none where it is a token.
    pub key: Option<ApiKeyId>,
    pub tenant: Tenant,
    pub until: Instant,
}

/// A reader.
pub struct Reader {
    streams: Streams,
    filter: Filter,
    after: u64,
    hand: VecDeque<Arc<Item>>,
    state: watch::Receiver<State>,
    holder: Holder,
    /// How many revocations there had been when its key was good last.
    revocations: u64,
    law: Option<Digest>,
    peer: Peer,
    told: u64,
    ended: Option<&'static str>,
    _seat: Seat,
}

impl Reader {
    /// Of what is behind position `after`, until its holder's credential is good no more.
    pub(super) fn new(seat: Seat, filter: Filter, after: u64, holder: Holder, peer: Peer) -> Self {
        let streams = seat.0.clone();
        let (state, law) = (streams.0.window.state(), streams.law());
        tracing::debug!(position = after, "stream.opened");
        Self {
            streams,
            filter,
            after,
            hand: VecDeque::new(),
            state,
            holder,
            // Its key was good before it had a place here: it is looked at once more.
            revocations: u64::MAX,
            law,
            peer,
            told: 0,
            ended: None,
            _seat: seat,
        }
    }

    /// The position of the last event it has seen, wanted or not.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// What comes next. Whoever gives up waiting calls again and misses nothing.
    pub async fn next(&mut self) -> Said {
        let beat = Instant::now() + self.streams.0.options.heartbeat;
        loop {
            if let Some((reason, detail)) = self.over() {
                return self.end(Trouble { reason, detail });
            }
            if let Some(trouble) = self.key_trouble().await {
                return self.end(trouble);
            }
            if Instant::now() >= beat {
                return Said::Heartbeat(self.after + 1);
            }
            match self.step(beat).await {
                Ok(Some(item)) => {
                    self.told += 1;
                    return Said::Event(item);
                }
                Ok(None) => {}
                Err(trouble) if trouble.is_passing() => tokio::time::sleep(PAUSE).await,
                Err(trouble) => return self.end(trouble),
            }
        }
    }

    /// One event closer, or some waiting done; the event where it is wanted.
    async fn step(&mut self, beat: Instant) -> Result<Option<Arc<Item>>, Trouble> {
        if let Some(item) = self.hand.front().cloned() {
            let wanted = self.filter.passes(&item, self.streams.ledger()).await?;
            self.hand.pop_front();
            self.after = item.position;
            return Ok(wanted.then_some(item));
        }
        // Others must get their turn while this one reads past what it does not want.
        tokio::task::yield_now().await;
        match self.streams.0.window.look(self.after) {
            Look::Items(items) => self.hand = items,
            Look::Past => self.hand = self.streams.0.shelf.after(self.after).await?,
            Look::Nothing => self.wait(beat).await?,
        }
        Ok(None)
    }

    async fn wait(&mut self, beat: Instant) -> Result<(), Trouble> {
        let (after, stop) = (self.after, self.streams.0.stop.clone());
        let grown = async {
            let state = self.state.wait_for(|state| state.head > after || state.trouble.is_some()).await;
            state.ok().and_then(|state| state.trouble.clone().filter(|_| state.head <= after))
        };
        tokio::select! {
            trouble = grown => trouble.map_or(Ok(()), Err),
            () = tokio::time::sleep_until(beat.min(self.holder.until)) => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Looks whether the key is good still, where something was revoked since it was looked at last.
    async fn key_trouble(&mut self) -> Option<Trouble> {
        let key = self.holder.key?;
        let revocations = self.streams.0.revocations.load(Ordering::Acquire);
        if revocations == self.revocations {
            return None;
        }
        self.revocations = revocations;
        let (reason, detail) = match self.streams.0.commands.key_is_good(&self.holder.tenant, key).await {
            Ok(true) => return None,
            Ok(false) => ("key_revoked", "the api key is good no more; connect with another one and go on"),
            Err(_) => ("key_unverified", "the api key cannot be checked right now; connect again and go on"),
        };
        Some(Trouble { reason, detail: detail.to_owned() })
    }

    fn over(&self) -> Option<(&'static str, String)> {
        let said = |reason, detail: &str| Some((reason, detail.to_owned()));
        if self.streams.0.stop.is_cancelled() {
            return said("server_stopping", "the server is stopping; connect again and go on");
        }
        if Instant::now() >= self.holder.until {
            return said("token_expired", "the token has expired; connect again with a new one and go on");
        }
        if self.streams.law() != self.law {
            return said(
                "law_changed",
                "another policy bundle is in force; connect again, so that it decides, and go on",
            );
        }
        None
    }

    fn end(&mut self, Trouble { reason, detail }: Trouble) -> Said {
        self.ended = Some(reason);
        Said::End(End { reason, detail, from: self.after + 1 })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (position, told) = (self.after, self.told);
        match self.ended {
            None if self.peer.has_stalled() => {
                let stall_s = self.streams.0.options.stall.as_secs();
                tracing::warn!(reason = "stalled", stall_s, position, told, "stream.dropped");
            }
            ended => tracing::debug!(reason = ended.unwrap_or("gone"), position, told, "stream.ended"),
        }
    }
}

impl Trouble {
    /// A recorded event is not what it was.
    pub fn tampered(detail: String) -> Self {
        Self { reason: "tampered", detail }
    }

    /// It passes.
    pub fn away(detail: &str) -> Self {
        Self { reason: "unavailable", detail: detail.to_owned() }
    }

    fn is_passing(&self) -> bool {
        self.reason == "unavailable"
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        let reason = match &error {
            LedgerError::Unavailable { .. } => "unavailable",
            LedgerError::Archived { .. } => "archived",
            LedgerError::Tampered { .. } | LedgerError::Undecodable { .. } | LedgerError::Blob { .. } => "tampered",
            LedgerError::Conflict { .. }
            | LedgerError::KeyReused { .. }
            | LedgerError::Failed { .. }
            | LedgerError::Archive { .. } => "failed",
        };
        Self { reason, detail: error.to_string() }
    }
}

impl From<Trouble> for Problem {
    fn from(Trouble { reason, detail }: Trouble) -> Self {
        let kind = match reason {
            "unavailable" => ProblemType::Unavailable,
            "archived" => ProblemType::Archived,
            "tampered" => ProblemType::Tampered,
            _ => ProblemType::Internal,
        };
        Self::new(kind, detail)
    }
}
