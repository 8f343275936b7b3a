//! Figures of every subtask, from the topic and the audit table: who carries more, who is slower.
//!
//! Invariants: the audit table's own subtask numbers are believed and nothing else of the engine;
//! a subtask number beyond [`MOST`] is no subtask. It decides nothing.

use stormproof_reports::schema::SubtaskFigures;

use crate::workload::ledger::Ledger;

/// Subtasks of a vertex at most: they are 16 bits wide in a frame.
const MOST: usize = 1 << 16;

/// What is added up for each sink subtask.
#[derive(Debug, Default)]
pub(super) struct Subtasks {
    effects: Vec<u64>,
    first: Vec<FirstEffects>,
}

/// The first effects that a subtask wrote.
#[derive(Clone, Copy, Debug, Default)]
struct FirstEffects {
    records: u64,
    latency_us: u64,
}

impl Subtasks {
    /// An effect, duplicates included.
    pub(super) fn effect(&mut self, subtask: u32) {
        if let Some(count) = slot(&mut self.effects, subtask) {
            *count += 1;
        }
    }

    /// The first effect of a record, with its latency from the intended send time.
    pub(super) fn first_effect(&mut self, subtask: u32, latency_us: u64) {
        if let Some(first) = slot(&mut self.first, subtask) {
            first.records += 1;
            first.latency_us += latency_us;
        }
    }

    /// The figures: records in each partition, and what each sink subtask did.
    pub(super) fn figures(&self, ledger: &Ledger) -> Vec<SubtaskFigures> {
        let list = |what: &str, of: &str, unit: &str, values: Vec<u64>| SubtaskFigures {
            what: what.to_owned(),
            of: of.to_owned(),
            unit: unit.to_owned(),
            values,
        };
        let records = ledger.partitions().iter().map(|partition| partition.records()).collect();
        let mean = |first: &FirstEffects| first.latency_us / first.records.max(1);
        let means = self.first.iter().map(mean).collect();
        let mut figures = vec![list("records to read", "partition", "records", records)];
        if !self.effects.is_empty() {
            figures.push(list("effects written", "sink", "effects", self.effects.clone()));
        }
        if !self.first.is_empty() {
            figures.push(list("mean latency, intended", "sink", "us", means));
        }
        figures
    }
}

fn slot<T: Clone + Default>(of: &mut Vec<T>, subtask: u32) -> Option<&mut T> {
    let at = subtask as usize;
    if at >= MOST {
        return None;
    }
    if at >= of.len() {
        of.resize(at + 1, T::default());
    }
    of.get_mut(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::ledger::{LedgerBuilder, Offset, PartitionId};

    #[test]
    fn a_slow_and_a_busy_subtask_stand_out() {
        let mut builder = LedgerBuilder::new();
        for offset in 0..3 {
            builder.push(PartitionId(1), Offset(offset), Some(b"k"), Some(b"v")).unwrap();
        }
        let mut subtasks = Subtasks::default();
        for (subtask, latency_us) in [(0, 10), (2, 900), (2, 1_100)] {
            subtasks.effect(subtask);
            subtasks.first_effect(subtask, latency_us);
        }
        subtasks.effect(2);
        subtasks.effect(u32::MAX);
        let figures = subtasks.figures(&builder.finish().unwrap());
        let values =
            |what: &str| figures.iter().find(|f| f.what == what).map(|f| f.values.clone()).unwrap();
        assert_eq!(values("records to read"), [3]);
        assert_eq!(values("effects written"), [1, 0, 3]);
        assert_eq!(values("mean latency, intended"), [10, 0, 1_000]);
    }
}
