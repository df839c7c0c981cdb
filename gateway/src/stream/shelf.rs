//! Events that left the window, read from the ledger in blocks that readers share. Bounded in bytes and in reads at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::sync::Semaphore;
use xagent_domain::Recorded;
use xagent_ledger::{Ledger, LedgerError};

use super::item::Item;
use super::reader::Trouble;
use super::window::HANDFUL;

/// Events of a block.
const BLOCK: u32 = 64;
/// Blocks read at once, so that readers who come back together do not drown the database.
const AT_ONCE: usize = 4;

type Block = Arc<[Arc<Item>]>;

/// Blocks of events, the least used forgotten first.
pub struct Shelf {
    ledger: Ledger,
    kept: Mutex<Kept>,
    reads: Semaphore,
    most_bytes: usize,
}

struct Kept {
    blocks: LruCache<u64, Block>,
    bytes: usize,
}

impl Shelf {
    /// Keeps so many bytes of events.
    pub fn new(ledger: Ledger, most_bytes: usize) -> Self {
        let kept = Mutex::new(Kept { blocks: LruCache::unbounded(), bytes: 0 });
        Self { ledger, kept, reads: Semaphore::new(AT_ONCE), most_bytes }
    }

    /// Some events behind position `after`, at least one.
    pub async fn after(&self, after: u64) -> Result<VecDeque<Arc<Item>>, Trouble> {
        let start = after - after % u64::from(BLOCK);
        if let Some(block) = self.known(start) {
            return Ok(behind(&block, after));
        }
        let _slot = self.reads.acquire().await.map_err(|_| Trouble::away("the server is stopping"))?;
        if let Some(block) = self.known(start) {
            return Ok(behind(&block, after));
        }
        let block = match self.read(start).await {
            // The block begins in a range that is archived, but what is asked for may not.
            Err(LedgerError::Archived { .. }) => self.read(after).await?,
            block => block?,
        };
        let items = block.into_iter().map(Item::new).collect::<Result<Vec<_>, _>>();
        let block: Block = items.map_err(|problem| Trouble::tampered(problem.detail))?.into();
        self.keep(start, &block);
        Ok(behind(&block, after))
    }

    async fn read(&self, after: u64) -> Result<Vec<Recorded>, LedgerError> {
        self.ledger.subscribe(after, BLOCK).next_within(Duration::ZERO).await
    }

    fn known(&self, start: u64) -> Option<Block> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).blocks.get(&start).cloned()
    }

    /// Only what is whole is kept: nothing can come to it.
    fn keep(&self, start: u64, block: &Block) {
        let whole = block.len() == BLOCK as usize && block.first().is_some_and(|item| item.position == start + 1);
        if !whole {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += weight(block);
        if let Some(before) = kept.blocks.put(start, block.clone()) {
            kept.bytes -= weight(&before);
        }
        while kept.bytes > self.most_bytes {
            let Some((_, oldest)) = kept.blocks.pop_lru() else { break };
            kept.bytes -= weight(&oldest);
        }
    }
}

fn weight(block: &Block) -> usize {
    block.iter().map(|item| item.weight()).sum()
}

fn behind(block: &Block, after: u64) -> VecDeque<Arc<Item>> {
    block.iter().filter(|item| item.position > after).take(HANDFUL).cloned().collect()
}
