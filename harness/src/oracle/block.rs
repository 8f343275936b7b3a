//! Effects regrouped by partition, block by block.
//!
//! A sink's rows jump from partition to partition, and each partition's part of the ledger, the
//! cuts and the sets lies in pages of its own: in order of arrival nearly every look-up would
//! miss. Within a block, a partition's effects are handed on together, in order of arrival.

use super::evidence::Effect;

/// Effects of one block: some for each of 2000 partitions, and small enough for the cache.
const EFFECTS: usize = 1 << 15;

/// The effects that were not handed on yet.
#[derive(Debug)]
pub(super) struct Block {
    effects: Vec<(u32, Effect)>,
    /// By slot: how many effects; while they are handed on, where the next one goes.
    counts: Vec<u32>,
    /// Places in `effects`, by slot.
    order: Vec<u32>,
}

impl Block {
    pub(super) fn new(slots: usize) -> Self {
        Self { effects: Vec::new(), counts: vec![0; slots], order: Vec::new() }
    }

    /// Takes an effect; true when the block is full.
    pub(super) fn push(&mut self, slot: usize, effect: Effect) -> bool {
        self.effects.push((slot as u32, effect));
        self.counts[slot] += 1;
        self.effects.len() == EFFECTS
    }

    /// Hands on everything, by slot and then in order of arrival.
    pub(super) fn drain(&mut self, mut take: impl FnMut(usize, &Effect)) {
        let mut next = 0;
        for count in &mut self.counts {
            next += std::mem::replace(count, next);
        }
        self.order.resize(self.effects.len(), 0);
        for (at, (slot, _)) in self.effects.iter().enumerate() {
            let place = &mut self.counts[*slot as usize];
            self.order[*place as usize] = at as u32;
            *place += 1;
        }
        for at in &self.order {
            let (slot, effect) = &self.effects[*at as usize];
            take(*slot as usize, effect);
        }
        self.effects.clear();
        self.counts.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::ids::{AttemptId, CheckpointId};
    use crate::workload::ledger::{Offset, PartitionId};

    fn effect(seq: u64, partition: u32) -> Effect {
        Effect {
            seq,
            partition: PartitionId(partition),
            offset: Offset(seq),
            index: 0,
            source_attempt: AttemptId(1),
            sink_attempt: AttemptId(1),
            subtask: 0,
            tag: CheckpointId(0),
            batch: 0,
            batch_try: 0,
            sent_us: 0,
        }
    }

    #[test]
    fn a_block_keeps_the_order_of_arrival_within_a_slot() {
        let mut block = Block::new(3);
        for round in 0..2 {
            for (seq, slot) in [(1, 2), (2, 0), (3, 2), (4, 1), (5, 0)] {
                assert!(!block.push(slot, effect(seq + round, slot as u32)));
            }
            let mut taken = Vec::new();
            block.drain(|slot, effect| taken.push((slot, effect.seq - round)));
            assert_eq!(taken, [(0, 2), (0, 5), (1, 4), (2, 1), (2, 3)]);
        }
    }

    #[test]
    fn a_block_says_when_it_is_full() {
        let mut block = Block::new(7);
        let full: Vec<usize> =
            (1..=EFFECTS).filter(|n| block.push(n % 7, effect(*n as u64, 0))).collect();
        assert_eq!(full, [EFFECTS]);
        let mut taken = 0;
        block.drain(|_, _| taken += 1);
        assert_eq!(taken, EFFECTS);
    }
}
