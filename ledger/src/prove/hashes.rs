//! The stored hashes that ranges of the tree are made of, read at once: leaf hashes, and nodes of every eighth level.

use std::collections::{BTreeMap, HashMap};

use sqlx::Row;
use sqlx::postgres::PgRow;
use xagent_domain::Digest;
use xagent_tree::{Frontier, Range, Subtree};

use super::missing;
use crate::read::{digest, unsigned};
use crate::{Ledger, LedgerError};

const OPERATION: &str = "read the tree";
/// Hashes of a span at most, as the query reads them.
const WIDEST: u64 = 512;

/// Hashes by level and index.
pub(super) struct Hashes(HashMap<(u8, u64), Digest>);

/// Adjacent stored hashes of one level: `start` to `end`, without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) level: u8,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    /// What the root of a subtree is computed from: the hashes of the stored level at most seven below, 128 of them.
    fn under(subtree: Subtree) -> Self {
        let above = subtree.level % 8;
        let start = subtree.index << above;
        Self { level: subtree.level - above, start, end: start + (1 << above) }
    }
}

impl Ledger {
    /// All that the roots of `ranges` are computed from, in one round trip.
    pub(super) async fn hashes(&self, ranges: &[Range]) -> Result<Hashes, LedgerError> {
        self.spans(&spans(ranges)).await
    }

    pub(super) async fn spans(&self, spans: &[Span]) -> Result<Hashes, LedgerError> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (leaves, nodes): (Vec<&Span>, Vec<&Span>) = spans.iter().partition(|span| span.level == 0);
        let starts = |spans: &[&Span]| spans.iter().map(|span| signed(span.start)).collect::<Vec<_>>();
        let ends = |spans: &[&Span]| spans.iter().map(|span| signed(span.end)).collect::<Vec<_>>();
        let query = sqlx::query(include_str!("hashes.sql"))
            .bind(starts(&leaves))
            .bind(ends(&leaves))
            .bind(nodes.iter().map(|span| i16::from(span.level)).collect::<Vec<_>>())
            .bind(starts(&nodes))
            .bind(ends(&nodes));
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let read = |row: &PgRow| {
            let (level, bytes): (i16, Vec<u8>) = (row.try_get("level")?, row.try_get("hash")?);
            let level = u8::try_from(level).map_err(|error| crate::read::undecodable("level", error))?;
            Ok(((level, unsigned(row, "index")?), digest(&bytes, "hash")?))
        };
        let hashes = rows.iter().map(read).collect::<Result<_, _>>();
        hashes.map(Hashes).map_err(|error: sqlx::Error| LedgerError::database(OPERATION, &error))
    }
}

/// Each hash once, though ranges overlap, in as few spans as there are gaps.
fn spans(ranges: &[Range]) -> Vec<Span> {
    let mut levels: BTreeMap<u8, Vec<Span>> = BTreeMap::new();
    for span in ranges.iter().flat_map(|range| range.subtrees()).map(Span::under) {
        levels.entry(span.level).or_default().push(span);
    }
    for level in levels.values_mut() {
        level.sort_unstable_by_key(|span| span.start);
        level.dedup_by(|next, last| {
            let end = last.end.max(next.end);
            let touches = next.start <= last.end && end - last.start <= WIDEST;
            if touches {
                last.end = end;
            }
            touches
        });
    }
    levels.into_values().flatten().collect()
}

impl Hashes {
    /// The root of a range whose hashes were read.
    pub(super) fn root(&self, range: Range) -> Result<Digest, LedgerError> {
        let roots: Result<Vec<_>, _> = range.subtrees().into_iter().map(|subtree| self.subtree_root(subtree)).collect();
        range.root(&roots?).ok_or_else(|| missing(range.start))
    }

    /// The roots of ranges, in order.
    pub(super) fn roots(&self, ranges: &[Range]) -> Result<Vec<Digest>, LedgerError> {
        ranges.iter().map(|range| self.root(*range)).collect()
    }

    /// One stored hash.
    pub(super) fn at(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        self.0.get(&(level, index)).copied().ok_or_else(|| missing(index << level))
    }

    fn subtree_root(&self, subtree: Subtree) -> Result<Digest, LedgerError> {
        let Span { level, start, end } = Span::under(subtree);
        let mut frontier = Frontier::default();
        for index in start..end {
            frontier.push(self.at(level, index)?, |_, _| {});
        }
        Ok(frontier.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_ranges_read_each_hash_once() {
        let span = |level, start, end| Span { level, start, end };
        let ranges = [Range { start: 0, end: 300 }, Range { start: 256, end: 300 }, Range { start: 299, end: 300 }];
        assert_eq!(spans(&ranges), [span(0, 256, 300), span(8, 0, 1)]);
        let apart = [Range { start: 0, end: 1 }, Range { start: 2, end: 4 }, Range { start: 1, end: 2 }];
        assert_eq!(spans(&apart), [span(0, 0, 4)]);
        assert_eq!(spans(&[]), []);
    }

    #[test]
    fn a_span_is_never_wider_than_what_is_read_of_it() {
        let ranges: Vec<_> = (0..5_000).map(|leaf| Range { start: leaf, end: leaf + 1 }).collect();
        let spans = spans(&ranges);
        assert!(spans.iter().all(|span| span.end - span.start <= WIDEST), "{spans:?}");
        assert_eq!(spans.iter().map(|span| span.end - span.start).sum::<u64>(), 5_000);
    }

    #[test]
    fn a_proof_over_a_billion_events_reads_a_few_spans() {
        let size = 1_000_000_007;
        let mut ranges = xagent_tree::inclusion_ranges(123_456_789, size).unwrap();
        ranges.extend([Range { start: 123_456_789, end: 123_456_790 }, Range { start: 0, end: size }]);
        let spans = spans(&ranges);
        let hashes: u64 = spans.iter().map(|span| span.end - span.start).sum();
        assert!(spans.len() <= 12 && hashes <= 4 * 512, "{} spans, {hashes} hashes", spans.len());
    }
}
