//! The JetStream stream in which work waits for workers: one message per run, under a subject of its own, so that an offer
//! takes the place of an earlier one. A work queue: a message is gone once it is done with.
//!
//! It is a view. A message that is not kept is given to another worker; one that is lost is offered again from the ledger.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{self, AckKind};
use futures::StreamExt;

use crate::Bus;

/// The stream of work.
pub const WORK: &str = "XAGENT_WORK";
/// Work is under `xagent.work.run.LANE.RUN`; a lane is tokens of its own.
const RUNS: &str = "xagent.work.run";
/// The ledger's position up to which work was offered.
const MARK: &str = "xagent.work.mark";
/// How long work is kept from others after a worker was last heard of.
const ACK_WAIT: Duration = Duration::from_secs(3);
/// Work of one lane taken at once, over all workers, where nothing else is said.
const TAKEN_AT_ONCE: i64 = 50_000;
/// A lane of which so much is taken as may be answers after this long, and not at once.
const FULL: Duration = Duration::from_millis(50);
/// Consumers of lanes that nobody asks for are forgotten.
const INACTIVE: Duration = Duration::from_secs(24 * 3600);
/// Messages published before their acknowledgements are awaited.
const BATCH: usize = 500;
const PATIENCE: Duration = Duration::from_secs(3);

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// Its line: tokens of a subject.
    pub lane: String,
    /// What tells it from others: a token of a subject.
    pub key: String,
    /// What it is, for whoever takes it.
    pub body: Vec<u8>,
}

/// Work that was taken.
pub struct WorkTicket(jetstream::Message);

/// Work that was taken, as it was offered.
pub struct TakenWork {
    /// What it is.
    pub body: Vec<u8>,
    /// What it is kept and done with by.
    pub ticket: WorkTicket,
    /// How often it was taken since it was offered, this time included.
    pub deliveries: u64,
    /// When it was offered, in microseconds since 1970, by the clock of NATS.
    pub offered_us: i64,
}

/// Why work could not be offered or taken.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {detail}")]
pub struct WorkError {
    operation: &'static str,
    detail: String,
}

/// Where work waits.
pub struct WorkStream {
    bus: Bus,
    consumers: Mutex<HashMap<String, PullConsumer>>,
    heard: tokio::sync::Mutex<Option<Subscriber>>,
}

fn failed<E: std::fmt::Display>(operation: &'static str) -> impl Fn(E) -> WorkError {
    move |error| WorkError { operation, detail: error.to_string() }
}

async fn within<T, E: std::fmt::Display>(
    operation: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, WorkError> {
    let late = || WorkError { operation, detail: format!("no answer in {} s", PATIENCE.as_secs()) };
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| late())?.map_err(failed(operation))
}

impl WorkStream {
    /// Over a connection.
    pub fn new(bus: Bus) -> Self {
        Self { bus, consumers: Mutex::default(), heard: tokio::sync::Mutex::default() }
    }

    /// Whether NATS can be talked to now.
    pub fn is_up(&self) -> bool {
        self.bus.is_connected()
    }

    /// Offers work, in the place of what was offered under the same key; with `missing`, only where there is none.
    pub async fn offer(&self, items: &[WorkItem], missing: bool) -> Result<(), WorkError> {
        const OPERATION: &str = "offer work";
        self.must_be_up(OPERATION)?;
        for items in items.chunks(BATCH) {
            let mut acknowledgements = Vec::with_capacity(items.len());
            for item in items {
                let message = PublishMessage::build().payload(item.body.clone().into());
                let message = if missing { message.expected_last_subject_sequence(0) } else { message };
                let subject = format!("{RUNS}.{}.{}", item.lane, item.key);
                acknowledgements.push(within(OPERATION, self.bus.context().send_publish(subject, message)).await?);
            }
            for acknowledgement in acknowledgements {
                let answer = tokio::time::timeout(PATIENCE, acknowledgement.into_future()).await;
                match answer.map_err(|_| failed(OPERATION)("it was not acknowledged"))? {
                    Err(error) if missing && error.kind() == PublishErrorKind::WrongLastSequence => {}
                    answer => drop(answer.map_err(failed(OPERATION))?),
                }
            }
        }
        Ok(())
    }

    /// Takes the first work of a lane, if any waits; with `places`, at most so much of the lane is taken at a time.
    pub async fn take(&self, lane: &str, places: Option<u32>) -> Result<Option<TakenWork>, WorkError> {
        let taken = self.take_one(lane, places).await;
        if taken.is_err() {
            self.consumers().remove(lane);
        }
        taken
    }

