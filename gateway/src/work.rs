//! The queue that workers share, over JetStream: the port of `commands` on the stream of `projections`.

use std::time::Duration;

use xagent_commands::{Lane, Offer, QueueError, Taken, Waiting, WorkQueue};
use xagent_domain::Digest;
use xagent_ledger::Clock;
use xagent_projections::{WorkError, WorkItem, WorkStream, WorkTicket};

/// The runs that wait, in JetStream.
pub struct RunQueue<C> {
    stream: WorkStream,
    clock: C,
}

impl<C: Clock> RunQueue<C> {
    /// Over a stream; waits are measured by `clock`.
    pub fn new(stream: WorkStream, clock: C) -> Self {
        Self { stream, clock }
    }
}

/// A lane as tokens of a subject: `TENANT.PRIORITY.AGENT`, where an agent is told by its digest.
fn tokens(lane: &Lane) -> String {
    let agent = lane.agent.as_ref().map_or_else(
        || "any".to_owned(),
        |agent| Digest::of(agent.as_bytes()).to_string().chars().filter(char::is_ascii_alphanumeric).take(32).collect(),
    );
    format!("{}.{}.{agent}", lane.tenant, lane.priority)
}

fn item(waiting: &Waiting) -> Result<WorkItem, QueueError> {
    let body = serde_json::to_vec(waiting).map_err(|error| QueueError(error.to_string()))?;
    Ok(WorkItem { lane: tokens(&waiting.lane), key: waiting.run.clone(), body })
}

fn waiting(body: &[u8]) -> Result<Waiting, QueueError> {
    serde_json::from_slice(body).map_err(|error| QueueError(format!("a message is no run that waits: {error}")))
}

fn failed(error: WorkError) -> QueueError {
    QueueError(error.to_string())
}

impl<C: Clock + 'static> WorkQueue for RunQueue<C> {
    type Ticket = WorkTicket;

    fn is_up(&self) -> bool {
        self.stream.is_up()
    }

    async fn offer(&self, waiting: &[Waiting], how: Offer) -> Result<(), QueueError> {
        let items = waiting.iter().map(item).collect::<Result<Vec<_>, _>>()?;
        self.stream.offer(&items, how == Offer::Missing).await.map_err(failed)
    }

    async fn take(&self, lane: &Lane, places: Option<u32>) -> Result<Option<Taken<WorkTicket>>, QueueError> {
        let Some(taken) = self.stream.take(&tokens(lane), places).await.map_err(failed)? else { return Ok(None) };
        let waited_us = self.clock.now_us().saturating_sub(taken.offered_us);
        let waited = Duration::from_micros(u64::try_from(waited_us).unwrap_or(0));
        match waiting(&taken.body) {
            Ok(waiting) => Ok(Some(Taken { waiting, ticket: taken.ticket, deliveries: taken.deliveries, waited })),
            Err(error) => {
                // Nobody can walk it, and it is in others' way. If it stands for a run, the ledger has it.
                self.stream.done(&taken.ticket).await;
                Err(error)
            }
        }
    }

    async fn keep(&self, ticket: &WorkTicket) {
        self.stream.keep(ticket).await;
    }

    async fn done(&self, ticket: &WorkTicket) {
        self.stream.done(ticket).await;
    }

    async fn mark(&self) -> Result<Option<u64>, QueueError> {
        self.stream.mark().await.map_err(failed)
    }

    async fn set_mark(&self, position: u64) -> Result<(), QueueError> {
        self.stream.set_mark(position).await.map_err(failed)
    }

    async fn offered(&self) -> Result<Lane, QueueError> {
        Ok(waiting(&self.stream.heard().await.map_err(failed)?)?.lane)
    }
}

#[cfg(test)]
mod tests {
    use xagent_domain::run::Priority;

    use super::*;

    #[test]
    fn a_lane_is_three_tokens_whatever_the_agent_is_called() {
        let lane = |agent: Option<&str>| Lane {
            tenant: "acme".parse().unwrap(),
            priority: Priority::High,
            agent: agent.map(str::to_owned),
        };
        assert_eq!(tokens(&lane(None)), "acme.high.any");
        for agent in ["a.b", "*", ">", "é ", "any"] {
            let tokens = tokens(&lane(Some(agent)));
            assert_eq!(tokens.split('.').count(), 3, "{tokens}");
            assert!(tokens.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'), "{tokens}");
            assert_ne!(tokens, "acme.high.any");
        }
    }
}
