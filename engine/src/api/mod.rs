//! What a job is made of: source readers, operators and sinks.
//!
//! One object serves all subtasks of a vertex that live on one worker (a *group*): at parallelism
//! 2000 that shares clients, connections and allocations, while state, order and checkpoints stay
//! those of each subtask. Every call is short and never blocks; work that takes time runs
//! elsewhere and is polled.

mod keyed;
mod operator;
mod sink;
mod source;
mod state;

pub use keyed::{KeyedSnapshot, KeyedTable};
pub use operator::{Operator, OperatorFactory};
pub use sink::{Sink, SinkFactory, SinkWaits};
pub use source::{Emission, SourceFactory, SourceReader};
pub use state::{GroupState, ListKind, StateSnapshot};

use std::ops::Range;
use std::sync::Arc;

use crate::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId, WorkerIndex};
use crate::metrics::WorkerMetrics;
use crate::record::Payload;
use crate::seam::{Clock, Probe, StepContext, TimeUs};

/// What a group knows about itself.
#[derive(Clone, Debug)]
pub struct GroupContext {
    /// The vertex.
    pub vertex: VertexId,
    /// The vertex's name.
    pub name: Arc<str>,
    /// The execution attempt.
    pub attempt: AttemptId,
    /// The checkpoint this attempt starts from; [`CheckpointId::NONE`] when it starts fresh.
    pub restored: CheckpointId,
    /// The worker that hosts the group.
    pub worker: WorkerIndex,
    /// The group's subtasks.
    pub subtasks: Range<u16>,
    /// Subtasks of the vertex over all workers.
    pub parallelism: u16,
    /// Number of key groups.
    pub max_parallelism: u16,
    /// Named steps.
    pub probe: Probe,
    /// Counters of this worker.
    pub metrics: Arc<WorkerMetrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl GroupContext {
    /// The context of a named step of `subtask`.
    pub fn at(&self, subtask: SubtaskIndex, checkpoint: CheckpointId) -> StepContext {
        StepContext { attempt: self.attempt, vertex: self.vertex, subtask, checkpoint }
    }

    /// The group's subtasks, one by one.
    pub fn each_subtask(&self) -> impl Iterator<Item = SubtaskIndex> + use<> {
        self.subtasks.clone().map(SubtaskIndex)
    }

    /// The subtask at a position in the group.
    #[inline]
    pub fn subtask(&self, local: usize) -> SubtaskIndex {
        SubtaskIndex(self.subtasks.start + local as u16)
    }

    /// Position of `subtask` in the group.
    #[inline]
    pub fn local(&self, subtask: SubtaskIndex) -> usize {
        (subtask.0 - self.subtasks.start) as usize
    }
}

/// Where operators send their records.
pub trait Collector {
    /// Sends a record downstream from `subtask`.
    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>);

    /// Asks for a call of [`Operator::on_timer`] for `subtask` at `at_us` or soon after.
    fn register_timer(&mut self, subtask: SubtaskIndex, at_us: TimeUs);
}
