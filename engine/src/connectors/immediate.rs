//! Sinks that are done with a record the moment they take it.
//!
//! Invariant: such a sink has no state, holds nothing back and lets no checkpoint wait. That part
//! is [`Immediate`], once for all of them; what becomes of a record is a [`Take`].

use std::sync::Arc;

use crate::api::{Sink, StateSnapshot};
use crate::error::Result;
use crate::exchange::Run;
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::metrics::WorkerMetrics;
use crate::record::{Record, RecordView};
use crate::seam::TimeUs;

/// What becomes of each record.
pub trait Take: Send {
    /// Whether more records are taken; `false` is backpressure.
    fn is_ready(&self) -> bool {
        true
    }

    /// Takes one record for `subtask`.
    fn take(&mut self, subtask: SubtaskIndex, record: RecordView<'_>, now_us: TimeUs);

    /// So many records were taken since the last call, with so many bytes of frames.
    fn on_taken(&mut self, _records: u64, _bytes: u64) {}

    /// All barriers of a checkpoint have come.
    fn on_barrier(&mut self) {}
}

/// The [`Sink`] around a [`Take`].
#[derive(Debug)]
pub struct Immediate<T> {
    metrics: Arc<WorkerMetrics>,
    take: T,
}

impl<T: Take> Immediate<T> {
    /// A sink whose confirmations are counted in `metrics`.
    pub fn new(metrics: Arc<WorkerMetrics>, take: T) -> Self {
        Self { metrics, take }
    }

    fn confirm(&mut self, records: u64, bytes: u64) {
        self.metrics.sink_confirmed_records.add(records);
        self.take.on_taken(records, bytes);
    }
}

impl<T: Take> Sink for Immediate<T> {
    fn is_ready(&self) -> bool {
        self.take.is_ready()
    }

    fn write(&mut self, subtask: SubtaskIndex, record: Record, now_us: TimeUs) -> Result<()> {
        self.take.take(subtask, record.view(), now_us);
        self.confirm(1, record.frame().len() as u64);
        Ok(())
    }

    fn write_run(&mut self, run: &mut Run<'_>, now_us: TimeUs) -> Result<()> {
        let (mut records, mut bytes) = (0, 0);
        while self.take.is_ready()
            && let Some(record) = run.next()
        {
            let view = record.view();
            self.take.take(view.target(), view, now_us);
            records += 1;
            bytes += view.frame_bytes() as u64;
        }
        self.confirm(records, bytes);
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
        self.take.on_barrier();
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
