//! The one pass over the audit table: each effect is located once, then shown to every tracker.
//!
//! Effects of batches that were tried more than once are set aside: of the rows that the tries
//! left for one record, the last try's is the effect and the earlier ones are *in-doubt copies*,
//! the duplicates that a transaction with an unknown outcome may leave.

use std::collections::BTreeSet;

use super::block::Block;
use super::conservation::Cells;
use super::duplicates::Fate;
use super::evidence::{AuditSource, Effect, EvidenceError};
use super::fencing::FencingTracker;
use super::heights::Heights;
use super::held::HeldTracker;
use super::history::History;
use super::ids::BatchId;
use super::lineage::Origin;
use super::order::OrderTracker;
use super::seen::Seen;
use super::verdict::{Site, Witnesses};
use crate::workload::ledger::Ledger;

/// An effect and what the ledger and the lineage say about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) effect: &'a Effect,
    pub(super) slot: usize,
    /// The record's place among the records of its partition, when the ledger has it.
    pub(super) position: Option<usize>,
    /// The index of the attempt whose source read the record, if it is known.
    pub(super) source: Option<usize>,
    /// The index of the attempt whose sink wrote the effect.
    pub(super) sink: usize,
    /// The rank by the tag alone.
    pub(super) tag_rank: usize,
    /// The effect survives with respect to the sink attempt's cuts of this and higher ranks.
    pub(super) rank: usize,
    pub(super) origin: Origin,
}

/// What the pass found.
#[derive(Debug)]
pub(super) struct Sweep {
    /// Rows of the audit table.
    pub(super) effects: u64,
    /// Effects of records that the ledger does not have.
    pub(super) phantoms: Witnesses,
    pub(super) fencing: FencingTracker,
    pub(super) seen: Seen,
    pub(super) order: OrderTracker,
    pub(super) heights: Heights,
    pub(super) held: HeldTracker,
    pub(super) cells: Cells,
    pub(super) fate: Fate,
    /// Rows of batches of which a later try left rows, too.
    pub(super) in_doubt_copies: u64,
    /// The same, by record.
    pub(super) copies: Witnesses,
    block: Block,
    set_aside: Vec<Effect>,
}

impl Sweep {
    /// Reads the audit table once.
    pub(super) fn run(
        ledger: &Ledger,
        history: &History,
        keyed: bool,
        audit: &mut dyn AuditSource,
    ) -> Result<Self, EvidenceError> {
        let retried = audit.retried_batches()?;
        let mut sweep = Self {
            effects: 0,
            phantoms: Witnesses::default(),
            fencing: FencingTracker::default(),
            seen: Seen::new(history, ledger),
            order: OrderTracker::new(ledger, keyed, history.is_rescaled()),
            heights: Heights::new(history, ledger),
            held: HeldTracker::default(),
            cells: Cells::new(history, ledger),
            fate: Fate::new(history, ledger),
            in_doubt_copies: 0,
            copies: Witnesses::default(),
            block: Block::new(ledger.partitions().len()),
            set_aside: Vec::new(),
        };
        audit.effects(&mut |effect| sweep.visit(effect, &retried, ledger, history))?;
        sweep.digest_block(ledger, history);
        sweep.settle_retried(ledger, history);
        Ok(sweep)
    }

    fn visit(
        &mut self,
        effect: &Effect,
        retried: &BTreeSet<BatchId>,
        ledger: &Ledger,
        history: &History,
    ) {
        self.effects += 1;
        self.fencing.observe(effect, &history.lineage);
        if !retried.is_empty() && retried.contains(&effect.batch_id()) {
            self.set_aside.push(*effect);
            return;
        }
        let Some(slot) = ledger.slot(effect.partition) else {
            return self.stray(effect, ledger);
        };
        // A sink subtask's rows are of many partitions: what it holds is watched as it comes.
        if history.holds_records
            && let Some(located) = locate(effect, ledger, history)
        {
            self.held.observe(&located, history);
        }
        if self.block.push(slot, *effect) {
            self.digest_block(ledger, history);
        }
    }

    fn digest_block(&mut self, ledger: &Ledger, history: &History) {
        let mut block = std::mem::replace(&mut self.block, Block::new(0));
        block.drain(|slot, effect| match locate_in(slot, effect, ledger, history) {
            Some(located) => {
                self.order.observe(&located, ledger);
                self.absorb(&located, history);
            }
            None => self.stray(effect, ledger),
        });
        self.block = block;
    }

