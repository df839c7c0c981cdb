//! Hashing a chunk of rows, on any core, and saying of each that does not hold what can be told from it and its
//! neighbours. Pure; only the pipeline calls it.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use xagent_domain::{Digest, Metadata, Place};
use xagent_tree::LeafSeed;

use super::suspect::suspect;
use crate::row::Row;

/// The name of a stream, as it is kept in memory.
pub(super) type StreamKey = [u8; 16];

/// Changed rows of a chunk that are looked into at length.
const SUSPECTS: usize = 4;

/// A row with its leaf hash.
pub(super) struct Checked {
    pub row: Row,
    pub position: u64,
    /// The leaf hash of what stands there; nothing where a column cannot be read.
    pub found: Digest,
    /// The leaf hash it was sealed with.
    pub recorded: Digest,
    pub stream: StreamKey,
    pub sequence: u64,
    /// Where the two differ.
    pub changed: Option<Box<Changed>>,
    /// What is wrong with what makes its command known.
    pub command: Option<&'static str>,
}

/// A row whose leaf hash is not that of what stands there.
pub(super) struct Changed {
    /// To try other places; nothing where a column cannot be read.
    pub seed: Option<LeafSeed>,
    pub recorded_at_us: i64,
    pub sequence: u64,
    /// How far from here it was sealed, where that is near.
    pub moved: Option<i64>,
    /// What was changed, as far as it can be told.
    pub column: &'static str,
}

impl Checked {
    /// Takes it for changed, whatever its own hash says.
    pub(super) fn change(&mut self, column: &'static str) {
        let Place { recorded_at_us, sequence, .. } = self.row.place();
        let changed = Changed { seed: None, recorded_at_us, sequence, moved: None, column };
        self.changed.get_or_insert_with(|| Box::new(changed));
    }

    /// Whether what stands there is what was sealed.
    pub(super) fn holds(&self) -> bool {
        self.changed.is_none()
    }
}

/// The leaf hash of a row, and what it is made of.
pub(crate) fn hash(row: &Row) -> Result<(Digest, LeafSeed), &'static str> {
    let tenant = row.tenant()?;
    let seed = LeafSeed::new(&row.placeless(&tenant)?).map_err(|_| "payload or metadata")?;
    Ok((seed.at(row.place()), seed))
}

/// Hashes the rows of a chunk.
pub(super) fn inspect(rows: Vec<Row>) -> Vec<Checked> {
    let mut checked: Vec<_> = rows.into_iter().map(check).collect();
    let changed: Vec<_> = (0..checked.len()).filter(|place| checked.get(*place).is_some_and(|c| !c.holds())).collect();
    let mut looked_into = 0;
    for place in changed {
        let neighbours = [place.checked_sub(1), Some(place + 1)].map(|at| at.and_then(|at| checked.get(at)));
        let Some(own) = checked.get(place) else { continue };
        let near = near(own);
        let column = match near {
            None if looked_into < SUSPECTS => {
                looked_into += 1;
                suspect(&own.row, &own.recorded, neighbours.map(|near| near.map(|near| &near.row)))
            }
            _ => None,
        };
        let Some(changed) = checked.get_mut(place).and_then(|own| own.changed.as_mut()) else { continue };
        changed.moved = near;
        changed.column = column.unwrap_or(changed.column);
    }
    checked
}

fn check(row: Row) -> Checked {
    let place = row.place();
    let recorded = row.leaf_hash();
    let (found, seed, column) = match hash(&row) {
        Ok((found, seed)) => (found, Some(seed), "payload, metadata or another column"),
        Err(column) => (Digest::from_bytes([0; 32]), None, column),
    };
    let (column, recorded) = match recorded {
        Some(recorded) => (column, recorded),
        None => ("leaf_hash", Digest::from_bytes([0; 32])),
    };
    let (recorded_at_us, sequence) = (place.recorded_at_us, place.sequence);
    let changed = (seed.is_none() || found != recorded)
        .then(|| Box::new(Changed { seed, recorded_at_us, sequence, moved: None, column }));
    let stream = row.stream().map(|(kind, id)| stream_key(kind, id)).unwrap_or_default();
    let command = command(&row);
    Checked { position: place.position, found, recorded, stream, sequence, changed, command, row }
}

pub(super) fn stream_key(aggregate_type: &str, aggregate_id: &str) -> StreamKey {
    let hash = Sha256::new().chain_update(aggregate_type).chain_update([0]).chain_update(aggregate_id).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// How far from here it was sealed, if at one of the nearest places.
fn near(checked: &Checked) -> Option<i64> {
    let seed = checked.changed.as_ref()?.seed.as_ref()?;
    let mut place = checked.row.place();
    (1..=8).flat_map(|by| [by, -by]).find(|by| {
        place.position = checked.position.saturating_add_signed(*by);
        seed.at(place) == checked.recorded
    })
}

/// What makes a command known is there as a whole or not at all, and is the command the metadata tells of, if it tells.
fn command(row: &Row) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        command_id: String,
    }
    let command = row.command();
    let (id, events) = match (command.id, command.body, command.events) {
        (None, None, None) => return None,
        (Some(id), Some(body), Some(events)) if body.len() == 32 => (id, events),
        _ => return Some("command_id, command_body and command_events are not all there"),
    };
    if events < 1 {
        return Some("command_events is less than one");
    }
    let named = row.metadata().ok().and_then(|text| serde_json::from_str::<Named>(text).ok());
    let named = named.map(|named| named.command_id).filter(|named| !named.is_empty());
    named.is_some_and(|named| named.as_bytes() != id).then_some("command_id is not the one in the metadata")
}

/// Whether a text is what the ledger writes as metadata.
pub(super) fn is_metadata(text: &str) -> bool {
    serde_json::from_str::<Metadata>(text).is_ok()
}
