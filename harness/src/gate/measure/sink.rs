//! A sink that counts what arrives, and can be told to waste time on it: a planted slowdown.
//!
//! Invariant: without a plant it does for each record what the blackhole does, less its figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory, StateSnapshot};
use stormproof_engine::error::Result;
use stormproof_engine::exchange::Run;
use stormproof_engine::ids::{CheckpointId, SubtaskIndex};
use stormproof_engine::metrics::WorkerMetrics;
use stormproof_engine::record::Record;
use stormproof_engine::seam::TimeUs;

use super::burn;

/// What all sinks together have taken.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) records: AtomicU64,
    /// Of their frames.
    pub(super) bytes: AtomicU64,
}

/// Makes sinks that count.
pub(super) struct CountingFactory {
    counts: Arc<Counts>,
    burn: u64,
}

impl CountingFactory {
    /// Sinks that waste `burn` iterations on a thousand records.
    pub(super) fn new(burn: u64) -> Self {
        Self { counts: Arc::default(), burn }
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }
}

impl SinkFactory for CountingFactory {
    fn open(&self, context: GroupContext, _state: GroupState) -> Result<Box<dyn Sink>> {
        let (counts, metrics) = (self.counts(), context.metrics);
        Ok(Box::new(Counting { counts, metrics, burn: self.burn, owed: 0 }))
    }
}

struct Counting {
    counts: Arc<Counts>,
    metrics: Arc<WorkerMetrics>,
    burn: u64,
    /// Iterations still to be wasted, in thousandths.
    owed: u64,
}

impl Counting {
    fn confirm(&mut self, records: u64, bytes: u64) {
        self.counts.records.fetch_add(records, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.sink_confirmed_records.add(records);
        if self.burn > 0 {
            self.owed += records * self.burn;
            burn(self.owed / 1000);
            self.owed %= 1000;
        }
    }
}

impl Sink for Counting {
    fn is_ready(&self) -> bool {
        true
    }

    fn write(&mut self, _subtask: SubtaskIndex, record: Record, _now_us: TimeUs) -> Result<()> {
        self.confirm(1, record.frame().len() as u64);
        Ok(())
    }

    fn write_run(&mut self, run: &mut Run<'_>, _now_us: TimeUs) -> Result<()> {
        let mut bytes = 0;
        for record in run.by_ref() {
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
