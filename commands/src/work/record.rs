//! Recording what a worker did. What cannot be done again is kept trying to be recorded.

use xagent_domain::run::{Act, Run};
use xagent_domain::{Blob, Principal};

use super::{Walk, Worker};
use crate::CommandError;
use crate::ambient::pause;
use crate::governed::{Executed, Request};

/// Tries to record what has been done before it is left to the next walk: about eight minutes.
const RECORDINGS: u32 = 250;

impl Worker {
    /// Records what happened, as the worker.
    pub(super) async fn record(&self, walk: &Walk, act: Act, blobs: Vec<Blob>) -> Result<Executed<Run>, CommandError> {
        self.record_for(walk, act, blobs, None).await
    }

    /// As [`Worker::record`], counted for `principal`.
    pub(super) async fn record_for(
        &self,
        walk: &Walk,
        act: Act,
        blobs: Vec<Blob>,
        on_behalf_of: Option<(Principal, String)>,
    ) -> Result<Executed<Run>, CommandError> {
        let mut metadata = self.commands.system_metadata("system:worker", &walk.key.run);
        metadata.traceparent.clone_from(&walk.traceparent);
        let (tenant, aggregate_id) = (walk.key.tenant.clone(), walk.key.run.clone());
        let request = Request { tenant, aggregate_id, act, intent: None, on_behalf_of, blobs, metadata, key: None };
        self.commands.executor().execute::<Run>(request).await
    }

    /// As [`Worker::record`], again and again while the ledger is away.
    pub(super) async fn record_surely(&self, walk: &Walk, act: Act, blobs: Vec<Blob>) -> Result<Run, CommandError> {
        for attempt in 0..RECORDINGS {
            match self.record(walk, act.clone(), blobs.clone()).await {
                Err(CommandError::Ledger(error)) if error.is_unavailable() => {
                    tracing::warn!(run = %walk.key.run, error = %error, "worker.recording.waits");
                    tokio::time::sleep(pause(attempt, 2000)).await;
                }
                other => return other.map(|recorded| recorded.state),
            }
        }
        self.state(walk).await
    }

    /// The run as it stands.
    pub(super) async fn state(&self, walk: &Walk) -> Result<Run, CommandError> {
        Ok(self.commands.ledger().load::<Run>(&walk.key.tenant, &walk.key.run).await?.state)
    }
}
