//! Verifying a whole ledger: positions, leaf hashes, sequences, nodes, head. It says what does not hold, and where.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use sqlx::Row;
use xagent_domain::{Digest, Recorded};
use xagent_tree::{Checkpoint, Frontier, Subtree};

use crate::append::grow;
use crate::read::digest;
use crate::{Ledger, LedgerError};

/// Events read at once.
const PAGE: u32 = 2000;

/// The first thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// There is no event at this position, though there are later ones.
    Missing {
        /// Where.
        position: u64,
    },
    /// An event is not the one that was sealed at this position.
    Changed {
        /// Where.
        position: u64,
        /// The leaf hash it was sealed with.
        recorded: Digest,
        /// The leaf hash of what stands there.
        found: Digest,
    },
    /// A stream's sequence does not follow on the one before it.
    OutOfSequence {
        /// The position of the event.
        position: u64,
        /// Its stream.
        stream: String,
    },
    /// A stored node of the tree is not the one its leaves give: leaves and hashes before it were rewritten together.
    Node {
        /// The last position under the node.
        position: u64,
        /// Its level.
        level: u8,
    },
    /// The head says another size than there are events: the end was cut off, or events were added past the head.
    Head {
        /// Events there are.
        events: u64,
        /// Events the head tells of.
        head: u64,
    },
    /// The tree is not the one that was signed at this size: the history up to it was rewritten.
    Checkpoint {
        /// Leaves in the signed tree.
        size: u64,
        /// Its root.
        signed: Digest,
        /// The root of what there is.
        found: Digest,
    },
    /// A stored checkpoint is not one, or is not signed by the key beside it.
    Signature {
        /// The size it stands for.
        size: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// A tree larger than what there is was signed: the end was cut off.
    CutOff {
        /// Events there are.
        events: u64,
        /// Leaves in the signed tree.
        signed: u64,
    },
    /// All events hold, but together they are not the tree that the head row tells of: the history was rewritten.
    Root {
        /// The root of what there is.
        found: Digest,
        /// The root the head row tells of.
        head: Digest,
    },
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Events that were checked.
    pub events: u64,
    /// The root over them.
    pub root: Digest,
    /// The first thing that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// Where the walk stands.
#[derive(Default)]
struct Walk {
    frontier: Frontier,
    nodes: Vec<(Subtree, Digest)>,
    /// Roots that were signed, by size.
    signed: BTreeMap<u64, Digest>,
}

impl Ledger {
    /// Verifies the ledger as it stands now, against every stored checkpoint and those that were kept `outside`.
    /// `progress` hears how many events are done.
    pub async fn verify(
        &self,
        outside: &[Checkpoint],
        mut progress: impl FnMut(u64),
    ) -> Result<Verification, LedgerError> {
        let (end, head) = self.head_frontier().await?;
        let signed = outside.iter().map(|checkpoint| (checkpoint.size, checkpoint.root)).collect();
        let mut walk = Walk { signed, ..Walk::default() };
        let mut fault = None;
        while fault.is_none() && walk.frontier.size() < end {
            let wanted = u32::try_from(end - walk.frontier.size()).unwrap_or(PAGE).min(PAGE);
            let page = self.range(walk.frontier.size(), wanted).await?;
            fault = self.signed(&mut walk, wanted).await?;
            if fault.is_none() {
                fault = match page.is_empty() {
                    true => Some(Fault::Head { events: walk.frontier.size(), head: end }),
                    false => walk.page(&page),
                };
            }
            if fault.is_none() {
                fault = self.check_nodes(std::mem::take(&mut walk.nodes)).await?;
            }
            progress(walk.frontier.size());
        }
        if fault.is_none() {
            fault = match self.past_the_head().await? {
                Some(fault) => Some(fault),
                None => match self.cut_off(&walk, end).await? {
                    Some(fault) => Some(fault),
                    None => self.out_of_sequence(end).await?,
                },
            };
        }
        let (events, root) = (walk.frontier.size(), walk.frontier.root());
        if fault.is_none() {
            fault = match head {
                Some(head) if head == walk.frontier => None,
                Some(head) => Some(Fault::Root { found: root, head: head.root() }),
                None => Some(Fault::Head { events, head: end }),
            };
        }
        Ok(Verification { events, root, fault })
    }

    /// What the head row tells of; without a frontier where its parts contradict each other.
    pub(crate) async fn head_frontier(&self) -> Result<(u64, Option<Frontier>), LedgerError> {
        const OPERATION: &str = "read the head";
        let query = sqlx::query("SELECT last_position, frontier FROM ledger_head");
        let row = self.bounded(OPERATION, query.fetch_one(&self.0.pool)).await?;
        let read = || Ok((crate::read::unsigned(&row, "last_position")?, row.try_get("frontier")?));
        let (end, bytes): (u64, Vec<u8>) = read().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))?;
        Ok((end, Frontier::from_bytes(end, &bytes).ok()))
    }

    /// Adds the checkpoints of the next `wanted` events to what is compared.
    async fn signed(&self, walk: &mut Walk, wanted: u32) -> Result<Option<Fault>, LedgerError> {
        let after = walk.frontier.size();
        for stored in self.checkpoints_between(after, after + u64::from(wanted)).await? {
            let opened = stored.verifier.parse().and_then(|verifier| Checkpoint::open(&stored.note, &verifier));
            match opened {
                Ok(checkpoint) if checkpoint.size == stored.size => {
                    walk.signed.entry(checkpoint.size).or_insert(checkpoint.root);
                }
                Ok(other) => {
                    let detail = format!("it is the checkpoint of size {}", other.size);
                    return Ok(Some(Fault::Signature { size: stored.size, detail }));
                }
                Err(error) => {
                    return Ok(Some(Fault::Signature { size: stored.size, detail: error.to_string() }));
                }
            }
        }
        Ok(None)
    }

    /// A checkpoint, stored or kept outside, of more events than there were when the walk began.
    async fn cut_off(&self, walk: &Walk, end: u64) -> Result<Option<Fault>, LedgerError> {
        let now = self.head().await?.position;
        let stored = self.latest_checkpoint().await?.map_or(0, |checkpoint| checkpoint.size);
        let outside = walk.signed.last_key_value().map_or(0, |(size, _)| *size);
        let signed = stored.max(outside);
        Ok((signed > now.max(end)).then_some(Fault::CutOff { events: end, signed }))
    }

    /// Events that no append put there: the head, read in the same moment, does not know them.
    async fn past_the_head(&self) -> Result<Option<Fault>, LedgerError> {
        const OPERATION: &str = "read the end";
        let sql = "SELECT coalesce((SELECT max(position) FROM events), 0) AS events, last_position FROM ledger_head";
        let row = self.bounded(OPERATION, sqlx::query(sql).fetch_one(&self.0.pool)).await?;
        let read = || Ok((crate::read::unsigned(&row, "events")?, crate::read::unsigned(&row, "last_position")?));
        let (events, head) = read().map_err(|error: sqlx::Error| LedgerError::database(OPERATION, &error))?;
        Ok((events > head).then_some(Fault::Head { events, head }))
    }

    async fn check_nodes(&self, nodes: Vec<(Subtree, Digest)>) -> Result<Option<Fault>, LedgerError> {
        const OPERATION: &str = "read a node";
        for (subtree, root) in nodes {
            let query = sqlx::query("SELECT hash FROM tree_nodes WHERE level = $1 AND index = $2");
            let query = query.bind(i16::from(subtree.level)).bind(i64::try_from(subtree.index).unwrap_or(i64::MAX));
            let row = self.bounded(OPERATION, query.fetch_optional(&self.0.pool)).await?;
            let stored = row.map(|row| row.try_get::<Vec<u8>, _>(0).and_then(|bytes| digest(&bytes, "hash")));
            let stored = stored.transpose().map_err(|error| LedgerError::database(OPERATION, &error))?;
            if stored != Some(root) {
                let position = (subtree.index + 1) << subtree.level;
                return Ok(Some(Fault::Node { position, level: subtree.level }));
            }
        }
        Ok(None)
    }

    /// The first event whose sequence does not follow on its stream's last one.
    async fn out_of_sequence(&self, end: u64) -> Result<Option<Fault>, LedgerError> {
        const OPERATION: &str = "check sequences";
        let sql = "SELECT position, aggregate_type || '/' || aggregate_id AS stream FROM (SELECT position, aggregate_type, \
                   aggregate_id, sequence, row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY position) \
                   AS place FROM events WHERE position <= $1) AS placed WHERE sequence <> place ORDER BY position LIMIT 1";
        let query = sqlx::query(sql).bind(i64::try_from(end).unwrap_or(i64::MAX));
        let row = query.fetch_optional(&self.0.pool).await.map_err(|e| LedgerError::database(OPERATION, &e))?;
        let read = |row: sqlx::postgres::PgRow| {
            Ok(Fault::OutOfSequence {
                position: crate::read::unsigned(&row, "position")?,
                stream: row.try_get("stream")?,
            })
        };
        row.map(read).transpose().map_err(|error: sqlx::Error| LedgerError::database(OPERATION, &error))
    }
}

