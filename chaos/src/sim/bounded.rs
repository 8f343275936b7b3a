//! A bounded input: each source subtask ends when it has emitted the last record of its partitions.
//!
//! What Flink calls a bounded source. The log's reader is the engine's own; this only counts what
//! passes through it and says when a subtask has seen everything.

use std::collections::BTreeMap;

use stormproof_engine::api::{
    Emission, GroupContext, GroupState, SourceFactory, SourceReader, StateSnapshot,
};
use stormproof_engine::connectors::{SPLITS_STATE, Split};
use stormproof_engine::error::Result;
use stormproof_engine::ids::{CheckpointId, PartitionId, SubtaskIndex};
use stormproof_engine::record::Payload;
use stormproof_engine::seam::TimeUs;

/// Makes readers that end.
pub(super) struct Bounded<F> {
    pub(super) inner: F,
    /// The log end offset of each partition.
    pub(super) ends: Vec<u64>,
}

struct Reader {
    inner: Box<dyn SourceReader>,
    /// Records of each subtask's partitions that are still to come.
    left: BTreeMap<SubtaskIndex, BTreeMap<PartitionId, u64>>,
    ends: Vec<u64>,
}

impl<F: SourceFactory> SourceFactory for Bounded<F> {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn SourceReader>> {
        let mut left: BTreeMap<SubtaskIndex, BTreeMap<PartitionId, u64>> =
            context.each_subtask().map(|subtask| (subtask, BTreeMap::new())).collect();
        let end_of = |partition: PartitionId| self.ends[partition.index()];
        if state.is_restored() {
            for (subtask, items) in state.lists(SPLITS_STATE) {
                for item in items {
                    let Split { partition, next } = Split::decode(item)?;
                    let waiting = end_of(partition).saturating_sub(next.0);
                    left.entry(subtask).or_default().insert(partition, waiting);
                }
            }
        } else {
            for partition in (0..self.ends.len() as u32).map(PartitionId) {
                let subtask = SubtaskIndex((partition.0 % u32::from(context.parallelism)) as u16);
                if let Some(own) = left.get_mut(&subtask) {
                    own.insert(partition, end_of(partition));
                }
            }
        }
        let inner = self.inner.open(context, state)?;
        Ok(Box::new(Reader { inner, left, ends: self.ends.clone() }))
    }
}

/// Notes what passes.
struct Counted<'a> {
    out: &'a mut dyn Emission,
    left: &'a mut BTreeMap<SubtaskIndex, BTreeMap<PartitionId, u64>>,
    ends: &'a [u64],
}

impl Emission for Counted<'_> {
    fn can_emit(&self, subtask: SubtaskIndex) -> bool {
        self.out.can_emit(subtask)
    }

    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>) {
        self.out.emit(subtask, payload);
        let from = payload.provenance;
        let waiting = self.ends[from.partition.index()].saturating_sub(from.offset.0 + 1);
        self.left.entry(subtask).or_default().insert(from.partition, waiting);
    }

    fn finish(&mut self, subtask: SubtaskIndex) {
        self.out.finish(subtask);
    }

    fn budget(&self) -> usize {
        self.out.budget()
    }
}

impl SourceReader for Reader {
    fn poll(&mut self, now_us: TimeUs, out: &mut dyn Emission) -> Result<bool> {
        let Self { inner, left, ends } = self;
        let more = inner.poll(now_us, &mut Counted { out, left, ends })?;
        let is_done = |own: &BTreeMap<PartitionId, u64>| own.values().all(|waiting| *waiting == 0);
        // A stalled subtask says nothing before its stall is over.
        for (subtask, _) in left.iter().filter(|(_, own)| is_done(own)) {
            if out.can_emit(*subtask) {
                out.finish(*subtask);
            }
        }
        Ok(more)
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        self.inner.snapshot(checkpoint, subtask, state)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.inner.notify_checkpoint_complete(checkpoint)
    }

    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        self.inner.notify_checkpoint_aborted(checkpoint);
    }

    fn is_committing(&self) -> bool {
        self.inner.is_committing()
    }

    fn pending_records(&self) -> Option<u64> {
        self.inner.pending_records()
    }
}
