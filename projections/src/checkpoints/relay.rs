//! Checkpoints to NATS: one leader publishes each stored checkpoint, in order, to a JetStream stream of their own.
//! NATS away holds up nothing: it goes on from where the stream ends.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Stream;
use tokio_util::sync::CancellationToken;
use xagent_ledger::{Lease, Led, Ledger, LedgerError, StoredCheckpoint, lead};

use crate::Bus;
use crate::bus::CHECKPOINTS_SUBJECT;

const EVERY: Duration = Duration::from_secs(1);
/// Checkpoints published before their acknowledgements are awaited.
const BATCH: u32 = 500;
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(5);
/// The header that names the key of a checkpoint.
const VERIFIER: &str = "Xagent-Verifier";
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Publishes checkpoints. Runs in every process; one of them leads.
pub struct CheckpointRelay {
    ledger: Ledger,
    bus: Bus,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointRelayError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("NATS: {0}")]
    Nats(String),
    #[error(
        "the stream ends at a tree of {stream} events, past the latest checkpoint's {ledger}: it holds another ledger's"
    )]
    Ahead { stream: u64, ledger: u64 },
}

/// Where the stream ends.
struct End {
    /// Sequence of its last message.
    sequence: u64,
    /// Size of the last tree.
    size: u64,
}

impl CheckpointRelay {
    /// From `ledger` to `bus`.
    pub fn new(ledger: Ledger, bus: Bus) -> Self {
        Self { ledger, bus }
    }

    /// Publishes until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        lead(&self, &stop).await;
    }

    /// A stream without messages begins with the latest checkpoint: it vouches for all before it.
    async fn end_of_stream(&self) -> Result<End, CheckpointRelayError> {
        let stream = self.bus.ensured_checkpoints().await.map_err(nats)?;
        let state = &stream.cached_info().state;
        let (sequence, latest) = (state.last_sequence, self.latest_size().await?);
        if state.messages == 0 {
            return Ok(End { sequence, size: latest.saturating_sub(1) });
        }
        let size = size_of_last(&stream, sequence).await?;
        match size > latest {
            true => Err(CheckpointRelayError::Ahead { stream: size, ledger: latest }),
            false => Ok(End { sequence, size }),
        }
    }

    async fn latest_size(&self) -> Result<u64, LedgerError> {
        Ok(self.ledger.latest_checkpoint().await?.map_or(0, |checkpoint| checkpoint.size))
    }

    /// Each publication names the sequence it must follow, so that two leaders cannot mix theirs.
    async fn publish(&self, end: &mut End, page: Vec<StoredCheckpoint>) -> Result<(), CheckpointRelayError> {
        let mut acknowledgements = Vec::with_capacity(page.len());
        for (checkpoint, follows) in page.into_iter().zip(end.sequence..) {
            let message = PublishMessage::build()
                .message_id(checkpoint.size.to_string())
                .expected_last_sequence(follows)
                .header("content-type", "text/plain; charset=utf-8")
                .header(VERIFIER, checkpoint.verifier.as_str())
                .payload(checkpoint.note.into());
            let sent = self.bus.context().send_publish(CHECKPOINTS_SUBJECT, message).await.map_err(nats)?;
            acknowledgements.push((checkpoint.size, sent));
        }
        for (size, acknowledgement) in acknowledgements {
            let answer = tokio::time::timeout(ACKNOWLEDGEMENT, acknowledgement.into_future()).await;
            let late = |_| CheckpointRelayError::Nats(format!("the checkpoint of size {size} was not acknowledged"));
            let sequence = answer.map_err(late)?.map_err(nats)?.sequence;
            *end = End { sequence, size };
        }
        Ok(())
    }
}

/// Its size is its message id.
async fn size_of_last(stream: &Stream, sequence: u64) -> Result<u64, CheckpointRelayError> {
    let last = stream.get_raw_message(sequence).await.map_err(nats)?;
    let size = last.headers.get(MESSAGE_ID).and_then(|id| id.as_str().parse().ok());
    size.ok_or_else(|| CheckpointRelayError::Nats(format!("message {sequence} of the stream is no checkpoint")))
}

impl Led for CheckpointRelay {
    const KEY: &'static str = "checkpoint-relay";
    type Error = CheckpointRelayError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), CheckpointRelayError> {
        let mut end = self.end_of_stream().await?;
        let mut second = tokio::time::interval(EVERY);
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while lease.is_held().await {
            let page = self.ledger.checkpoints_after(end.size, BATCH).await?;
            let more = page.len() == BATCH as usize;
            self.publish(&mut end, page).await?;
            *failures = 0;
            if !more {
                second.tick().await;
            }
        }
        Ok(())
    }
}

fn nats(error: impl std::fmt::Display) -> CheckpointRelayError {
    CheckpointRelayError::Nats(error.to_string())
}
