//! What the connector tests share: a clock that is set by hand, records, and a sink driver.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

pub mod database;
pub mod proxy;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use stormproof_engine::api::{GroupContext, Sink, StateSnapshot};
use stormproof_engine::error::Result;
use stormproof_engine::ids::*;
use stormproof_engine::metrics::WorkerMetrics;
use stormproof_engine::record::{Payload, Provenance, Record, Route};
use stormproof_engine::seam::{
    Clock, Probe, Step, StepAction, StepContext, StepHook, Ticket, TimeUs,
};

/// A clock that is set by hand.
#[derive(Debug, Default)]
pub struct HandClock(AtomicU64);

impl HandClock {
    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms * 1000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now_us(&self) -> TimeUs {
        self.0.load(Ordering::SeqCst)
    }
}

/// The real clock.
#[derive(Debug)]
pub struct RealClock(Instant);

impl Default for RealClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RealClock {
    fn now_us(&self) -> TimeUs {
        self.0.elapsed().as_micros() as u64
    }
}

pub fn context(
    attempt: u32,
    restored: u64,
    subtasks: Range<u16>,
    clock: Arc<dyn Clock>,
) -> GroupContext {
    GroupContext {
        vertex: VertexId(2),
        name: "test".into(),
        attempt: AttemptId(attempt),
        restored: CheckpointId(restored),
        worker: WorkerIndex(0),
        parallelism: subtasks.end,
        subtasks,
        max_parallelism: 128,
        probe: Probe::default(),
        metrics: Arc::new(WorkerMetrics::default()),
        clock,
    }
}

pub fn record_with(
    partition: u32,
    offset: u64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Record {
    let payload = Payload {
        provenance: Provenance {
            partition: PartitionId(partition),
            offset: Offset(offset),
            index: 0,
            source_attempt: AttemptId(1),
        },
        event_time_us: 0,
        key,
        value,
    };
    let mut frame = BytesMut::new();
    let (source, target) = (SubtaskIndex(0), SubtaskIndex(0));
    payload.encode(Route { source, target }, &mut frame);
    Record::at(&frame.freeze(), 0)
}

pub fn record(partition: u32, offset: u64, key: &str, value: &str) -> Record {
    record_with(partition, offset, Some(key.as_bytes()), Some(value.as_bytes()))
}

/// Calls `ready` until it says yes.
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ready() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a ticket brings, waited for.
pub fn taken<T>(ticket: &Ticket<T>) -> T {
    let mut outcome = None;
    wait_until("an answer", || {
        outcome = ticket.try_take();
        outcome.is_some()
    });
    outcome.expect("it was waited for")
}

/// Drives a sink as a worker does.
pub struct SinkDriver {
    pub sink: Box<dyn Sink>,
    pub context: GroupContext,
    pub clock: Arc<HandClock>,
}

impl SinkDriver {
    pub fn now_us(&self) -> TimeUs {
        self.clock.now_us()
    }

    pub fn write(&mut self, subtask: u16, record: Record) {
        let now_us = self.now_us();
        self.sink.write(SubtaskIndex(subtask), record, now_us).expect("the sink takes a record");
    }

    pub fn poll(&mut self) -> Result<bool> {
        self.sink.poll(self.clock.now_us())
    }

    /// Polls until at most `pending` records are unconfirmed; time moves on between polls, so that
    /// backoffs end, unless `pending` waits for a flush that is not due.
    pub fn poll_until_pending(&mut self, pending: u64) {
        wait_until("confirmations", || {
            self.poll().expect("the sink works");
            self.sink.pending_records() <= pending
        });
    }

    /// Polls a while and checks that nothing more is confirmed.
    pub fn poll_idle(&mut self, pending: u64) {
        for _ in 0..20 {
            self.poll().expect("the sink works");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(self.sink.pending_records(), pending);
    }

    /// A whole checkpoint; returns the rows that each subtask wrote into its state.
    pub fn checkpoint(&mut self, checkpoint: u64, drain: bool) -> Vec<Vec<Bytes>> {
        let lists = self.snapshot(checkpoint, drain);
        wait_until("the checkpoint to settle", || {
            self.poll().expect("the sink works");
            self.sink.is_settled(CheckpointId(checkpoint)).expect("the sink works")
        });
        lists
    }

    /// Barrier and snapshots, without waiting.
    pub fn snapshot(&mut self, checkpoint: u64, drain: bool) -> Vec<Vec<Bytes>> {
        let id = CheckpointId(checkpoint);
        let now_us = self.now_us();
        self.sink.prepare_barrier(id, drain, now_us).expect("the barrier is prepared");
        let subtasks = self.context.subtasks.clone();
        let list = |subtask| {
            let mut state = StateSnapshot::default();
            self.sink.snapshot(id, SubtaskIndex(subtask), &mut state).expect("a snapshot");
            state.list("buffer").expect("the buffer is always written").to_vec()
        };
        subtasks.map(list).collect()
    }
}

/// Notes every step; fails or panics on demand.
#[derive(Clone, Default)]
pub struct Recorder {
    pub hits: Arc<Mutex<Vec<(Step, StepContext)>>>,
    pub fail_at: Option<Step>,
}

impl StepHook for Recorder {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        self.hits.lock().expect("no panic inside").push((step, *at));
        match self.fail_at == Some(step) {
            true => StepAction::Fail("injected".to_owned()),
            false => StepAction::Proceed,
        }
    }
}
