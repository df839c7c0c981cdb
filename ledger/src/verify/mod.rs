//! Verifying a whole ledger: positions, leaf hashes, tree, head, checkpoints, sequences, command keys, blobs, archived
//! ranges. It says by name what does not hold, and where. `docs/errors/tampered.md` tells what is covered, and what is not.
//!
//! Memory is bounded whatever the size of the ledger: rows are read ahead a few megabytes, hashed on all cores, and folded
//! in order. Operators call it, and tests.

mod block;
mod end;
mod fault;
mod findings;
mod inspect;
mod keys;
mod marks;
mod moves;
mod segments;
mod sequences;
mod source;
mod spine;
mod suspect;
mod walk;
mod watch;

use std::path::PathBuf;

use serde::Serialize;
use xagent_domain::Digest;
use xagent_tree::Checkpoint;

pub use fault::{Fault, Rewritten, Witness};
pub(crate) use inspect::hash;
pub use segments::ArchivedRange;
pub use watch::Watch;

use end::Guard;
use findings::{FAULTS, Findings};
use marks::Signed;
use segments::{Content, Segment};
use source::Source;
use walk::Walk;

use crate::{Ledger, LedgerError};

/// What a ledger is held to besides what is stored in it.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Checkpoints that were kept outside, their signatures checked.
    pub checkpoints: Vec<Checkpoint>,
    /// Files of archived ranges.
    pub archives: Vec<PathBuf>,
    /// Whether every stored blob is read and hashed, too.
    pub blobs: bool,
    /// Whether every snapshot is compared with the events it is of, too.
    pub snapshots: bool,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Events that were read and checked.
    pub events: u64,
    /// The root over all of them, and over the leaf hashes of what is archived; nothing where too much is missing.
    pub root: Option<Digest>,
    /// The first thing that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// All that were found, up to a hundred, the first one first.
    pub faults: Vec<Fault>,
    /// Whether the walk was given up because there were so many.
    pub given_up: bool,
    /// Archived ranges, and whether their events were read from a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<ArchivedRange>,
    /// Blobs that were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blobs: Option<u64>,
    /// Snapshots that were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<u64>,
}

impl Ledger {
    /// Verifies the ledger as it stands now. `progress` hears how many positions are done, and of how many.
    pub async fn verify(
        &self,
        against: &Against,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Verification, LedgerError> {
        let mut guard = Guard::take(self).await?;
        let (end, head) = self.head_frontier().await?;
        let mut progress = |done| progress(done, end);
        let outside = |checkpoint: &Checkpoint| Signed {
            size: checkpoint.size,
            root: checkpoint.root,
            witness: Witness::OutsideCheckpoint,
        };
        let mut walk = Walk::new(self, end, head.clone(), against.checkpoints.iter().map(outside).collect());
        if head.is_none() {
            let detail = format!("it has no frontier of a tree of {end} events");
            walk.findings.add(Fault::Head { detail });
        }
        let (segments, archived) = self.segments(end, &against.archives, &mut walk.findings).await?;
        for segment in segments {
            self.walk_over(segment, &mut walk, &mut guard, &mut progress).await?;
        }
        let given_up = walk.findings.is_full();
        let root = if given_up { None } else { walk.settle_end().await? };
        let past = guard.look_past_the_head(end, &mut walk.findings).await?;
        let blobs = if against.blobs { Some(guard.check_blobs(&mut walk.findings).await?) } else { None };
        let snapshots = if against.snapshots { Some(self.compare_snapshots(&mut walk.findings).await?) } else { None };
        let (events, rewritten) = (walk.events, walk.rewritten());
        let mut faults = walk.findings.finish(end, &past);
        faults.iter_mut().for_each(|fault| fault.decide(rewritten));
        guard.release().await?;
        let given_up = given_up || faults.len() >= FAULTS;
        Ok(Verification { events, root, fault: faults.first().cloned(), faults, given_up, archived, blobs, snapshots })
    }

    async fn compare_snapshots(&self, findings: &mut Findings) -> Result<u64, LedgerError> {
        let checked = self.check_snapshots().await?;
        for (stream, sequence) in checked.differ {
            findings.add(Fault::Snapshot { stream, sequence });
        }
        Ok(checked.compared)
    }

    async fn walk_over(
        &self,
        segment: Segment,
        walk: &mut Walk<'_>,
        guard: &mut Guard,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), LedgerError> {
        let (mut source, archived) = match segment.content {
            Content::Hashes => {
                walk.hashes_up_to(segment.last).await?;
                progress(walk.position());
                return Ok(());
            }
            Content::Database => (Source::database(self, walk.position(), segment.last), false),
            Content::File(archive) => (Source::file(*archive), true),
        };
        loop {
            let rows = match source.next().await {
                Ok(Some(rows)) => rows,
                Ok(None) => break,
                Err(error @ LedgerError::Archive { .. }) => {
                    let position = segment.first;
                    walk.findings.add(Fault::Archive { position, detail: error.to_string() });
                    break;
                }
                Err(error) => return Err(error),
            };
            for row in rows.into_iter().filter(|row| (segment.first..=segment.last).contains(&row.position)) {
                walk.event(row, archived).await?;
            }
            let breaches = walk.sequences.settle(guard).await?;
            breaches.into_iter().for_each(|breach| walk.breach(breach));
            progress(walk.position());
            if walk.findings.is_full() {
                return Ok(());
            }
        }
        if archived {
            walk.file_ends(segment.first, segment.last).await
        } else {
            walk.missing_up_to(segment.last).await
        }
    }
}
