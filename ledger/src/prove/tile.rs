//! Tiles of the tree (c2sp.org/tlog-tiles): their levels are those that are stored, so a tile is one range read.

use xagent_domain::Digest;
use xagent_tree::Tile;

use super::hashes::Span;
use crate::{Ledger, LedgerError};

impl Ledger {
    /// The hashes of a tile; `None` where the tree has no such tile yet.
    pub async fn tile(&self, tile: Tile) -> Result<Option<Vec<Digest>>, LedgerError> {
        let (Some(level), Some(start), Some(size)) = (tile.height(), tile.first(), tile.smallest_tree()) else {
            return Ok(None);
        };
        if !self.reaches(size).await? {
            return Ok(None);
        }
        let end = start + u64::from(tile.width());
        let hashes = self.spans(&[Span { level, start, end }]).await?;
        (start..end).map(|index| hashes.at(level, index)).collect::<Result<_, _>>().map(Some)
    }
}
