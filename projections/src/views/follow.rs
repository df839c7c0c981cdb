//! The durable consumer that keeps the views: events come from JetStream, gaps and lost views from the ledger.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self};
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use xagent_domain::Recorded;
use xagent_ledger::{Lease, Led, Ledger, lead};

use super::apply::{Lifetime, Writer};
use super::{RunViews, ViewError};
use crate::relay::CloudEvent;
use crate::{Bus, followed, measured};

/// Events applied at once.
const BATCH: usize = 500;
/// How long an idle consumer waits before it looks whether the view is still there.
const IDLE: Duration = Duration::from_secs(1);

/// Keeps the short-term views. Runs in every process; one of them writes.
pub struct RunProjector {
    ledger: Ledger,
    bus: Bus,
    views: RunViews,
}

impl RunProjector {
    /// From `bus`, with `ledger` for what is missing there, into `views`.
    pub fn new(ledger: Ledger, bus: Bus, views: RunViews) -> Self {
        Self { ledger, bus, views }
    }

    /// Projects until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        lead(&self, &stop).await;
    }

    /// Applies a batch; what the stream skipped, or the view lost, comes from the ledger.
    async fn take(&self, writer: &mut Writer, position: u64, batch: &[jetstream::Message]) -> Result<u64, ViewError> {
        let events = batch.iter().filter_map(|message| Some((CloudEvent::recorded(&message.payload)?, message)));
        let (fresh, _spans): (Vec<_>, Vec<_>) = events
            .filter(|(event, _)| event.position > position)
            .map(|(event, message)| {
                let span = self.followed(&event, message);
                (event, span)
            })
            .unzip();
        let Some(last) = fresh.last() else { return Ok(position) };
        let without_gap = fresh.iter().zip(position + 1..).all(|(event, expected)| event.position == expected);
        let reached = if without_gap { writer.apply(position, &fresh).await? } else { position };
        let reached = if reached < last.position { writer.catch_up(last.position).await? } else { reached };
        measured::reached(Self::KEY, fresh.len(), last, self.ledger.now_us());
        Ok(reached)
    }

    /// The span of an event, until its batch is in the view.
    fn followed(&self, event: &Recorded, message: &jetstream::Message) -> Span {
        let traceparent = message.headers.as_ref().and_then(|headers| headers.get(followed::HEADER));
        let traceparent = traceparent.map_or("", |value| value.as_str());
        followed::viewed(Self::KEY, event, traceparent, self.ledger.now_us())
    }

    /// An idle consumer makes sure that it still leads and that nobody emptied Redis.
    async fn idle(&self, writer: &mut Writer, lease: &Lease, position: u64) -> Result<u64, ViewError> {
        if !lease.is_held().await {
            return Err(ViewError::Nats("the lease was lost".to_owned()));
        }
        if self.views.position().await? == position {
            return Ok(position);
        }
        writer.catch_up(position).await
    }
}

impl Led for RunProjector {
    const KEY: &'static str = "view/runs";
    type Error = ViewError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), ViewError> {
        let mut writer = Writer::new(self.views.clone(), self.ledger.clone(), Lifetime::Recorded);
        let mut position = writer.catch_up(self.ledger.head().await?.position).await?;
        measured::begins(Self::KEY, position);
        let stream = self.bus.stream().await.map_err(nats)?;
        let durable = "view-runs";
        let config = pull::Config {
            durable_name: Some(durable.to_owned()),
            description: Some("Keeps the short-term views in Redis".to_owned()),
            ack_policy: AckPolicy::All,
            deliver_policy: DeliverPolicy::All,
            ack_wait: Duration::from_secs(10),
            max_ack_pending: 10_000,
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(durable, config).await.map_err(nats)?;
        let mut messages = consumer.messages().await.map_err(nats)?;
        loop {
            let first = match tokio::time::timeout(IDLE, messages.next()).await {
                Ok(Some(message)) => message.map_err(nats)?,
                Ok(None) => return Err(ViewError::Nats("the consumer has ended".to_owned())),
                Err(_) => {
                    position = self.idle(&mut writer, lease, position).await?;
                    continue;
                }
            };
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Some(Some(message)) = messages.next().now_or_never()
            {
                batch.push(message.map_err(nats)?);
            }
            position = self.take(&mut writer, position, &batch).await?;
            if let Some(last) = batch.last() {
                last.ack().await.map_err(nats)?;
            }
            *failures = 0;
        }
    }
}

fn nats(error: impl std::fmt::Display) -> ViewError {
    ViewError::Nats(error.to_string())
}
