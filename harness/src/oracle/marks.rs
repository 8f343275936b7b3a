//! Sets of records as bits, one for each record of the ledger.
//!
//! A record is known by its slot and its position among the records of its partition, so gaps
//! in a log cost nothing. Slots begin at words of their own. A set of a run with ten million
//! records takes 1.25 MB, and pages that nothing marks are never touched.

use std::sync::Arc;

use crate::workload::ledger::Ledger;

const WORD_BITS: usize = u64::BITS as usize;

/// Where the records of each slot are; shared by all sets of one ledger.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The first word of each slot, and the number of words at the end.
    first_word: Arc<[usize]>,
}

impl Layout {
    pub(super) fn new(ledger: &Ledger) -> Self {
        let words = ledger.partitions().iter().scan(0, |next, partition| {
            *next += (partition.records() as usize).div_ceil(WORD_BITS);
            Some(*next)
        });
        Self { first_word: std::iter::once(0).chain(words).collect() }
    }
}

/// A set of records.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    layout: Layout,
    words: Vec<u64>,
}

impl Marks {
    /// An empty set.
    pub(super) fn new(layout: &Layout) -> Self {
        let words = layout.first_word.last().copied().unwrap_or_default();
        Self { layout: layout.clone(), words: vec![0; words] }
    }

    /// Adds a record; false when the set has it already.
    pub(super) fn insert(&mut self, slot: usize, position: usize) -> bool {
        let word = &mut self.words[self.layout.first_word[slot] + position / WORD_BITS];
        let bit = 1 << (position % WORD_BITS);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Adds all records of another set of the same ledger.
    pub(super) fn merge(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
    }

    /// The number of records.
    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The positions of a slot, of `records` records, that are not in the set; ascending.
    pub(super) fn missing(&self, slot: usize, records: u64) -> impl Iterator<Item = usize> + '_ {
        let gaps = self.of(slot).iter().enumerate().filter(|(_, word)| **word != u64::MAX);
        gaps.flat_map(|(at, word)| ones(!word).map(move |bit| at * WORD_BITS + bit))
            .take_while(move |position| (*position as u64) < records)
    }

    /// The nearest positions below and above one, in its slot.
    pub(super) fn nearest(&self, slot: usize, position: usize) -> [Option<usize>; 2] {
        let words = self.of(slot);
        let (at, bit) = (position / WORD_BITS, position % WORD_BITS);
        let own = words.get(at).copied().unwrap_or_default();
        let (lower, upper) = (own & ((1 << bit) - 1), own & (u64::MAX << bit << 1));
        let below = std::iter::once((at, lower))
            .chain(words.iter().copied().enumerate().take(at).rev())
            .find_map(|(at, word)| Some(at * WORD_BITS + word.checked_ilog2()? as usize));
        let above = std::iter::once((at, upper))
            .chain(words.iter().copied().enumerate().skip(at + 1))
            .find_map(|(at, word)| Some(at * WORD_BITS + ones(word).next()?));
        [below, above]
    }

    fn of(&self, slot: usize) -> &[u64] {
        &self.words[self.layout.first_word[slot]..self.layout.first_word[slot + 1]]
    }
}

/// The set bits of a word, ascending.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::workload::ledger::{LedgerBuilder, Offset, PartitionId};

    /// A ledger whose partitions hold so many records.
    fn ledger(sizes: &[usize]) -> Ledger {
        let mut builder = LedgerBuilder::new();
        for (partition, size) in sizes.iter().enumerate() {
            let id = PartitionId(partition as u32);
            builder.set_bounds(id, Offset(0), Offset(*size as u64));
            (0..*size as u64)
                .for_each(|offset| builder.push(id, Offset(offset), None, None).expect("in order"));
        }
        builder.finish().expect("a ledger")
    }

    proptest! {
        #[test]
        fn marks_are_a_set(
            sizes in prop::collection::vec(0_usize..200, 1..5),
            picks in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..200), 0..300),
            asked in (any::<prop::sample::Index>(), 0_usize..200),
        ) {
            let ledger = ledger(&sizes);
            let layout = Layout::new(&ledger);
            let (mut marks, mut model) = (Marks::new(&layout), BTreeSet::new());
            for (slot, position) in picks {
                let slot = slot.index(sizes.len());
                if position < sizes[slot] {
                    let new = marks.insert(slot, position);
                    prop_assert_eq!(new, model.insert((slot, position)));
                }
            }
            prop_assert_eq!(marks.count(), model.len() as u64);
            for (slot, size) in sizes.iter().enumerate() {
                let missing: Vec<usize> = marks.missing(slot, *size as u64).collect();
                let expected: Vec<usize> =
                    (0..*size).filter(|at| !model.contains(&(slot, *at))).collect();
                prop_assert_eq!(missing, expected);
            }
            let (slot, at) = (asked.0.index(sizes.len()), asked.1);
            if at < sizes[slot] {
                let below = model.range((slot, 0)..(slot, at)).next_back().map(|found| found.1);
                let above = model.range((slot, at + 1)..(slot, usize::MAX)).next();
                prop_assert_eq!(marks.nearest(slot, at), [below, above.map(|found| found.1)]);
            }
        }
    }
}
