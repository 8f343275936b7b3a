//! Timers: due on the seam's clock and not before, again after a restore, and nothing is lost with
//! them: what an operator holds until its timer is state.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use stormproof_engine::api::*;
use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::*;
use stormproof_engine::record::{Payload, Record, RecordRef};
use stormproof_engine::runtime::*;
use stormproof_engine::seam::*;
use support::*;

const PARALLELISM: u16 = 10;
const RECORDS: u64 = 20_000;
const HELD_US: TimeUs = 15_000;
const HELD: &str = "held";

/// What the timers did, over all attempts.
#[derive(Default)]
struct Seen {
    fired: AtomicU64,
    early: AtomicU64,
    /// Timers that were registered when an attempt began with records it had restored.
    registered_again: AtomicU64,
}

/// Holds each record back for a while.
struct HoldBack {
    context: GroupContext,
    /// By subtask: when, and what.
    held: Vec<Vec<(TimeUs, Record)>>,
    /// By subtask: the timers that have not fired.
    timers: Vec<BinaryHeap<Reverse<TimeUs>>>,
    seen: Arc<Seen>,
}

struct HoldBackFactory(Arc<Seen>);

impl OperatorFactory for HoldBackFactory {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Operator>> {
        let mut held = vec![Vec::new(); context.subtasks.len()];
        for (subtask, items) in state.lists(HELD) {
            for item in items {
                let record = Record::from_state(item.clone())
                    .ok_or_else(|| EngineError::Input("not a record".to_owned()))?;
                held[context.local(subtask)].push((0, record));
            }
        }
        let timers = vec![BinaryHeap::new(); context.subtasks.len()];
        Ok(Box::new(HoldBack { context, held, timers, seen: Arc::clone(&self.0) }))
    }
}

impl HoldBack {
    fn register(&mut self, subtask: SubtaskIndex, at_us: TimeUs, out: &mut dyn Collector) {
        self.timers[self.context.local(subtask)].push(Reverse(at_us));
        out.register_timer(subtask, at_us);
    }

    fn release(&mut self, subtask: SubtaskIndex, by_us: TimeUs, out: &mut dyn Collector) {
        let held = &mut self.held[self.context.local(subtask)];
        let due = held.iter().take_while(|(at_us, _)| *at_us <= by_us).count();
        for (_, record) in held.drain(..due) {
            // The sink of these tests reads a count.
            out.emit(subtask, &Payload { value: Some(&[0; 8]), ..record.view().payload() });
        }
    }
}

impl Operator for HoldBack {
    fn begin(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        let held = &mut self.held[self.context.local(subtask)];
        if !held.is_empty() {
            held.iter_mut().for_each(|(at_us, _)| *at_us = now_us + HELD_US);
            self.register(subtask, now_us + HELD_US, out);
            self.seen.registered_again.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn process(
        &mut self,
        subtask: SubtaskIndex,
        record: RecordRef<'_>,
        out: &mut dyn Collector,
    ) -> Result<()> {
        let at_us = self.context.clock.now_us() + HELD_US;
        self.register(subtask, at_us, out);
        self.held[self.context.local(subtask)].push((at_us, record.keep()));
        Ok(())
    }

    fn on_timer(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.seen.fired.fetch_add(1, Ordering::Relaxed);
        let due = self.timers[self.context.local(subtask)].pop();
        let is_early = due.is_none_or(|Reverse(at_us)| at_us > now_us);
        self.seen.early.fetch_add(u64::from(is_early), Ordering::Relaxed);
        self.release(subtask, now_us, out);
        Ok(())
    }

    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        let held = &self.held[self.context.local(subtask)];
        let items = held.iter().map(|(_, record)| record.frame().clone()).collect();
        state.put_list(HELD, ListKind::EvenSplit, items);
        Ok(())
    }

    fn finish(&mut self, subtask: SubtaskIndex, out: &mut dyn Collector) -> Result<()> {
        self.release(subtask, TimeUs::MAX, out);
        Ok(())
    }
}

/// Panics at the acknowledgement of a checkpoint, a few times.
struct Killer {
    left: AtomicU32,
    last: Mutex<CheckpointId>,
}

impl StepHook for Killer {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        let mut last = self.last.lock().unwrap();
        let is_later = at.checkpoint > CheckpointId(last.0 + 1);
        if step == Step::Acked && is_later && self.left.load(Ordering::Relaxed) > 0 {
            self.left.fetch_sub(1, Ordering::Relaxed);
            *last = at.checkpoint;
            drop(last);
            panic!("killed at {step}");
        }
        StepAction::Proceed
    }
}

#[test]
fn records_held_until_a_timer_survive_kills_and_are_never_early() {
    for mode in CheckpointMode::ALL {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (effects, seen) = (Effects::default(), Arc::new(Seen::default()));
        let mut graph = JobGraph::builder();
        let log = LogSource {
            partitions: u32::from(PARALLELISM),
            records: RECORDS,
            keys: 5,
            run: 1,
            is_bounded: true,
        };
        let source = graph.source("source", PARALLELISM, Arc::new(log));
        let hold = graph.operator("hold", PARALLELISM, Arc::new(HoldBackFactory(seen.clone())));
        let sink = CollectSink { effects: Arc::clone(&effects), batch: 10, per_step: 20 };
        let sink = graph.sink("sink", PARALLELISM, Arc::new(sink));
        graph.connect(source, hold, Partitioner::KeyBy);
        graph.connect(hold, sink, Partitioner::Forward);
        let config = JobConfig {
            workers: 2,
            checkpoint: CheckpointConfig { mode, interval_ms: 5, ..CheckpointConfig::default() },
            restart: RestartStrategy::FixedDelay { delay_ms: 1, max_restarts: 20 },
            exchange: ExchangeConfig { credit_bytes: 2048, ..ExchangeConfig::default() },
            ..JobConfig::default()
        };
        let probe = Probe::new(Killer { left: AtomicU32::new(3), last: Mutex::default() });
        probe.set_armed(true);
        let job = Job::new(graph.build().unwrap(), config, seams(&runtime, probe, |_| ()));
        assert_eq!(job.run().unwrap(), JobOutcome::Drained, "{mode:?}");
        let seen_records = multiplicities(&effects.lock().unwrap()).len() as u64;
        assert_eq!(seen_records, u64::from(PARALLELISM) * RECORDS, "{mode:?}: records lost");
        assert!(seen.fired.load(Ordering::Relaxed) > 0, "{mode:?}: no timer fired");
        assert_eq!(seen.early.load(Ordering::Relaxed), 0, "{mode:?}: timers before their time");
        let again = seen.registered_again.load(Ordering::Relaxed);
        assert!(again > 0, "{mode:?}: nothing was held at a restore");
    }
}
