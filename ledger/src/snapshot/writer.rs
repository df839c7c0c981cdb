//! Writing snapshots, off the path of commands: a bounded queue, and whatever it has no room for is not written. One task
//! per ledger owns it.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::mpsc;
use xagent_domain::{CODE, Digest};

use super::Subject;
use crate::LedgerError;
use crate::append::bytes;
use crate::connect::within;
use crate::read::signed;

const OPERATION: &str = "keep a snapshot";
/// States that may wait to be written.
const WAITING: usize = 16;
/// Bytes of a state that is kept, at most.
const LARGEST: usize = 16 * 1024 * 1024;

type Write = Box<dyn FnOnce() -> Result<Vec<u8>, serde_json::Error> + Send>;

/// A snapshot to be written.
pub(crate) struct Draft {
    pub subject: Subject,
    /// Leaf hash of the last event in it.
    pub leaf: Digest,
    /// Writes the state out.
    pub write: Write,
}

/// Where drafts are handed in.
pub(crate) struct Writer(mpsc::Sender<Draft>);

impl Writer {
    /// Takes a draft; tells whether there was room for it.
    pub(crate) fn offer(&self, draft: Draft) -> bool {
        self.0.try_send(draft).is_ok()
    }
}

/// Starts the task that writes. It ends when its ledger is dropped.
pub(crate) fn start(pool: PgPool, patience: Duration) -> Writer {
    let (sender, mut drafts) = mpsc::channel::<Draft>(WAITING);
    tokio::spawn(async move {
        while let Some(draft) = drafts.recv().await {
            let Subject { aggregate_type, aggregate_id, sequence, .. } = draft.subject.clone();
            match keep(&pool, patience, draft).await {
                Ok(()) => tracing::debug!(aggregate_type, aggregate_id, sequence, "ledger.snapshot.kept"),
                Err(error) => tracing::warn!(error = %error, aggregate_type, aggregate_id, "ledger.snapshot.failed"),
            }
        }
    });
    Writer(sender)
}

async fn keep(pool: &PgPool, patience: Duration, draft: Draft) -> Result<(), LedgerError> {
    let failed = |detail: String| LedgerError::Failed { operation: OPERATION, detail };
    let Draft { subject, leaf, write } = draft;
    let written = tokio::task::spawn_blocking(move || {
        let state = write()?;
        Ok::<_, serde_json::Error>((subject.seal(&leaf, &state), subject, state))
    });
    let written = written.await.map_err(|error| failed(error.to_string()))?;
    let (sealed, subject, state) = written.map_err(|error| failed(error.to_string()))?;
    if state.len() > LARGEST {
        return Err(failed(format!("the state has {} bytes, and {LARGEST} are kept at most", state.len())));
    }
    let query = sqlx::query(include_str!("keep.sql"))
        .bind(subject.tenant.as_str())
        .bind(subject.aggregate_type)
        .bind(&subject.aggregate_id)
        .bind(CODE)
        .bind(signed(subject.sequence))
        .bind(state)
        .bind(bytes(&sealed));
    within(patience, OPERATION, query.execute(pool)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_not_written() {
        let (sender, mut drafts) = mpsc::channel(WAITING);
        let writer = Writer(sender);
        let draft = || {
            let (tenant, aggregate_id) = (xagent_domain::Tenant::default_tenant(), "a".to_owned());
            let subject = Subject { tenant, aggregate_type: "run", aggregate_id, sequence: 1 };
            Draft { subject, leaf: Digest::of(b""), write: Box::new(|| Ok(Vec::new())) }
        };
        assert!((0..WAITING).all(|_| writer.offer(draft())));
        assert!(!writer.offer(draft()), "nobody waits for room");
        drafts.try_recv().unwrap();
        assert!(writer.offer(draft()));
        drop(drafts);
        assert!(!writer.offer(draft()));
    }
}
