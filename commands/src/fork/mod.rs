//! Runs that continue other runs: what answers their calls in the place of tools and of the network.

mod recordings;

use std::sync::Arc;

use xagent_domain::run::Run;
use xagent_domain::{RunId, Tenant};

pub(crate) use recordings::Recordings;

use crate::{CommandError, Commands, Resolver};

/// What answers the calls of a run that continues another one.
pub(crate) struct Answering {
    pub recordings: Arc<Recordings>,
    /// Whether a call without a recording is made.
    pub live: bool,
}

impl Answering {
    /// What answers for the network's names, where nothing else may.
    pub(crate) fn resolver(&self) -> Option<&dyn Resolver> {
        (!self.live).then_some(&*self.recordings)
    }
}

impl Commands {
    /// What answers the calls of this run; none where it continues no other.
    pub(crate) async fn answering(&self, tenant: &Tenant, run: &Run) -> Result<Option<Answering>, CommandError> {
        let Some(fork) = run.fork() else { return Ok(None) };
        let recordings = Arc::new(Recordings::of(self.ledger(), tenant, fork.from).await?);
        Ok(Some(Answering { recordings, live: fork.live }))
    }

    /// The recordings that alone answer the calls of this run; none where tools do.
    pub(crate) async fn only_recordings(
        &self,
        tenant: &Tenant,
        run: RunId,
    ) -> Result<Option<Recordings>, CommandError> {
        let state = self.ledger().load_warm::<Run>(tenant, &run.to_string()).await?.state;
        match state.fork().filter(|fork| !fork.live) {
            Some(fork) => Ok(Some(Recordings::of(self.ledger(), tenant, fork.from).await?)),
            None => Ok(None),
        }
    }
}