    /// Splits the rows of retried batches into effects and in-doubt copies.
    fn settle_retried(&mut self, ledger: &Ledger, history: &History) {
        let mut rows = std::mem::take(&mut self.set_aside);
        rows.sort_unstable_by_key(|row| (same_write(row), row.batch_try, row.seq));
        for (at, row) in rows.iter().enumerate() {
            let next = rows.get(at + 1).filter(|next| same_write(next) == same_write(row));
            match (next, locate(row, ledger, history)) {
                (Some(next), _) if next.batch_try > row.batch_try => self.copy(row, next),
                (_, Some(located)) => self.absorb(&located, history),
                (_, None) => self.stray(row, ledger),
            }
        }
    }

    fn copy(&mut self, row: &Effect, next: &Effect) {
        self.in_doubt_copies += 1;
        let site = Site::record(row.partition, row.offset).of(row.sink_attempt);
        self.copies.add(site, || {
            format!(
                "batch {} of attempt {} left offset {} of partition {} twice: row {} of try {}, and \
                 row {} of try {}, which was made although the earlier one was there to be found",
                row.batch,
                row.sink_attempt,
                row.offset,
                row.partition,
                row.seq,
                row.batch_try,
                next.seq,
                next.batch_try
            )
        });
    }

    fn absorb(&mut self, located: &Located<'_>, history: &History) {
        if located.position.is_none() {
            self.phantom(located.effect);
        }
        self.seen.observe(located, history);
        self.heights.observe(located);
        self.cells.observe(located, history);
        self.fate.observe(located, history);
    }

    /// An effect of an unknown partition, or of an attempt that never took its fence.
    fn stray(&mut self, effect: &Effect, ledger: &Ledger) {
        let known = ledger.slot(effect.partition).and_then(|slot| {
            ledger.partitions()[slot].position(effect.offset).filter(|_| effect.index == 0)
        });
        if known.is_none() {
            self.phantom(effect);
        }
        self.fate.over(effect, "belongs to no attempt and partition of the run");
    }

    fn phantom(&mut self, effect: &Effect) {
        let site = Site::record(effect.partition, effect.offset).of(effect.sink_attempt);
        self.phantoms.add(site, || {
            let of = if effect.index == 0 {
                String::new()
            } else {
                format!("derived record {} of ", effect.index)
            };
            format!(
                "row {} is an effect of {of}offset {} of partition {}, which the input does not \
                 hold (written by attempt {}, sink subtask {})",
                effect.seq, effect.offset, effect.partition, effect.sink_attempt, effect.subtask
            )
        });
    }
}

/// What the tries of one batch have in common for one record.
fn same_write(row: &Effect) -> impl Ord + Copy + use<> {
    (row.batch_id(), row.partition, row.offset, row.index, row.source_attempt)
}

/// Finds an effect's place; `None` when its partition or its sink attempt is unknown.
pub(super) fn locate<'a>(
    effect: &'a Effect,
    ledger: &Ledger,
    history: &History,
) -> Option<Located<'a>> {
    locate_in(ledger.slot(effect.partition)?, effect, ledger, history)
}

/// Finds an effect's place in the slot of its partition.
fn locate_in<'a>(
    slot: usize,
    effect: &'a Effect,
    ledger: &Ledger,
    history: &History,
) -> Option<Located<'a>> {
    let (lineage, cuts) = (&history.lineage, &history.cuts[..]);
    let sink = lineage.index(effect.sink_attempt)?;
    let source = lineage.index(effect.source_attempt);
    let partition = &ledger.partitions()[slot];
    let position = partition.position(effect.offset).filter(|_| effect.index == 0);
    let made = &lineage.attempts[sink];
    let tag_rank = made.tag_rank(effect.tag);
    let origin = lineage.origin((sink, source), (slot, effect.offset), tag_rank, cuts, ledger);
    let mut rank = tag_rank;
    // What the next cut holds was not confirmed by then: a restore discards it and emits it again.
    while made
        .cuts
        .get(rank)
        .is_some_and(|cut| cuts[*cut].holds(slot, effect.offset, effect.source_attempt))
    {
        rank += 1;
    }
    Some(Located { effect, slot, position, source, sink, tag_rank, rank, origin })
}
