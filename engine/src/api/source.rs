//! Sources: they turn a log into records and remember how far they got.

use super::{GroupContext, GroupState, StateSnapshot};
use crate::error::Result;
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::record::Payload;
use crate::seam::TimeUs;

/// Where a source reader sends its records.
pub trait Emission {
    /// Whether `subtask` may emit now: it has credit on every lane and is not stalled.
    fn can_emit(&self, subtask: SubtaskIndex) -> bool;

    /// Sends a record downstream. Call [`Emission::can_emit`] first; the provenance's
    /// `source_attempt` is the group's own attempt.
    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>);

    /// `subtask` has read the last record it will ever read.
    fn finish(&mut self, subtask: SubtaskIndex);

    /// How many records this step may still emit; the reader stops at zero.
    fn budget(&self) -> usize;
}

/// The source subtasks of one worker.
///
/// Invariant: the position in a snapshot is that of the next record to *emit*, taken between two
/// records; what has been fetched and not emitted is not part of it.
pub trait SourceReader: Send {
    /// Emits what is there, within the emission's budget. Returns whether more is ready at once.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn poll(&mut self, now_us: TimeUs, out: &mut dyn Emission) -> Result<bool>;

    /// Writes the state of `subtask`.
    ///
    /// # Errors
    /// When the state cannot be taken; the task fails.
    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()>;

    /// The checkpoint is complete: offsets up to it may be committed. Best effort; may be lost.
    ///
    /// # Errors
    /// When the commit cannot even be started.
    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()>;

    /// The checkpoint will never complete.
    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId);

    /// Whether work for a completed checkpoint (an offset commit) is still under way.
    fn is_committing(&self) -> bool {
        false
    }

    /// Records that are known to wait in the log, if known (FLIP-33 `pendingRecords`).
    fn pending_records(&self) -> Option<u64> {
        None
    }
}

/// Makes the readers of a source vertex, one for each worker and attempt.
pub trait SourceFactory: Send + Sync {
    /// A reader for `context.subtasks`, positioned by `state` (empty on a fresh start).
    ///
    /// # Errors
    /// When the source cannot be reached or its position is gone.
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn SourceReader>>;
}
