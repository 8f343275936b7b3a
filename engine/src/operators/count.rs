//! The counting operator: counts the records of each key in keyed state.
//!
//! Emits each record with its count: value = `[has_value: u8][count: u64][value]`. A record without
//! a key is counted nowhere and carries 0.

use crate::api::{
    Collector, GroupContext, GroupState, KeyedTable, Operator, OperatorFactory, StateSnapshot,
};
use crate::connectors::sql::{RowMapper, RowView};
use crate::error::{EngineError, Result};
use crate::graph::key_group_of;
use crate::ids::{CheckpointId, KeyGroup, SubtaskIndex};
use crate::record::{Payload, RecordRef, RecordView};

/// The keyed state's name.
const COUNTS: &str = "counts";
/// Bytes before the value in what is emitted.
pub const PREFIX_BYTES: usize = 9;

/// What [`Count`] emitted, taken apart: the input's value and the count.
pub fn split_value(emitted: &[u8]) -> Option<(Option<&[u8]>, u64)> {
    let (prefix, value) = emitted.split_at_checked(PREFIX_BYTES)?;
    let count = u64::from_le_bytes(prefix[1..].try_into().ok()?);
    Some(((prefix[0] != 0).then_some(value), count))
}

/// The columns of a counted record.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountedValue;

impl RowMapper for CountedValue {
    fn map<'a>(&self, record: RecordView<'a>) -> RowView<'a> {
        let counted = record.value().and_then(split_value);
        assert!(counted.is_some(), "the operator before the sink writes a count into each value");
        let (value, record_count) = counted.unwrap_or_default();
        RowView { value, record_count }
    }
}

/// The counting operator of one group.
struct Count {
    context: GroupContext,
    /// One table for each subtask of the group.
    counts: Vec<KeyedTable<8>>,
    emitted: Vec<u8>,
}

/// Makes [`Count`] operators.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountFactory;

impl OperatorFactory for CountFactory {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Operator>> {
        let mut counts = vec![KeyedTable::default(); context.subtasks.len()];
        for (subtask, keyed) in state.keyed(COUNTS) {
            let table = &mut counts[context.local(subtask)];
            for (group, key, value) in keyed.iter() {
                *table.value_mut(group, key) = value.try_into().map_err(|_| {
                    EngineError::Config(format!(
                        "state {COUNTS} of {}[{subtask}]: a count of {} bytes; the checkpoint was \
                         written by another job",
                        context.name,
                        value.len()
                    ))
                })?;
            }
        }
        Ok(Box::new(Count { context, counts, emitted: Vec::new() }))
    }
}

impl Operator for Count {
    fn process(
        &mut self,
        subtask: SubtaskIndex,
        record: RecordRef<'_>,
        out: &mut dyn Collector,
    ) -> Result<()> {
        let view = record.view();
        let table = &mut self.counts[self.context.local(subtask)];
        let input = view.payload();
        let group = key_group_of(&input, self.context.max_parallelism);
        let count = input.key.map_or(0, |key| increment(table, group, key));
        self.emitted.clear();
        self.emitted.push(u8::from(input.value.is_some()));
        self.emitted.extend_from_slice(&count.to_le_bytes());
        self.emitted.extend_from_slice(input.value.unwrap_or_default());
        out.emit(subtask, &Payload { value: Some(&self.emitted), ..input });
        Ok(())
    }

    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        state.put_keyed(COUNTS, self.counts[self.context.local(subtask)].snapshot());
        Ok(())
    }
}

fn increment(table: &mut KeyedTable<8>, group: KeyGroup, key: &[u8]) -> u64 {
    let value = table.value_mut(group, key);
    let count = u64::from_le_bytes(*value) + 1;
    *value = count.to_le_bytes();
    count
}
