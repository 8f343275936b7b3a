//! An operator behind a broadcast: every subtask gets every record, and takes what is its own by
//! key.

use stormproof_engine::api::{
    Collector, GroupContext, GroupState, Operator, OperatorFactory, StateSnapshot,
};
use stormproof_engine::error::Result;
use stormproof_engine::graph::{key_group_of, subtask_of_key_group};
use stormproof_engine::ids::{CheckpointId, SubtaskIndex};
use stormproof_engine::record::{Payload, RecordRef};
use stormproof_engine::seam::TimeUs;

/// The subtask that a record belongs to by its key.
pub(super) fn owner_of(payload: &Payload<'_>, context: &GroupContext) -> SubtaskIndex {
    let group = key_group_of(payload, context.max_parallelism);
    subtask_of_key_group(group, context.parallelism, context.max_parallelism)
}

/// Makes operators that leave to others what is theirs.
pub(super) struct Sieved<F>(pub(super) F);

struct Sieve {
    context: GroupContext,
    inner: Box<dyn Operator>,
}

impl<F: OperatorFactory> OperatorFactory for Sieved<F> {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Operator>> {
        let inner = self.0.open(context.clone(), state)?;
        Ok(Box::new(Sieve { context, inner }))
    }
}

impl Operator for Sieve {
    fn process(
        &mut self,
        subtask: SubtaskIndex,
        record: RecordRef<'_>,
        out: &mut dyn Collector,
    ) -> Result<()> {
        if owner_of(&record.view().payload(), &self.context) != subtask {
            return Ok(());
        }
        self.inner.process(subtask, record, out)
    }

    fn begin(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.inner.begin(subtask, now_us, out)
    }

    fn on_timer(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.inner.on_timer(subtask, now_us, out)
    }

    fn prepare_barrier(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.inner.prepare_barrier(checkpoint, subtask, out)
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        self.inner.snapshot(checkpoint, subtask, state)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) {
        self.inner.notify_checkpoint_complete(checkpoint);
    }

    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        self.inner.notify_checkpoint_aborted(checkpoint);
    }

    fn finish(&mut self, subtask: SubtaskIndex, out: &mut dyn Collector) -> Result<()> {
        self.inner.finish(subtask, out)
    }
}
