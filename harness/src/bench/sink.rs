//! A sink that looks at the clock: every record's latency from its intended time to the moment
//! when a sink subtask takes it, by interval.
//!
//! Invariants: the real sink takes records as it does without, by the run, and its answers are passed
//! on unchanged; workers share nothing while they record; a negative latency is counted and recorded
//! as 0.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory, StateSnapshot};
use stormproof_engine::error::Result;
use stormproof_engine::exchange::Run;
use stormproof_engine::ids::{AttemptId, CheckpointId, SubtaskIndex};
use stormproof_engine::metrics::WorkerMetrics;
use stormproof_engine::record::{Record, RecordView};
use stormproof_engine::seam::{Ticket, TimeUs};

/// The longest latency that is told apart: ten minutes.
const HIGHEST_US: u64 = 600_000_000;

/// Where a record says when it was due, on `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Intended {
    /// Its event time: the engine's own generator.
    EventTime,
    /// Bytes 8 to 16 of its value: the load generator.
    InValue,
}

impl Intended {
    #[inline]
    fn of(self, record: RecordView<'_>) -> Option<i64> {
        match self {
            Self::EventTime => Some(record.event_time_us()),
            Self::InValue => {
                let bytes = record.value()?.get(8..16)?;
                Some(i64::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    }
}

/// What has been seen since somebody last looked.
#[derive(Debug)]
pub(super) struct Interval {
    pub(super) latency: Histogram<u64>,
    pub(super) negative: u64,
}

impl Interval {
    pub(super) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, HIGHEST_US, 3).expect("the bounds are a range");
        Self { latency, negative: 0 }
    }

    fn look(&mut self, intended: Intended, record: RecordView<'_>, now_us: TimeUs) {
        if let Some(intended_us) = intended.of(record) {
            let latency_us = now_us as i64 - intended_us;
            self.negative += u64::from(latency_us < 0);
            self.latency.saturating_record(latency_us.max(0) as u64);
        }
    }
}

/// What all sinks of a trial share.
#[derive(Debug)]
pub(super) struct Watch {
    /// Of each worker, in all attempts.
    intervals: Mutex<Vec<Arc<Mutex<Interval>>>>,
    /// The workers of the newest attempt.
    workers: Mutex<(AttemptId, Vec<Arc<WorkerMetrics>>)>,
}

impl Watch {
    pub(super) fn new() -> Arc<Self> {
        let workers = Mutex::new((AttemptId(0), Vec::new()));
        Arc::new(Self { intervals: Mutex::default(), workers })
    }

    /// Takes what was seen.
    pub(super) fn take(&self) -> Interval {
        let mut all = Interval::new();
        for interval in lock(&self.intervals).iter() {
            let one = std::mem::replace(&mut *lock(interval), Interval::new());
            all.latency.add(one.latency).expect("all have the same bounds");
            all.negative += one.negative;
        }
        all
    }

    /// Records confirmed in the newest attempt.
    pub(super) fn confirmed(&self) -> u64 {
        let workers = lock(&self.workers);
        workers.1.iter().map(|metrics| metrics.sink_confirmed_records.get()).sum()
    }

    fn enter(&self, context: &GroupContext) -> Arc<Mutex<Interval>> {
        let mut workers = lock(&self.workers);
        if workers.0 != context.attempt {
            *workers = (context.attempt, Vec::new());
        }
        workers.1.push(Arc::clone(&context.metrics));
        let interval = Arc::new(Mutex::new(Interval::new()));
        lock(&self.intervals).push(Arc::clone(&interval));
        interval
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes watched sinks.
pub(super) struct WatchedFactory {
    pub(super) inner: Arc<dyn SinkFactory>,
    pub(super) watch: Arc<Watch>,
    pub(super) intended: Intended,
}

impl SinkFactory for WatchedFactory {
    fn begin_attempt(&self, attempt: AttemptId, restored: CheckpointId) -> Ticket<Result<()>> {
        self.inner.begin_attempt(attempt, restored)
    }

    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Sink>> {
        let seen = self.watch.enter(&context);
        let inner = self.inner.open(context, state)?;
        Ok(Box::new(Watched { inner, seen, intended: self.intended }))
    }
}

struct Watched {
    inner: Box<dyn Sink>,
    seen: Arc<Mutex<Interval>>,
    intended: Intended,
}

impl Sink for Watched {
    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn write(&mut self, subtask: SubtaskIndex, record: Record, now_us: TimeUs) -> Result<()> {
        lock(&self.seen).look(self.intended, record.view(), now_us);
        self.inner.write(subtask, record, now_us)
    }

    fn write_run(&mut self, run: &mut Run<'_>, now_us: TimeUs) -> Result<()> {
        let from = run.at();
        self.inner.write_run(run, now_us)?;
        let mut seen = lock(&self.seen);
        run.handed_out_since(from).for_each(|record| seen.look(self.intended, record, now_us));
        Ok(())
    }

    fn poll(&mut self, now_us: TimeUs) -> Result<bool> {
        self.inner.poll(now_us)
    }

    fn prepare_barrier(
        &mut self,
        checkpoint: CheckpointId,
        drain: bool,
        now_us: TimeUs,
    ) -> Result<()> {
        self.inner.prepare_barrier(checkpoint, drain, now_us)
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        self.inner.snapshot(checkpoint, subtask, state)
    }

    fn is_settled(&mut self, checkpoint: CheckpointId) -> Result<bool> {
        self.inner.is_settled(checkpoint)
    }

    fn commit(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.inner.commit(checkpoint)
    }

    fn abort(&mut self, checkpoint: CheckpointId) {
        self.inner.abort(checkpoint);
    }

    fn pending_records(&self) -> u64 {
        self.inner.pending_records()
    }
}
