//! The port to the queue in which runs wait for a worker. It is a view: what there is to do, the ledger says.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xagent_domain::Tenant;
use xagent_domain::run::Priority;

/// A line in which runs wait, and are taken in the order they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lane {
    /// Whose runs.
    pub tenant: Tenant,
    /// How urgent they are.
    pub priority: Priority,
    /// Their agent, where its runs are limited: they must not stand in the way of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// A run that a worker is to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Where it waits.
    pub lane: Lane,
    /// The run.
    pub run: String,
    /// How often in a row it was put back without a step.
    #[serde(default)]
    pub tries: u32,
}

/// A run taken from the queue. Others get it when its ticket has not been kept for some seconds.
#[derive(Debug)]
pub struct Taken<T> {
    /// The run.
    pub waiting: Waiting,
    /// What it is kept and done with by.
    pub ticket: T,
    /// How often it was taken since it was offered, this time included.
    pub deliveries: u64,
    /// How long it waited.
    pub waited: Duration,
}

/// How runs are offered that may be in the queue already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// At the end of their lanes: whoever has them now, somebody looks once more.
    Anew,
    /// Only those that are neither waiting nor taken.
    Missing,
}

/// The queue is away, or says no.
#[derive(Debug, thiserror::Error)]
#[error("the work queue: {0}")]
pub struct QueueError(pub String);

/// Where runs wait for workers of all processes. Holds each run once.
pub trait WorkQueue: Send + Sync + 'static {
    /// What keeps a run from others.
    type Ticket: Send + Sync + 'static;

    /// Whether there is any use in asking.
    fn is_up(&self) -> bool;

    /// Offers runs to all workers.
    fn offer(&self, waiting: &[Waiting], how: Offer) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Takes the first run of a lane, if one waits; of a limited lane, at most `places` are taken at a time.
    fn take(
        &self,
        lane: &Lane,
        places: Option<u32>,
    ) -> impl Future<Output = Result<Option<Taken<Self::Ticket>>, QueueError>> + Send;

    /// Keeps a run from others for some more seconds.
    fn keep(&self, ticket: &Self::Ticket) -> impl Future<Output = ()> + Send;

    /// Takes a run out of the queue, unless it was offered anew meanwhile.
    fn done(&self, ticket: &Self::Ticket) -> impl Future<Output = ()> + Send;

    /// The ledger's position up to which runs were offered; none in a new queue.
    fn mark(&self) -> impl Future<Output = Result<Option<u64>, QueueError>> + Send;

    /// Remembers that position with the queue.
    fn set_mark(&self, position: u64) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Waits for the next offer and tells its lane. A hint: it may miss some.
    fn offered(&self) -> impl Future<Output = Result<Lane, QueueError>> + Send;
}

/// No queue at all: every worker takes runs from the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoQueue;

impl WorkQueue for NoQueue {
    type Ticket = ();

    fn is_up(&self) -> bool {
        false
    }

    async fn offer(&self, _waiting: &[Waiting], _how: Offer) -> Result<(), QueueError> {
        Err(QueueError("there is none".to_owned()))
    }

    async fn take(&self, _lane: &Lane, _places: Option<u32>) -> Result<Option<Taken<()>>, QueueError> {
        Err(QueueError("there is none".to_owned()))
    }

    async fn keep(&self, (): &()) {}

    async fn done(&self, (): &()) {}

    async fn mark(&self) -> Result<Option<u64>, QueueError> {
        Err(QueueError("there is none".to_owned()))
    }

    async fn set_mark(&self, _position: u64) -> Result<(), QueueError> {
        Err(QueueError("there is none".to_owned()))
    }

    async fn offered(&self) -> Result<Lane, QueueError> {
        std::future::pending().await
    }
}
