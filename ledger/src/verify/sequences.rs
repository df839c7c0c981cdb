//! Whether every event follows on the one before it in its stream: the streams met last are kept in memory, within a
//! bound; of the others the database is asked, by index.

use std::collections::HashMap;

use super::end::Guard;
use super::inspect::{Checked, StreamKey};
use crate::LedgerError;

/// Streams of a generation; there are two.
const STREAMS: usize = 450_000;

/// The sequences of the streams met last.
#[derive(Default)]
pub(super) struct Sequences {
    young: HashMap<StreamKey, u64>,
    old: HashMap<StreamKey, u64>,
    /// Whether a stream was forgotten, or began before the walk did.
    forgetful: bool,
    asked: Vec<Asked>,
}

/// An event whose stream is not known.
struct Asked {
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    position: u64,
}

/// An event that does not follow on the one before it.
pub(super) struct Breach {
    pub position: u64,
    pub stream: String,
    pub sequence: u64,
}

impl Sequences {
    /// From here on there are streams whose beginning the walk has not seen.
    pub(super) fn forget(&mut self) {
        self.forgetful = true;
    }

    /// The next event of the walk. Of one that is `archived` the database has no index to ask.
    pub(super) fn meet(&mut self, event: &Checked, archived: bool) -> Option<Breach> {
        let known = self.young.get(&event.stream).or_else(|| self.old.get(&event.stream)).copied();
        self.keep(event.stream, event.sequence.max(known.unwrap_or(0)));
        let breach = match known {
            Some(last) => event.sequence != last + 1,
            None if self.forgetful && archived => false,
            None if self.forgetful => {
                let (kind, id) = event.row.stream().unwrap_or_default();
                let (aggregate_type, aggregate_id) = (kind.to_owned(), id.to_owned());
                let (sequence, position) = (event.sequence, event.position);
                self.asked.push(Asked { aggregate_type, aggregate_id, sequence, position });
                false
            }
            None => event.sequence != 1,
        };
        breach.then(|| Breach { position: event.position, stream: name(event), sequence: event.sequence })
    }

    fn keep(&mut self, stream: StreamKey, sequence: u64) {
        if self.young.len() >= STREAMS && !self.young.contains_key(&stream) {
            self.old = std::mem::take(&mut self.young);
            self.forgetful = true;
        }
        self.young.insert(stream, sequence);
    }

    /// Asks the database about the events met since the last time.
    pub(super) async fn settle(&mut self, guard: &mut Guard) -> Result<Vec<Breach>, LedgerError> {
        let asked = std::mem::take(&mut self.asked);
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let query = sqlx::query(include_str!("predecessors.sql"))
            .bind(asked.iter().map(|event| event.aggregate_type.as_str()).collect::<Vec<_>>())
            .bind(asked.iter().map(|event| event.aggregate_id.as_str()).collect::<Vec<_>>())
            .bind(asked.iter().map(|event| signed(event.sequence)).collect::<Vec<_>>())
            .bind(asked.iter().map(|event| signed(event.position)).collect::<Vec<_>>());
        let astray = guard.numbers(query).await?;
        let found = astray.into_iter().filter_map(|ordinal| asked.get(usize::try_from(ordinal - 1).ok()?));
        let breach = |event: &Asked| Breach {
            position: event.position,
            stream: format!("{}/{}", event.aggregate_type, event.aggregate_id),
            sequence: event.sequence,
        };
        Ok(found.map(breach).collect())
    }
}

fn name(event: &Checked) -> String {
    let (kind, id) = event.row.stream().unwrap_or_default();
    format!("{kind}/{id}")
}
