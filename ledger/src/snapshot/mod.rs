//! Snapshots of long streams: a view of what they fold to. Reading and the cache call this room.
//!
//! None is believed by itself: it is sealed with the leaf hash of the last event it covers, which is read and verified
//! with it, and with the code that folded it. Whatever does not fit is dropped, and the events are read instead.

mod check;
mod writer;

use sqlx::Row;
use sqlx::postgres::PgRow;
use xagent_domain::{CODE, Decider, Digest, Tenant};

pub(crate) use writer::{Draft, Writer, start};

use crate::read::{Fold, digest, signed, unsigned, verified};
use crate::{Ledger, LedgerError};

/// A snapshot is due when a stream has grown by a sixteenth since the last one, and by what `snapshot_every` says: what
/// is written stays within some times the final state, what is read after it within a sixteenth of the stream.
const SHARE: u64 = 16;

/// Whether a stream at `sequence`, whose last snapshot is at `last`, is to have another one.
pub(crate) fn is_due(sequence: u64, last: u64, every: u64) -> bool {
    sequence.checked_sub(last).is_some_and(|grown| grown >= every.max(last / SHARE))
}

/// What a snapshot is of.
#[derive(Clone)]
pub(crate) struct Subject {
    pub tenant: Tenant,
    pub aggregate_type: &'static str,
    pub aggregate_id: String,
    pub sequence: u64,
}

impl Subject {
    /// Binds a state to the stream, to the event it covers last, and to the code that folded it.
    fn seal(&self, leaf: &Digest, state: &[u8]) -> Digest {
        let Self { tenant, aggregate_type, aggregate_id, sequence } = self;
        let (length, size) = (aggregate_id.len(), state.len());
        let head = format!(
            "xagent snapshot\n{CODE}\n{tenant}\n{aggregate_type}\n{length}\n{aggregate_id}\n{sequence}\n{leaf}\n{size}\n"
        );
        Digest::of(&[head.as_bytes(), state].concat())
    }
}

/// A snapshot as it was found.
struct Found {
    subject: Subject,
    state: Vec<u8>,
    digest: Digest,
}

/// What there is of a stream.
enum Kept {
    Nothing,
    Events,
    Snapshot(Found),
}

impl Ledger {
    /// Where to go on folding a stream from: what the newest snapshot up to `sequence` says, if there is one and it holds, or
    /// the beginning. Nothing where there is no stream, so that there is nothing to read either.
    pub(crate) async fn begin<D: Decider>(
        &self,
        tenant: &Tenant,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Option<Fold<D>>, LedgerError> {
        match self.find_snapshot::<D>(tenant, aggregate_id, sequence).await? {
            Kept::Nothing => Ok(None),
            Kept::Events => Ok(Some(Fold::default())),
            Kept::Snapshot(found) => Ok(Some(self.held(found).await?.unwrap_or_default())),
        }
    }

    /// What a snapshot says, if it holds.
    async fn held<D: Decider>(&self, found: Found) -> Result<Option<Fold<D>>, LedgerError> {
        let (Subject { tenant, aggregate_id, .. }, at) = (&found.subject, found.subject.sequence);
        // An event that is archived cannot be read, so that nothing is known of what covers it.
        let covered = match self.stream(tenant, D::TYPE, aggregate_id, at.saturating_sub(1), 1).await {
            Err(LedgerError::Archived { .. }) => return Ok(None),
            other => other?,
        };
        let holds = |leaf: &Digest| found.subject.seal(leaf, &found.state) == found.digest;
        let leaf = covered.first().filter(|event| verified::<D::Event>(event, at).is_ok()).map(|event| event.leaf_hash);
        let state = leaf.filter(holds).and_then(|leaf| Some((leaf, serde_json::from_slice(&found.state).ok()?)));
        let Some((leaf, state)) = state else {
            self.drop_snapshot(&found.subject).await?;
            return Ok(None);
        };
        Ok(Some(Fold { state, sequence: at, leaf: Some(leaf), snapshot: at, weight: Some(found.state.len()) }))
    }

    async fn find_snapshot<D: Decider>(
        &self,
        tenant: &Tenant,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Kept, LedgerError> {
        const OPERATION: &str = "find a snapshot";
        let query = sqlx::query(include_str!("find.sql")).bind(tenant.as_str()).bind(D::TYPE).bind(aggregate_id);
        let query = query.bind(CODE).bind(signed(sequence));
        let row = self.bounded(OPERATION, query.fetch_one(&self.0.pool)).await?;
        let read = |row: PgRow| {
            let Some(state) = row.try_get("state")? else {
                return Ok(if row.try_get("is_there")? { Kept::Events } else { Kept::Nothing });
            };
            let (tenant, aggregate_id) = (tenant.clone(), aggregate_id.to_owned());
            let sequence = unsigned(&row, "sequence")?;
            let subject = Subject { tenant, aggregate_type: D::TYPE, aggregate_id, sequence };
            let sealed: Vec<u8> = row.try_get("digest")?;
            Ok(Kept::Snapshot(Found { subject, state, digest: digest(&sealed, "digest")? }))
        };
        read(row).map_err(|error: sqlx::Error| LedgerError::database(OPERATION, &error))
    }

    async fn drop_snapshot(&self, subject: &Subject) -> Result<(), LedgerError> {
        let Subject { tenant, aggregate_type, aggregate_id, sequence } = subject;
        tracing::warn!(aggregate_type, aggregate_id, sequence, "ledger.snapshot.unfit");
        let query = sqlx::query(include_str!("drop.sql")).bind(tenant.as_str()).bind(aggregate_type).bind(aggregate_id);
        let query = query.bind(CODE).bind(signed(*sequence));
        self.bounded("drop a snapshot", query.execute(&self.0.pool)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        let aggregate_id = "default/a".to_owned();
        Subject { tenant: Tenant::default_tenant(), aggregate_type: "run", aggregate_id, sequence: 7 }
    }

    #[test]
    fn a_snapshot_is_bound_to_its_stream_its_last_event_and_its_state() {
        let (leaf, sealed) = (Digest::of(b"leaf"), subject().seal(&Digest::of(b"leaf"), b"{}"));
        let changes: [fn(&mut Subject); 4] = [
            |s| s.tenant = "other".parse().unwrap(),
            |s| s.aggregate_type = "tool",
            |s| s.aggregate_id = "default/b".to_owned(),
            |s| s.sequence = 8,
        ];
        for change in changes {
            let mut other = subject();
            change(&mut other);
            assert_ne!(other.seal(&leaf, b"{}"), sealed);
        }
        assert_ne!(subject().seal(&Digest::of(b"other"), b"{}"), sealed);
        assert_ne!(subject().seal(&leaf, b"{ }"), sealed);
    }

    #[test]
    fn snapshots_are_taken_further_apart_the_longer_a_stream_is() {
        let (mut last, mut taken) = (0, Vec::new());
        for sequence in 1..=20_000 {
            if is_due(sequence, last, 256) {
                taken.push(sequence - last);
                last = sequence;
            }
        }
        assert!(taken.is_sorted() && taken.len() < 60 && taken[0] == 256, "{taken:?}");
        assert!(!is_due(1 << 62, 0, u64::MAX), "none where none is wanted");
        assert!(!is_due(5, 7, 0), "a stream behind its snapshot needs none");
    }
}
