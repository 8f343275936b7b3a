//! A sink that counts and forgets: the engine measured without a service behind it.
//!
//! Invariant: a record is confirmed the moment it is taken, so a checkpoint never waits here and
//! there is no state to keep.

use std::sync::Arc;

use crate::api::{GroupContext, GroupState, Sink, SinkFactory, StateSnapshot};
use crate::error::Result;
use crate::exchange::Run;
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::metrics::Figure;
use crate::record::{Record, RecordView};
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
        Ok(Box::new(Blackhole { counts: self.counts(), context, taken }))
    }
}

struct Blackhole {
    counts: Arc<BlackholeCounts>,
    context: GroupContext,
    /// Records, by subtask of the group.
    taken: Vec<u64>,
}

impl Blackhole {
    #[inline]
    fn count(&mut self, record: RecordView<'_>) {
        self.taken[self.context.local(record.target())] += 1;
    }

    fn confirm(&self, records: u64, bytes: u64) {
        self.counts.records.add(records);
        self.counts.bytes.add(bytes);
        self.context.metrics.sink_confirmed_records.add(records);
    }
}

impl Sink for Blackhole {
    fn is_ready(&self) -> bool {
        true
    }

    fn write(&mut self, _subtask: SubtaskIndex, record: Record, _now_us: TimeUs) -> Result<()> {
        self.count(record.view());
        self.confirm(1, record.frame().len() as u64);
        Ok(())
    }

    fn write_run(&mut self, run: &mut Run<'_>, _now_us: TimeUs) -> Result<()> {
        let mut bytes = 0;
        for record in run.by_ref() {
            self.count(record.view());
            bytes += record.view().frame_bytes() as u64;
        }
        self.confirm(run.records() as u64, bytes);
        Ok(())
    }

    fn poll(&mut self, _now_us: TimeUs) -> Result<bool> {
        Ok(false)
    }

    fn prepare_barrier(
        &mut self,
        _checkpoint: CheckpointId,
        _drain: bool,
        _now_us: TimeUs,
    ) -> Result<()> {
        let busiest = self.taken.iter().copied().max().unwrap_or(0);
        self.counts.busiest_subtask_records.raise(busiest);
        Ok(())
    }

    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _subtask: SubtaskIndex,
        _state: &mut StateSnapshot,
    ) -> Result<()> {
        Ok(())
    }

    fn is_settled(&mut self, _checkpoint: CheckpointId) -> Result<bool> {
        Ok(true)
    }

    fn pending_records(&self) -> u64 {
        0
    }
}