    async fn take_one(&self, lane: &str, places: Option<u32>) -> Result<Option<TakenWork>, WorkError> {
        const OPERATION: &str = "take work";
        self.must_be_up(OPERATION)?;
        let consumer = self.consumer(lane, places).await?;
        let fetch = consumer.fetch().max_messages(1);
        let fetch = if places.is_some() { fetch.expires(FULL) } else { fetch };
        let mut batch = within(OPERATION, fetch.messages()).await?;
        let next = tokio::time::timeout(PATIENCE, batch.next()).await;
        let next = next.map_err(|_| failed(OPERATION)("no answer in time"))?;
        let Some(message) = next.transpose().map_err(failed(OPERATION))? else { return Ok(None) };
        let (deliveries, offered_us) = {
            let info = message.info().map_err(failed(OPERATION))?;
            let nanos = info.published.unix_timestamp_nanos() / 1000;
            (u64::try_from(info.delivered).unwrap_or(1), i64::try_from(nanos).unwrap_or(0))
        };
        Ok(Some(TakenWork { body: message.payload.to_vec(), ticket: WorkTicket(message), deliveries, offered_us }))
    }

    /// Keeps work from others for some more seconds.
    pub async fn keep(&self, ticket: &WorkTicket) {
        self.tell(ticket, AckKind::Progress).await;
    }

    /// Removes work, unless it was offered anew meanwhile.
    pub async fn done(&self, ticket: &WorkTicket) {
        self.tell(ticket, AckKind::Ack).await;
    }

    /// What is not heard is as if the worker were gone: others look at the work.
    async fn tell(&self, ticket: &WorkTicket, kind: AckKind) {
        let told = tokio::time::timeout(PATIENCE, ticket.0.ack_with(kind)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!("work.not_told");
        }
    }

    /// The position that was marked last; none in a new stream.
    pub async fn mark(&self) -> Result<Option<u64>, WorkError> {
        const OPERATION: &str = "read the mark";
        self.must_be_up(OPERATION)?;
        let stream = within(OPERATION, self.stream()).await?;
        let found = tokio::time::timeout(PATIENCE, stream.get_last_raw_message_by_subject(MARK)).await;
        match found.map_err(|_| failed(OPERATION)("no answer in time"))? {
            Ok(message) => Ok(std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok())),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(failed(OPERATION)(error)),
        }
    }

    /// Marks the position up to which work was offered.
    pub async fn set_mark(&self, position: u64) -> Result<(), WorkError> {
        const OPERATION: &str = "set the mark";
        let message = PublishMessage::build().payload(position.to_string().into());
        let sent = within(OPERATION, self.bus.context().send_publish(MARK, message)).await?;
        within(OPERATION, sent.into_future()).await.map(drop)
    }

    /// The body of the next work that is offered to anybody, whoever gets it. It may miss some.
    pub async fn heard(&self) -> Result<Vec<u8>, WorkError> {
        const OPERATION: &str = "hear of work";
        let mut heard = self.heard.lock().await;
        if heard.is_none() {
            *heard = Some(within(OPERATION, self.bus.client().subscribe(format!("{RUNS}.>"))).await?);
        }
        let message = match heard.as_mut() {
            Some(subscriber) => subscriber.next().await,
            None => None,
        };
        if message.is_none() {
            *heard = None;
        }
        Ok(message.ok_or_else(|| failed(OPERATION)("the subscription has ended"))?.payload.to_vec())
    }

    fn must_be_up(&self, operation: &'static str) -> Result<(), WorkError> {
        if self.is_up() { Ok(()) } else { Err(failed(operation)("NATS is away")) }
    }

    /// The stream, created where it is missing.
    async fn stream(&self) -> Result<Stream, async_nats::jetstream::context::CreateStreamError> {
        let config = Config {
            name: WORK.to_owned(),
            subjects: vec!["xagent.work.>".to_owned()],
            description: Some("Runs that wait for a worker, each once; a view of the ledger".to_owned()),
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::Old,
            max_messages_per_subject: 1,
            storage: StorageType::File,
            ..Config::default()
        };
        self.bus.context().get_or_create_stream(config).await
    }

    /// The consumer of a lane: each message is acknowledged for itself, and redelivered where that is not done in time.
    async fn consumer(&self, lane: &str, places: Option<u32>) -> Result<PullConsumer, WorkError> {
        const OPERATION: &str = "find the consumer of a lane";
        if let Some(consumer) = self.consumers().get(lane) {
            return Ok(consumer.clone());
        }
        let name = format!("lane-{}", lane.replace('.', "_"));
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: format!("{RUNS}.{lane}.*"),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: places.map_or(TAKEN_AT_ONCE, i64::from),
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        let stream = within(OPERATION, self.stream()).await?;
        let consumer: PullConsumer = within(OPERATION, stream.create_consumer(config)).await?;
        self.consumers().insert(lane.to_owned(), consumer.clone());
        Ok(consumer)
    }

    fn consumers(&self) -> std::sync::MutexGuard<'_, HashMap<String, PullConsumer>> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
