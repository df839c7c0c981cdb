//! Which column of an event was changed: each is tried as it may have been, until the event gives the hash it was sealed
//! with. Pure; only `inspect` calls it.

use xagent_domain::{CanonicalJson, Digest, Place, Placeless};
use xagent_tree::LeafSeed;

use super::inspect::is_metadata;
use crate::row::Row;

/// Times of recording that are tried: a second's microseconds.
const TIMES: i64 = 1_000_000;

/// The column that was changed, if trying or looking tells.
pub(super) fn suspect(row: &Row, sealed: &Digest, neighbours: [Option<&Row>; 2]) -> Option<&'static str> {
    let tenant = row.tenant().ok()?;
    let content = row.placeless(&tenant).ok()?;
    let seed = LeafSeed::new(&content).ok()?;
    let place = row.place();
    place_column(&seed, place, sealed, neighbours)
        .or_else(|| near_column(content, place, sealed, neighbours))
        .or_else(|| hand_made(content))
        .or_else(|| by_elimination(row, neighbours))
}

/// The columns of its place: time and sequence.
fn place_column(seed: &LeafSeed, place: Place, sealed: &Digest, neighbours: [Option<&Row>; 2]) -> Option<&'static str> {
    let times = neighbours.map(|near| near.map(|near| near.recorded_at_us));
    // Positions are in order of time, so it was recorded between its neighbours.
    let (from, to) = match times {
        [Some(before), Some(after)] => (before, after.min(before.saturating_add(TIMES))),
        [Some(time), None] | [None, Some(time)] => (time.saturating_sub(TIMES / 2), time.saturating_add(TIMES / 2)),
        [None, None] => (place.recorded_at_us - TIMES / 2, place.recorded_at_us.saturating_add(TIMES / 2)),
    };
    let mut near = times.into_iter().flatten().chain(from..=to);
    if near.any(|recorded_at_us| seed.at(Place { recorded_at_us, ..place }) == *sealed) {
        return Some("recorded_at");
    }
    let sequences = (1..=16).flat_map(|by| [place.sequence + by, place.sequence.saturating_sub(by)]);
    let mut sequences = sequences.filter(|sequence| *sequence > 0);
    sequences.any(|sequence| seed.at(Place { sequence, ..place }) == *sealed).then_some("sequence")
}

/// The columns it often has in common with its neighbours, and those that follow from its payload.
fn near_column(
    content: Placeless<'_>,
    place: Place,
    sealed: &Digest,
    neighbours: [Option<&Row>; 2],
) -> Option<&'static str> {
    let fits = |tried: Placeless<'_>| LeafSeed::new(&tried).is_ok_and(|seed| seed.at(place) == *sealed);
    for near in neighbours.into_iter().flatten() {
        let Ok(tenant) = near.tenant() else { continue };
        let Ok(near) = near.placeless(&tenant) else { continue };
        let tried = [
            ("metadata", Placeless { metadata: near.metadata, ..content }),
            ("payload", Placeless { payload: near.payload, ..content }),
            ("aggregate_id", Placeless { aggregate_id: near.aggregate_id, ..content }),
            ("aggregate_type", Placeless { aggregate_type: near.aggregate_type, ..content }),
            ("tenant", Placeless { tenant: near.tenant, ..content }),
            ("event_type", Placeless { event_type: near.event_type, ..content }),
            ("event_version", Placeless { event_version: near.event_version, ..content }),
        ];
        if let Some((column, _)) = tried.into_iter().find(|(_, tried)| fits(*tried)) {
            return Some(column);
        }
    }
    let named = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(content.payload).ok();
    let named = named.and_then(|payload| payload.keys().next().cloned())?;
    fits(Placeless { event_type: &named, ..content }).then_some("event_type")
}

/// What the ledger writes is canonical; what is written by hand seldom is.
fn hand_made(content: Placeless<'_>) -> Option<&'static str> {
    let canonical = |text: &str| CanonicalJson::parse(text).is_ok_and(|canonical| canonical.as_str() == text);
    match (canonical(content.payload), canonical(content.metadata) && is_metadata(content.metadata)) {
        (false, true) => Some("payload"),
        (true, false) => Some("metadata"),
        (true, true) | (false, false) => None,
    }
}

/// Events of one command have their metadata in common: where they still have, it was the payload.
fn by_elimination(row: &Row, neighbours: [Option<&Row>; 2]) -> Option<&'static str> {
    let same = |near: &&Row| near.metadata() == row.metadata() && near.stream() == row.stream();
    neighbours.into_iter().flatten().any(|near| same(&near)).then_some("payload")
}
