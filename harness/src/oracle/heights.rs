//! H(p): how far each attempt had read each partition, as far as its effects show.

use super::history::History;
use super::sweep::Located;
use crate::workload::ledger::{Ledger, Offset};

/// For each attempt and slot, one more than the highest offset it read.
#[derive(Debug)]
pub(super) struct Heights {
    slots: usize,
    /// By attempt, then slot.
    heights: Vec<Offset>,
}

impl Heights {
    /// An attempt begins with everything below the cut it restored already read.
    pub(super) fn new(history: &History, ledger: &Ledger) -> Self {
        let slots = ledger.partitions().len();
        let lineage = &history.lineage;
        let heights = (0..lineage.attempts.len()).flat_map(|at| {
            (0..slots).map(move |slot| lineage.first_offset(at, slot, &history.cuts, ledger))
        });
        Self { slots, heights: heights.collect() }
    }

    pub(super) fn observe(&mut self, located: &Located<'_>) {
        if let Some(source) = located.source.filter(|_| located.position.is_some()) {
            let height = &mut self.heights[source * self.slots + located.slot];
            *height = (*height).max(Offset(located.effect.offset.0 + 1));
        }
    }

    /// One more than the highest offset that the attempt read of the partition.
    pub(super) fn get(&self, attempt: usize, slot: usize) -> Offset {
        self.heights[attempt * self.slots + slot]
    }
}
