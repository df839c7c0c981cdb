//! The walk over the whole ledger in order of position: it fills blocks, has each judged, and keeps what it finds.

use std::collections::VecDeque;

use xagent_domain::Digest;
use xagent_tree::{Frontier, Subtree};

use super::block::{Block, Settled, Slot, tree};
use super::fault::{Fault, Rewritten, Witness};
use super::findings::Findings;
use super::inspect::Checked;
use super::keys::Keys;
use super::marks::{Marks, SPAN, Signed};
use super::sequences::{Breach, Sequences};
use super::spine::{BLOCK, LEVEL, Spine, Verdict};
use crate::{Ledger, LedgerError};

pub(super) struct Walk<'a> {
    ledger: &'a Ledger,
    /// Where the ledger ended when the walk began.
    end: u64,
    /// What the head row says of the tree up to there.
    head: Option<Frontier>,
    spine: Spine,
    block: Block,
    marks: Marks,
    /// Where the marks end.
    marked: u64,
    signed: VecDeque<Signed>,
    /// The largest size whose signed root fits.
    agreed: u64,
    told: Vec<Witness>,
    pub sequences: Sequences,
    keys: Keys,
    pub findings: Findings,
    pub events: u64,
}

impl<'a> Walk<'a> {
    /// Before the first event. `outside` are signed roots that were kept elsewhere.
    pub(super) fn new(ledger: &'a Ledger, end: u64, head: Option<Frontier>, mut outside: Vec<Signed>) -> Self {
        outside.sort_by_key(|signed| signed.size);
        Self {
            ledger,
            end,
            head,
            spine: Spine::default(),
            block: Block::default(),
            marks: Marks::default(),
            marked: 0,
            signed: outside.into(),
            agreed: 0,
            told: Vec::new(),
            sequences: Sequences::default(),
            keys: Keys::default(),
            findings: Findings::default(),
            events: 0,
        }
    }

    /// The last position that was walked over.
    pub(super) fn position(&self) -> u64 {
        self.spine.blocks() * BLOCK + self.block.len()
    }

    /// The next event there is; `archived` where it comes from a file.
    pub(super) async fn event(&mut self, mut checked: Checked, archived: bool) -> Result<(), LedgerError> {
        let position = checked.position;
        if position <= self.position() {
            self.findings.add(Fault::Forged { position, last: position, detail: "the position is there twice" });
            return Ok(());
        }
        self.missing_up_to(position - 1).await?;
        if self.position() + 1 < position {
            return Ok(());
        }
        self.findings.present();
        self.mark().await?;
        if archived {
            self.hold_to_kept_leaf(&mut checked);
        }
        self.events += 1;
        if let Some(fault) = self.keys.meet(&checked) {
            self.findings.add(fault);
        }
        match checked.holds() {
            true => {
                if let Some(breach) = self.sequences.meet(&checked, archived) {
                    self.breach(breach);
                }
            }
            false => self.findings.disturb(),
        }
        self.place(Slot::of(checked)).await
    }

    /// The leaf hash kept in the database of what was archived counts, not the one in the file.
    fn hold_to_kept_leaf(&self, checked: &mut Checked) {
        let Some(kept) = self.marks.leaf(checked.position) else { return };
        if kept != checked.recorded && checked.found != kept {
            checked.change("payload, metadata or another column");
        }
        checked.recorded = kept;
    }

    pub(super) fn breach(&mut self, breach: Breach) {
        if !self.findings.is_disturbed() {
            let Breach { position, stream, sequence } = breach;
            self.findings.add(Fault::OutOfSequence { position, stream, sequence });
        }
    }

    /// Nothing is there up to `last`.
    pub(super) async fn missing_up_to(&mut self, last: u64) -> Result<(), LedgerError> {
        while self.position() < last && !self.findings.is_full() {
            self.keys.interrupt();
            self.findings.missing(self.position() + 1);
            self.place(Slot::Missing).await?;
        }
        Ok(())
    }

    /// An archived range is walked over by the leaf hashes that were kept of it.
    pub(super) async fn hashes_up_to(&mut self, last: u64) -> Result<(), LedgerError> {
        self.sequences.forget();
        self.keys.interrupt();
        while self.position() < last && !self.findings.is_full() {
            self.mark().await?;
            match self.marks.leaf(self.position() + 1) {
                Some(leaf) => {
                    self.findings.present();
                    self.place(Slot::Hash(leaf)).await?;
                }
                None => self.missing_up_to(self.position() + 1).await?,
            }
        }
        Ok(())
    }

    /// The file of an archived range has no more events; it should have had them up to `last`.
    pub(super) async fn file_ends(&mut self, first: u64, last: u64) -> Result<(), LedgerError> {
        if self.position() < last && !self.findings.is_full() {
            let detail = format!("its file was read up to position {} of {last}", self.position());
            self.findings.add(Fault::Archive { position: first, detail });
        }
        self.hashes_up_to(last).await
    }

    /// Reads what is kept of the next span, where it begins.
    async fn mark(&mut self) -> Result<(), LedgerError> {
        if self.position() < self.marked || self.marked >= self.end {
            return Ok(());
        }
        let to = self.end.min(self.marked + SPAN);
        self.marks = self.ledger.marks(self.marked, to).await?;
        self.marks.faults.drain(..).for_each(|fault| self.findings.add(fault));
        self.signed.extend(self.marks.signed.drain(..));
        self.signed.make_contiguous().sort_by_key(|signed| signed.size);
        self.marked = to;
        Ok(())
    }

