//! Appending: commands of all tasks meet in one appender, which commits them in batches; each command whole, or not at all.

mod appender;
mod batch;
mod columns;
mod herald;
#[cfg(test)]
mod laws;
mod link;
mod pace;
mod queue;
mod recover;
mod statement;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use xagent_domain::{Blob, CanonicalJson, Decider, Digest, Event, Metadata, Placeless, Tenant};
use xagent_tree::LeafSeed;

pub(crate) use appender::start;
pub(crate) use batch::grow;
pub(crate) use queue::Queue;

use crate::{CommandKey, Committed, Ledger, LedgerError, Receipt, measured};

pub(crate) const OPERATION: &str = "append";

/// The sequence a stream must be at for an append to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Exactly this; 0 for a new stream.
    Exactly(u64),
    /// Whatever it is at: for logs, whose entries do not depend on each other.
    Any,
}

/// A command's events on their way into the ledger.
#[derive(Clone, Debug)]
pub struct Append<E> {
    /// Whose.
    pub tenant: Tenant,
    /// The stream.
    pub aggregate_id: String,
    /// Where the stream must be.
    pub expected: Expected,
    /// The events, in order.
    pub events: Vec<E>,
    /// Content they refer to.
    pub blobs: Vec<Blob>,
    /// Who caused them.
    pub metadata: Metadata,
    /// What makes a repetition of the command known.
    pub command: Option<CommandKey>,
}

/// An append that went through.
#[derive(Debug)]
pub struct Appended<E> {
    /// What is promised.
    pub receipt: Receipt,
    /// The events; empty where the command was a repetition.
    pub events: Vec<Committed<E>>,
    /// Whether the same command had been appended before.
    pub repeated: bool,
}

/// A command in the queue, written out.
pub(crate) struct Pending {
    pub tenant: Tenant,
    pub stream: Stream,
    pub expected: Expected,
    pub events: Vec<Unplaced>,
    /// Canonical JSON.
    pub metadata: String,
    pub blobs: Vec<Blob>,
    pub command: Option<CommandKey>,
    /// About how many bytes it has.
    pub size: usize,
    /// When it was queued.
    pub since: Instant,
    pub answer: oneshot::Sender<Result<Answer, LedgerError>>,
    /// Room in the queue, given back when the command leaves it.
    pub _room: tokio::sync::OwnedSemaphorePermit,
}

/// An event without its place.
pub(crate) struct Unplaced {
    pub event_type: &'static str,
    pub event_version: &'static str,
    /// Canonical JSON.
    pub payload: String,
    pub seed: LeafSeed,
}

/// What became of a command.
pub(crate) enum Answer {
    /// It is in.
    Placed(Receipt),
    /// Its key was used before.
    KeyKnown,
}

impl Ledger {
    /// Appends the events of one command.
    pub async fn append<D: Decider>(&self, append: Append<D::Event>) -> Result<Appended<D::Event>, LedgerError> {
        let Append { tenant, aggregate_id, expected, events, blobs, metadata, command } = append;
        if events.is_empty() {
            return Err(failed("a command brings about at least one event"));
        }
        let (stream, metadata): (Stream, _) = ((D::TYPE, aggregate_id.into()), canonical(&metadata)?);
        let unplaced = |event| unplaced(event, &tenant, &stream, &metadata);
        let unplaced = events.iter().map(unplaced).collect::<Result<Vec<_>, _>>()?;
        let size = size(&unplaced, &blobs);
        let room = self.0.queue.room(size)?;
        let (answer, answered) = oneshot::channel();
        let (key, of) = (command.clone(), tenant.clone());
        let since = Instant::now();
        let pending = Pending {
            tenant,
            stream,
            expected,
            events: unplaced,
            metadata,
            blobs,
            command,
            size,
            since,
            answer,
            _room: room,
        };
        self.0.queue.send(pending)?;
        let patience = self.0.options.operation_timeout;
        let answered = tokio::time::timeout(patience, answered).await.map_err(|_| late())?.map_err(|_| late())?;
        let receipt = match answered {
            Ok(Answer::Placed(receipt)) => receipt,
            Ok(Answer::KeyKnown) => return self.repeated(&of, key.as_ref()).await?.ok_or_else(late),
            // The stream may be elsewhere just because this very command is in: that is a repetition, not a conflict.
            Err(conflict @ LedgerError::Conflict { .. }) => {
                return self.repeated(&of, key.as_ref()).await?.ok_or(conflict);
            }
            Err(error) => {
                if error.is_out_of_range() {
                    self.0.ranges.lacking();
                }
                return Err(error);
            }
        };
        self.0.ranges.reached(receipt.last_position);
        let first = (receipt.sequence + 1).saturating_sub(events.len() as u64);
        let places = (receipt.first_position..).zip(first..);
        let events = events.into_iter().zip(places);
        let events = events.map(|(event, (position, sequence))| Committed::new(event, position, sequence));
        Ok(Appended { events: events.collect(), receipt, repeated: false })
    }

    /// What a command with this key was promised before, if it was.
    async fn repeated<E>(&self, tenant: &Tenant, key: Option<&CommandKey>) -> Result<Option<Appended<E>>, LedgerError> {
        let Some(key) = key else { return Ok(None) };
        let receipt = self.receipt(tenant, key).await?;
        Ok(receipt.map(|receipt| Appended { receipt, events: Vec::new(), repeated: true }))
    }
}

fn late() -> LedgerError {
    LedgerError::Unavailable { operation: OPERATION, detail: "no answer in time".to_owned() }
}

fn unplaced<E: Event>(
    event: &E,
    tenant: &Tenant,
    (aggregate_type, aggregate_id): &Stream,
    metadata: &str,
) -> Result<Unplaced, LedgerError> {
    let (event_type, event_version, payload) = (event.event_type(), event.event_version(), canonical(event)?);
    let placeless =
        Placeless { tenant, aggregate_type, aggregate_id, event_type, event_version, payload: &payload, metadata };
    let seed = LeafSeed::new(&placeless).map_err(failed)?;
    Ok(Unplaced { event_type, event_version, payload, seed })
}

fn canonical(value: &impl serde::Serialize) -> Result<String, LedgerError> {
    CanonicalJson::of(value).map(CanonicalJson::into_string).map_err(failed)
}

fn failed(detail: impl ToString) -> LedgerError {
    LedgerError::Failed { operation: OPERATION, detail: detail.to_string() }
}

fn size(events: &[Unplaced], blobs: &[Blob]) -> usize {
    events.iter().map(|event| event.payload.len() + 512).sum::<usize>()
        + blobs.iter().map(|b| b.text.len()).sum::<usize>()
}

/// Raises a watched position; tells whether it rose.
pub(crate) fn raise(last: &mut u64, to: u64) -> bool {
    let rises = to > *last;
    *last = to.max(*last);
    measured::position(*last);
    rises
}

/// Where the ledger is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ground {
    pub position: u64,
    pub recorded_at_us: i64,
    pub frontier: xagent_tree::Frontier,
}

pub(crate) type Inbox = mpsc::Receiver<Pending>;

/// A stream of the ledger: type and id of its aggregate.
pub(crate) type Stream = (&'static str, Arc<str>);

/// A digest as it is bound to a statement.
pub(crate) fn bytes(digest: &Digest) -> &[u8] {
    digest.as_bytes().as_slice()
}
