//! The relay: one leader publishes every event in position order to JetStream.

mod cloud_event;

use std::time::Duration;

use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::message::PublishMessage;
use tokio_util::sync::CancellationToken;
use xagent_domain::Recorded;
use xagent_ledger::{Lease, Led, Ledger, LedgerError, lead};

pub use cloud_event::{CloudEvent, subject};

use crate::{Bus, followed, measured};

/// Events published before their acknowledgements are awaited.
const BATCH: u32 = 500;
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(5);
/// How often an idle relay looks at its lease and its stream.
const WATCH: Duration = Duration::from_secs(1);

/// Publishes events. Runs in every process; one of them leads.
pub struct Relay {
    ledger: Ledger,
    bus: Bus,
}

#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("NATS: {0}")]
    Nats(String),
    #[error("the stream ends at {stream}, past the ledger's end {ledger}: it holds another ledger's events")]
    Ahead { stream: u64, ledger: u64 },
    #[error("event {position} of the stream is not the ledger's: it holds another ledger's events")]
    Foreign { position: u64 },
    #[error("event {0} has no JSON form")]
    Encoding(u64),
}

impl Relay {
    /// From `ledger` to `bus`.
    pub fn new(ledger: Ledger, bus: Bus) -> Self {
        Self { ledger, bus }
    }

    /// Relays until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        lead(&self, &stop).await;
    }

    /// An idle relay notices that its stream was deleted or cut, and begins anew.
    async fn still_there(&self, position: u64) -> Result<(), RelayError> {
        let stream = self.bus.stream().await.map_err(nats)?;
        match stream.cached_info().state.last_sequence {
            last if last == position => Ok(()),
            last => Err(RelayError::Nats(format!("the stream ends at {last}, not at {position}"))),
        }
    }

    /// The last position in the stream, once it is certain that the stream is this ledger's.
    async fn end_of_stream(&self) -> Result<u64, RelayError> {
        let stream = self.bus.ensured_stream().await.map_err(nats)?;
        let state = &stream.cached_info().state;
        let (last, ledger) = (state.last_sequence, self.ledger.head().await?.position);
        if last > ledger {
            return Err(RelayError::Ahead { stream: last, ledger });
        }
        if last > 0 && state.messages > 0 {
            let message = stream.get_raw_message(last).await.map_err(nats)?;
            let ours = self.ledger.range(last - 1, 1).await?;
            let same = |event: &Recorded| CloudEvent::of(event).is_ok_and(|text| text.as_bytes() == message.payload);
            if !ours.first().is_some_and(same) {
                return Err(RelayError::Foreign { position: last });
            }
        }
        Ok(last)
    }

    /// Each publication names the sequence it must follow, so that a lost one stops those behind it.
    async fn publish(&self, events: &[Recorded]) -> Result<(), RelayError> {
        let mut acknowledgements = Vec::with_capacity(events.len());
        for event in events {
            let body = CloudEvent::of(event).map_err(|_| RelayError::Encoding(event.position))?;
            let message = PublishMessage::build()
                .payload(body.into())
                .message_id(event.position.to_string())
                .expected_last_sequence(event.position - 1)
                .header("content-type", "application/cloudevents+json");
            let (span, traceparent) = followed::relayed(event, self.ledger.now_us());
            let message = if traceparent.is_empty() { message } else { message.header(followed::HEADER, traceparent) };
            let sent = self.bus.context().send_publish(subject(event), message).await;
            acknowledgements.push((event.position, span, sent.map_err(|error: PublishError| nats(error))?));
        }
        // Each span ends when its event is acknowledged.
        for (position, _span, acknowledgement) in acknowledgements {
            let answer = tokio::time::timeout(ACKNOWLEDGEMENT, acknowledgement.into_future()).await;
            let answer = answer.map_err(|_| RelayError::Nats(format!("event {position} was not acknowledged")))?;
            let sequence = answer.map_err(nats)?.sequence;
            if sequence != position {
                return Err(RelayError::Foreign { position: sequence });
            }
        }
        Ok(())
    }
}

impl Led for Relay {
    const KEY: &'static str = "relay";
    type Error = RelayError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Publishes from where the stream ends, for as long as the lease is held.
    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), RelayError> {
        let begin = self.end_of_stream().await?;
        measured::begins("relay", begin);
        let mut events = self.ledger.subscribe(begin, BATCH);
        while lease.is_held().await {
            let position = events.position();
            let page = events.next_within(WATCH).await?;
            if page.is_empty() {
                self.still_there(position).await?;
                continue;
            }
            self.publish(&page).await?;
            if let Some(last) = page.last() {
                measured::reached("relay", page.len(), last, self.ledger.now_us());
            }
            *failures = 0;
        }
        Ok(())
    }
}

fn nats(error: impl std::fmt::Display) -> RelayError {
    RelayError::Nats(error.to_string())
}
