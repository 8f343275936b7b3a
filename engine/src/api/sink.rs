//! Sinks: where effects leave the job.
//!
//! The order in a checkpoint: [`Sink::prepare_barrier`] for the group (flush what must be flushed
//! before the barrier) -> [`Sink::snapshot`] of each subtask -> [`Sink::is_settled`] polled until
//! everything handed over before the barrier is confirmed -> upload -> acknowledge -> the
//! coordinator's decision -> [`Sink::commit`] or [`Sink::abort`].

use super::{GroupContext, GroupState, StateSnapshot};
use crate::error::Result;
use crate::exchange::Run;
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex};
use crate::record::Record;
use crate::seam::{Ticket, TimeUs};

/// What the sink subtasks of one worker wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkWaits {
    /// Since when the oldest record that no batch has taken waits for company.
    pub filling_since_us: Option<TimeUs>,
    /// When the last of the batches that failed is tried again.
    pub retry_at_us: Option<TimeUs>,
}

/// The sink subtasks of one worker.
pub trait Sink: Send {
    /// Whether the group takes more records; `false` is backpressure.
    fn is_ready(&self) -> bool;

    /// Takes one record for `subtask`.
    ///
    /// # Errors
    /// When the record can never be written.
    fn write(&mut self, subtask: SubtaskIndex, record: Record, now_us: TimeUs) -> Result<()>;

    /// Takes records of a run for as long as the group is ready. A sink that does not keep its
    /// records has its own way: this one keeps each.
    ///
    /// # Errors
    /// When a record can never be written.
    fn write_run(&mut self, run: &mut Run<'_>, now_us: TimeUs) -> Result<()> {
        while self.is_ready()
            && let Some(record) = run.next()
        {
            self.write(record.view().target(), record.keep(), now_us)?;
        }
        Ok(())
    }

    /// Drives flushes and collects their outcomes. Returns whether anything moved.
    ///
    /// # Errors
    /// When a flush failed for good.
    fn poll(&mut self, now_us: TimeUs) -> Result<bool>;

    /// Before the snapshot: starts flushing what must not be in memory at the barrier, and
    /// pre-commits a transaction where there is one. With `drain` everything must leave.
    ///
    /// # Errors
    /// When the flush cannot be started.
    fn prepare_barrier(
        &mut self,
        checkpoint: CheckpointId,
        drain: bool,
        now_us: TimeUs,
    ) -> Result<()>;

    /// Writes the state of `subtask`: what no transaction, confirmed or under way, holds.
    ///
    /// # Errors
    /// When the state cannot be taken; the task fails.
    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()>;

    /// Whether everything handed over before the barrier of `checkpoint` is confirmed. The
    /// checkpoint is not acknowledged before.
    ///
    /// # Errors
    /// When a flush that belongs to the checkpoint failed for good.
    fn is_settled(&mut self, checkpoint: CheckpointId) -> Result<bool>;

    /// The checkpoint is complete: makes its transaction visible. Must be idempotent.
    ///
    /// # Errors
    /// When the commit was refused.
    fn commit(&mut self, _checkpoint: CheckpointId) -> Result<()> {
        Ok(())
    }

    /// The checkpoint will never complete.
    fn abort(&mut self, _checkpoint: CheckpointId) {}

    /// Loses what is only in memory: what [`crate::mutants::ONLY_THE_FAILED_RESTART`] does to a
    /// subtask.
    #[cfg(feature = "mutants")]
    fn forget(&mut self) {}

    /// Records taken and not yet confirmed.
    fn pending_records(&self) -> u64;

    /// What it waits for, where it waits for company or for a second try.
    fn waits(&self) -> SinkWaits {
        SinkWaits::default()
    }
}

/// Makes the sinks of a vertex, one for each worker and attempt.
pub trait SinkFactory: Send + Sync {
    /// Fences every earlier attempt. Called once for each attempt, before any group is opened and
    /// before any record flows; the attempt begins when the ticket says so. It holds an error when
    /// the service is away, or a later attempt owns it.
    fn begin_attempt(&self, _attempt: AttemptId, _restored: CheckpointId) -> Ticket<Result<()>> {
        Ticket::ready(Ok(()))
    }

    /// A sink for `context.subtasks` with `state` restored.
    ///
    /// # Errors
    /// When the service cannot be reached or the state cannot be understood.
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Sink>>;
}
