//! A sink that counts and forgets: the engine measured without a service behind it.
//!
//! Invariant: a record is confirmed the moment it is taken, so a checkpoint never waits here and
//! there is no state to keep.

use std::sync::Arc;

use crate::api::{GroupContext, GroupState, Sink, SinkFactory, StateSnapshot};
use crate::error::Result;
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::metrics::{Figure, WorkerMetrics};
use crate::record::Record;
use crate::seam::TimeUs;

/// What all blackhole sinks of a factory have taken, over every attempt.
#[derive(Debug, Default)]
pub struct BlackholeCounts {
    /// Records.
    pub records: Figure,
    /// Bytes of their frames.
    pub bytes: Figure,
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
        Ok(Box::new(Blackhole { counts: self.counts(), metrics: context.metrics }))
    }
}

struct Blackhole {
    counts: Arc<BlackholeCounts>,
    metrics: Arc<WorkerMetrics>,
}

impl Sink for Blackhole {
    fn is_ready(&self) -> bool {
        true
    }

    fn write(&mut self, _subtask: SubtaskIndex, record: Record, _now_us: TimeUs) -> Result<()> {
        self.counts.records.add(1);
        self.counts.bytes.add(record.frame().len() as u64);
        self.metrics.sink_confirmed_records.add(1);
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