impl Walk {
    fn page(&mut self, page: &[Recorded]) -> Option<Fault> {
        for event in page {
            let position = self.frontier.size() + 1;
            if event.position != position {
                return Some(Fault::Missing { position });
            }
            let found = xagent_tree::leaf_hash(event).unwrap_or_else(|_| Digest::from_bytes([0; 32]));
            if found != event.leaf_hash {
                return Some(Fault::Changed { position, recorded: event.leaf_hash, found });
            }
            grow(&mut self.frontier, found, &mut self.nodes);
            if let Some(signed) = self.signed.remove(&position) {
                let found = self.frontier.root();
                if found != signed {
                    return Some(Fault::Checkpoint { size: position, signed, found });
                }
            }
        }
        None
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { position } => write!(f, "the event at position {position} is missing"),
            Self::Changed { position, recorded, found } => {
                write!(f, "the event at position {position} was changed: it was sealed as {recorded}, and is {found}")
            }
            Self::OutOfSequence { position, stream } => {
                write!(f, "the event at position {position} does not follow on the one before it in {stream}")
            }
            Self::Node { position, level } => {
                write!(
                    f,
                    "the tree's node of level {level} up to position {position} does not fit its leaves: events before it were rewritten together with their hashes"
                )
            }
            Self::Head { events, head } => {
                write!(
                    f,
                    "there are {events} events, and the head tells of {head}: events were cut off or added at the end"
                )
            }
            Self::Checkpoint { size, signed, found } => {
                write!(
                    f,
                    "the tree of {size} events has the root {found}, and was signed with {signed}: the history up to there was rewritten"
                )
            }
            Self::Signature { size, detail } => write!(f, "the checkpoint of size {size} does not hold: {detail}"),
            Self::CutOff { events, signed } => {
                write!(f, "there are {events} events, and a tree of {signed} was signed: the end was cut off")
            }
            Self::Root { found, head } => {
                write!(
                    f,
                    "the root is {found}, and the head tells of {head}: events were rewritten together with their hashes"
                )
            }
        }
    }
}
