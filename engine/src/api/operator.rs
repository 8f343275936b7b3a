//! Operators: records in, records out, state between.

use super::{Collector, GroupContext, GroupState, StateSnapshot};
use crate::error::Result;
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::record::RecordRef;
use crate::seam::TimeUs;

/// The subtasks of an operator vertex on one worker.
pub trait Operator: Send {
    /// Processes one record for `subtask`.
    ///
    /// # Errors
    /// When the record cannot be processed.
    fn process(
        &mut self,
        subtask: SubtaskIndex,
        record: RecordRef<'_>,
        out: &mut dyn Collector,
    ) -> Result<()>;

    /// Before the first record of `subtask`, also after a restore: registers timers. Those of an
    /// earlier attempt are gone, for a checkpoint holds state and no timers.
    ///
    /// # Errors
    /// When the operator's work fails.
    fn begin(
        &mut self,
        _subtask: SubtaskIndex,
        _now_us: TimeUs,
        _out: &mut dyn Collector,
    ) -> Result<()> {
        Ok(())
    }

    /// A timer of `subtask` is due.
    ///
    /// # Errors
    /// When the operator's work fails.
    fn on_timer(
        &mut self,
        _subtask: SubtaskIndex,
        _now_us: TimeUs,
        _out: &mut dyn Collector,
    ) -> Result<()> {
        Ok(())
    }

    /// Emits what must leave before the barrier of `checkpoint` does.
    ///
    /// # Errors
    /// When the operator's work fails.
    fn prepare_barrier(
        &mut self,
        _checkpoint: CheckpointId,
        _subtask: SubtaskIndex,
        _out: &mut dyn Collector,
    ) -> Result<()> {
        Ok(())
    }

    /// Writes the state of `subtask`. What is written must be a copy: records go on right after.
    ///
    /// # Errors
    /// When the state cannot be taken; the task fails.
    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()>;

    /// The checkpoint is complete. Best effort; may be lost.
    fn notify_checkpoint_complete(&mut self, _checkpoint: CheckpointId) {}

    /// The checkpoint will never complete.
    fn notify_checkpoint_aborted(&mut self, _checkpoint: CheckpointId) {}

    /// Every input of `subtask` has ended: emits what is left.
    ///
    /// # Errors
    /// When the operator's work fails.
    fn finish(&mut self, _subtask: SubtaskIndex, _out: &mut dyn Collector) -> Result<()> {
        Ok(())
    }
}

/// Makes the operators of a vertex, one for each worker and attempt.
pub trait OperatorFactory: Send + Sync {
    /// An operator for `context.subtasks` with `state` restored.
    ///
    /// # Errors
    /// When the state cannot be understood.
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Operator>>;
}
