//! A sink that counts and forgets: the engine measured without a service behind it.

use std::sync::Arc;

use super::immediate::{Immediate, Take};
use crate::api::{GroupContext, GroupState, Sink, SinkFactory};
use crate::error::Result;
use crate::ids::SubtaskIndex;
use crate::metrics::Figure;
use crate::record::RecordView;
use crate::seam::TimeUs;

/// What all blackhole sinks of a factory have taken, over every attempt.
#[derive(Debug, Default)]
pub struct BlackholeCounts {
    /// Records.
    pub records: Figure,
    /// Bytes of their frames.
    pub bytes: Figure,
    /// Records of the subtask that took most in one attempt, as of its last barrier.
    pub busiest_subtask_records: Figure,
}

/// Makes [`Sink`]s that count.
#[derive(Clone, Debug, Default)]
pub struct BlackholeFactory {
    counts: Arc<BlackholeCounts>,
}

impl BlackholeFactory {
    /// A factory whose counts start at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counts, to be read while the job runs.
    pub fn counts(&self) -> Arc<BlackholeCounts> {
        Arc::clone(&self.counts)
    }
}

impl SinkFactory for BlackholeFactory {
    fn open(&self, context: GroupContext, _state: GroupState) -> Result<Box<dyn Sink>> {
        let taken = vec![0; context.subtasks.len()];
        let metrics = Arc::clone(&context.metrics);
        let blackhole = Blackhole { counts: self.counts(), context, taken };
        Ok(Box::new(Immediate::new(metrics, blackhole)))
    }
}

struct Blackhole {
    counts: Arc<BlackholeCounts>,
    context: GroupContext,
    /// Records, by subtask of the group.
    taken: Vec<u64>,
}

impl Take for Blackhole {
    #[inline]
    fn take(&mut self, subtask: SubtaskIndex, _record: RecordView<'_>, _now_us: TimeUs) {
        self.taken[self.context.local(subtask)] += 1;
    }

    fn on_taken(&mut self, records: u64, bytes: u64) {
        self.counts.records.add(records);
        self.counts.bytes.add(bytes);
    }

    fn on_barrier(&mut self) {
        let busiest = self.taken.iter().copied().max().unwrap_or(0);
        self.counts.busiest_subtask_records.raise(busiest);
    }
}