    async fn place(&mut self, slot: Slot) -> Result<(), LedgerError> {
        self.mark().await?;
        self.block.push(slot);
        if self.block.is_whole() {
            self.settle_block();
        }
        Ok(())
    }

    fn settle_block(&mut self) {
        let (block, index) = (std::mem::take(&mut self.block), self.spine.blocks());
        let (first, last) = (index * BLOCK + 1, (index + 1) * BLOCK);
        let node = self.marks.node(Subtree { level: LEVEL, index });
        let kept = node.and_then(|node| Frontier::from_bytes(BLOCK, node.as_bytes()).ok());
        let settled = block.settle(kept.as_ref());
        match node {
            None => self.findings.add(Fault::Node { position: first, last, level: LEVEL, problem: "missing" }),
            Some(kept) if settled.rebuilt => self.rebuilt(first, last, Witness::Node, kept, settled.root),
            Some(_) => {}
        }
        self.tell(block, &settled, first);
        self.check_signed(last - 1, &settled.leaves);
        for completed in self.spine.push(settled.root, node) {
            let Subtree { level, index } = completed.subtree;
            let (first, last) = ((index << level) + 1, (index + 1) << level);
            match self.marks.node(completed.subtree) {
                None => self.findings.add(Fault::Node { position: first, last, level, problem: "missing" }),
                Some(kept) => {
                    if let Verdict::Differs(found) = self.spine.judge(completed.by_events, completed.by_nodes, &kept) {
                        self.rebuilt(first, last, Witness::Node, kept, Some(found));
                    }
                }
            }
        }
        self.check_signed(last, &[]);
    }

    /// The end of the walk: what is no whole block, and the head row.
    pub(super) async fn settle_end(&mut self) -> Result<Option<Digest>, LedgerError> {
        self.missing_up_to(self.end).await?;
        if self.position() < self.end {
            return Ok(None);
        }
        if let Some(fault) = self.keys.finish() {
            self.findings.add(fault);
        }
        let (block, first) = (std::mem::take(&mut self.block), self.spine.blocks() * BLOCK + 1);
        let [spine, kept] = self.head_parts(block.len()).map_or([None, None], |parts| parts.map(Some));
        let settled = block.settle(kept.as_ref());
        self.tell(block, &settled, first);
        if let (true, Some(kept)) = (settled.rebuilt, &kept) {
            self.rebuilt(first, self.end, Witness::Head, kept.root(), settled.root);
        }
        if let Some(spine) = spine.filter(|spine| spine.size() > 0)
            && let Verdict::Differs(found) = self.spine.compare_root(&Frontier::default(), &spine.root())
        {
            self.rebuilt(1, spine.size(), Witness::Head, spine.root(), Some(found));
        }
        self.check_signed(self.end, &settled.leaves);
        if let Some(beyond) = self.signed.back() {
            let (position, last, witness) = (self.end + 1, beyond.size, beyond.witness);
            self.findings.add(Fault::Truncated { position, last, witness });
        }
        let tree = tree(&settled.leaves).and_then(|tail| self.spine.tree(&tail));
        Ok(tree.map(|tree| tree.root()))
    }

    /// What the head row says of whole blocks, and of the `tail` leaves after them.
    fn head_parts(&self, tail: u64) -> Option<[Frontier; 2]> {
        let (bytes, blocks) = (self.head.as_ref()?.to_bytes(), self.spine.blocks());
        let (spine, rest) = bytes.split_at_checked(blocks.count_ones() as usize * 32)?;
        Some([Frontier::from_bytes(blocks * BLOCK, spine).ok()?, Frontier::from_bytes(tail, rest).ok()?])
    }

    /// Tells of the rows of a block that do not hold.
    fn tell(&mut self, block: Block, settled: &Settled, first: u64) {
        for (slot, position) in block.slots().into_iter().zip(first..) {
            if let Slot::Changed { found, recorded, changed } = slot {
                self.findings.changed(position, found, recorded, changed, settled.hashes_changed);
            }
        }
    }

    /// Compares the signed roots of trees of up to `size` leaves; `leaves` are those after the last whole block.
    fn check_signed(&mut self, size: u64, leaves: &[Option<Digest>]) {
        while self.signed.front().is_some_and(|signed| signed.size <= size) {
            let Some(signed) = self.signed.pop_front() else { return };
            let in_block = usize::try_from(signed.size - self.spine.blocks() * BLOCK).unwrap_or(0);
            let Some(tail) = leaves.get(..in_block).and_then(tree) else { continue };
            match self.spine.compare_root(&tail, &signed.root) {
                Verdict::Fits => self.agreed = signed.size,
                Verdict::Differs(found) if !self.told.contains(&signed.witness) => {
                    self.told.push(signed.witness);
                    self.rebuilt(self.agreed + 1, signed.size, signed.witness, signed.root, Some(found));
                }
                Verdict::Differs(_) | Verdict::Unknown => {}
            }
        }
    }

    fn rebuilt(&mut self, position: u64, last: u64, witness: Witness, kept: Digest, found: Option<Digest>) {
        let rewritten = match witness {
            Witness::OutsideCheckpoint => Rewritten::Events,
            _ => Rewritten::Either,
        };
        let found = found.unwrap_or_else(|| Digest::from_bytes([0; 32]));
        self.findings.add(Fault::Rebuilt { position, last, witness, rewritten, kept, found });
    }

    /// What was rewritten where events and nodes differ, now that all of the tree was seen.
    pub(super) fn rewritten(&self) -> Rewritten {
        self.spine.rewritten()
    }
}
