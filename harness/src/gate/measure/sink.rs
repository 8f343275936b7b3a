//! A sink that counts what arrives, and can be told to waste time on it: a planted slowdown.
//!
//! Invariant: without a plant it does for each record what the blackhole does, less its figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory};
use stormproof_engine::connectors::immediate::{Immediate, Take};
use stormproof_engine::error::Result;
use stormproof_engine::ids::SubtaskIndex;
use stormproof_engine::record::RecordView;
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
        let counting = Counting { counts: self.counts(), burn: self.burn, owed: 0 };
        Ok(Box::new(Immediate::new(context.metrics, counting)))
    }
}

struct Counting {
    counts: Arc<Counts>,
    burn: u64,
    /// Iterations still to be wasted, in thousandths.
    owed: u64,
}

impl Take for Counting {
    #[inline]
    fn take(&mut self, _subtask: SubtaskIndex, _record: RecordView<'_>, _now_us: TimeUs) {}

    fn on_taken(&mut self, records: u64, bytes: u64) {
        self.counts.records.fetch_add(records, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.burn > 0 {
            self.owed += records * self.burn;
            burn(self.owed / 1000);
            self.owed %= 1000;
        }
    }
}
