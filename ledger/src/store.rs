//! The cqrs-es port: any decider of ours as a `cqrs_es::Aggregate`, and this ledger as its `EventStore`.

use std::collections::HashMap;
use std::marker::PhantomData;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, DomainEvent, EventEnvelope, EventStore};
use serde::{Deserialize, Serialize};
use xagent_domain::{Decider, Event, Metadata, Tenant};

use crate::{Append, Committed, Expected, Ledger, LedgerError};

/// An event as cqrs-es wants it. Written exactly as the event itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent, bound = "E: Event")]
pub struct Fact<E>(pub E);

impl<E: Event> DomainEvent for Fact<E> {
    fn event_type(&self) -> String {
        self.0.event_type().to_owned()
    }

    fn event_version(&self) -> String {
        self.0.event_version().to_owned()
    }
}

/// A decider as cqrs-es wants it. Written exactly as the state itself.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent, bound = "D: Decider")]
pub struct Folded<D>(pub D);

impl<D> Aggregate for Folded<D>
where
    D: Decider,
    D::Command: Send,
{
    const TYPE: &'static str = D::TYPE;
    type Command = D::Command;
    type Event = Fact<D::Event>;
    type Error = D::Refusal;
    type Services = ();

    async fn handle(&mut self, command: D::Command, (): &(), sink: &EventSink<Self>) -> Result<(), D::Refusal> {
        for event in self.0.decide(&command)? {
            sink.write(Fact(event), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.0.evolve(&event.0);
    }
}

/// The ledger as the event store of one kind of aggregate of one tenant.
pub struct CqrsStore<D> {
    ledger: Ledger,
    tenant: Tenant,
    decider: PhantomData<fn() -> D>,
}

impl<D> CqrsStore<D> {
    /// Over `ledger`, for `tenant`.
    pub fn new(ledger: Ledger, tenant: Tenant) -> Self {
        Self { ledger, tenant, decider: PhantomData }
    }
}

/// An aggregate with the place its events were decided at.
pub struct FoldedContext<D> {
    aggregate_id: String,
    state: Folded<D>,
    /// The state without what is decided on it: an event sink applies events before they are committed.
    before: D,
    sequence: u64,
}

impl<D> AggregateContext<Folded<D>> for FoldedContext<D>
where
    D: Decider,
    D::Command: Send,
{
    fn aggregate(&mut self) -> &mut Folded<D> {
        &mut self.state
    }
}

impl<D> EventStore<Folded<D>> for CqrsStore<D>
where
    D: Decider,
    D::Command: Send,
{
    type AC = FoldedContext<D>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Folded<D>>>, AggregateError<D::Refusal>> {
        let mut envelopes = Vec::new();
        loop {
            let after = envelopes.len() as u64;
            let page = self.ledger.stream(&self.tenant, D::TYPE, aggregate_id, after, 500).await.map_err(failed)?;
            for (recorded, sequence) in page.iter().zip(after + 1..) {
                let event = crate::read::verified(recorded, sequence).map_err(failed)?;
                let metadata = serde_json::from_str(&recorded.metadata).map_err(deserialisation)?;
                envelopes.push(envelope(aggregate_id, &event, metadata));
            }
            if page.len() < 500 {
                return Ok(envelopes);
            }
        }
    }

    /// As the ledger has it now: what this process knows, with the events since. Stock callers decide once, so that a state
    /// that others have moved on from would be refused commands for wrong reasons.
    async fn load_aggregate(&self, aggregate_id: &str) -> Result<FoldedContext<D>, AggregateError<D::Refusal>> {
        let loaded = self.ledger.load::<D>(&self.tenant, aggregate_id).await.map_err(failed)?;
        let aggregate_id = aggregate_id.to_owned();
        let (before, sequence) = (loaded.state.clone(), loaded.sequence);
        Ok(FoldedContext { aggregate_id, state: Folded(loaded.state), before, sequence })
    }

    async fn commit(
        &self,
        events: Vec<Fact<D::Event>>,
        context: FoldedContext<D>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Folded<D>>>, AggregateError<D::Refusal>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let known = |name: &str| metadata.get(name).cloned().unwrap_or_default();
        let appended = self
            .ledger
            .append::<D>(Append {
                tenant: self.tenant.clone(),
                aggregate_id: context.aggregate_id.clone(),
                expected: Expected::Exactly(context.sequence),
                events: events.into_iter().map(|fact| fact.0).collect(),
                blobs: Vec::new(),
                metadata: Metadata {
                    actor: known("actor"),
                    command_id: known("command_id"),
                    correlation_id: known("correlation_id"),
                    causation_id: known("causation_id"),
                    traceparent: known("traceparent"),
                    credential: known("credential"),
                },
                command: None,
            })
            .await;
        if let Err(LedgerError::Conflict { .. }) = &appended {
            self.ledger.forget::<D>(&self.tenant, &context.aggregate_id);
        }
        let appended = appended.map_err(failed)?;
        let mut state = context.before;
        appended.events.iter().for_each(|event| state.evolve(event.event()));
        self.ledger.keep(&self.tenant, state, &appended.receipt);
        Ok(appended.events.iter().map(|event| envelope(&context.aggregate_id, event, metadata.clone())).collect())
    }
}

fn envelope<D>(
    aggregate_id: &str,
    event: &Committed<D::Event>,
    metadata: HashMap<String, String>,
) -> EventEnvelope<Folded<D>>
where
    D: Decider,
    D::Command: Send,
{
    let sequence = usize::try_from(event.sequence()).unwrap_or(usize::MAX);
    let (aggregate_id, payload) = (aggregate_id.to_owned(), Fact(event.event().clone()));
    EventEnvelope { aggregate_id, sequence, payload, metadata }
}

fn deserialisation<E: std::error::Error>(error: serde_json::Error) -> AggregateError<E> {
    AggregateError::DeserializationError(Box::new(error))
}

fn failed<E: std::error::Error>(error: LedgerError) -> AggregateError<E> {
    match error {
        LedgerError::Conflict { .. } => AggregateError::AggregateConflict,
        LedgerError::Unavailable { .. } => AggregateError::DatabaseConnectionError(Box::new(error)),
        LedgerError::Undecodable { .. } => AggregateError::DeserializationError(Box::new(error)),
        other => AggregateError::UnexpectedError(Box::new(other)),
    }
}
