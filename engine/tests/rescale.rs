//! A job that is stopped under backpressure and restored at another parallelism, twice: records
//! in flight, list state and keyed state all find their new owners.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use stormproof_engine::checkpoint::{Inventory, Section, choose};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::CheckpointId;
use stormproof_engine::runtime::*;
use stormproof_engine::seam::*;
use support::*;

const PARTITIONS: u32 = 24;
const RECORDS: u64 = 40_000;
const KEYS: u64 = 5;

struct Leg {
    parallelism: u16,
    workers: u16,
    /// Cancel after so many completed checkpoints; `None` runs to the end of the input.
    checkpoints: Option<usize>,
}

struct Journey {
    runtime: tokio::runtime::Runtime,
    store: Arc<object_store::memory::InMemory>,
    effects: Effects,
    mode: CheckpointMode,
    alignment_timeout_ms: Option<u64>,
}

impl Journey {
    fn new(mode: CheckpointMode, alignment_timeout_ms: Option<u64>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let (store, effects) = (Arc::default(), Effects::default());
        Self { runtime: runtime.unwrap(), store, effects, mode, alignment_timeout_ms }
    }

    fn run(&self, leg: &Leg) -> JobOutcome {
        let p = leg.parallelism;
        let mut graph = JobGraph::builder();
        let log = LogSource {
            partitions: PARTITIONS,
            records: RECORDS,
            keys: KEYS,
            run: 16,
            is_bounded: true,
        };
        let source = graph.source("source", p, Arc::new(log));
        let count = graph.operator("count", p, Arc::new(CountByKey));
        let effects = Arc::clone(&self.effects);
        let sink = graph.sink("sink", p, Arc::new(CollectSink { effects, batch: 7, per_step: 20 }));
        graph.connect(source, count, Partitioner::KeyBy);
        graph.connect(count, sink, Partitioner::Forward);
        let config = JobConfig {
            workers: leg.workers,
            max_parallelism: 128,
            checkpoint: CheckpointConfig {
                mode: self.mode,
                interval_ms: 5,
                alignment_timeout_ms: self.alignment_timeout_ms,
                ..CheckpointConfig::default()
            },
            exchange: ExchangeConfig { credit_bytes: 4096, ..ExchangeConfig::default() },
            ..JobConfig::default()
        };
        let control: Arc<OnceLock<JobControl>> = Arc::default();
        let completed = AtomicUsize::new(0);
        let (wanted, remote) = (leg.checkpoints, Arc::clone(&control));
        let listen = move |event: &JobEvent| {
            if matches!(event, JobEvent::CheckpointCompleted { .. })
                && Some(completed.fetch_add(1, Ordering::Relaxed) + 1) == wanted
            {
                remote.get().unwrap().cancel();
            }
        };
        let seams = seams_over(Arc::clone(&self.store), &self.runtime, Probe::default(), listen);
        let job = Job::new(graph.build().unwrap(), config, seams);
        assert!(control.set(job.control()).is_ok());
        job.run().unwrap()
    }

    /// Records in flight in the newest checkpoint.
    fn in_flight(&self) -> usize {
        let handle = self.runtime.handle().clone();
        let store = Arc::clone(&self.store);
        let storage = ObjectStorage::new(store, handle, "memory".to_owned());
        let inventory = Inventory::read(&storage).unwrap();
        let chosen = choose(&storage, &inventory).unwrap().chosen.unwrap();
        assert!(chosen.manifest.checkpoint > CheckpointId::NONE);
        let in_flight = |section: &Section| match section {
            Section::Channel { records, .. } => records.len(),
            _ => 0,
        };
        chosen.sections.iter().map(in_flight).sum()
    }
}

/// Two stops and restores at other parallelisms; returns the most records in flight at a stop.
fn travel(mode: CheckpointMode, alignment_timeout_ms: Option<u64>) -> usize {
    let journey = Journey::new(mode, alignment_timeout_ms);
    let mut most = 0;
    for leg in [
        Leg { parallelism: 24, workers: 2, checkpoints: Some(4) },
        Leg { parallelism: 17, workers: 3, checkpoints: Some(4) },
    ] {
        assert_eq!(journey.run(&leg), JobOutcome::Cancelled, "{mode:?}: it ended too early");
        most = most.max(journey.in_flight());
    }
    let last = Leg { parallelism: 40, workers: 1, checkpoints: None };
    assert_eq!(journey.run(&last), JobOutcome::Drained);
    let effects = journey.effects.lock().unwrap();
    let seen = multiplicities(&effects);
    assert_eq!(seen.len() as u64, u64::from(PARTITIONS) * RECORDS, "{mode:?}: records lost");
    if mode != CheckpointMode::AtLeastOnce {
        let largest = effects.iter().map(|e| e.count).max().unwrap();
        assert_eq!(largest, RECORDS / KEYS, "{mode:?}: keyed state counts exactly once");
    }
    most
}

#[test]
fn unaligned_carries_its_records_in_flight_to_their_new_owners() {
    assert!(travel(CheckpointMode::ExactlyOnceUnaligned, None) > 0, "nothing was in flight");
}

#[test]
fn an_alignment_timeout_carries_them_too() {
    assert!(travel(CheckpointMode::ExactlyOnce, Some(0)) > 0, "nothing was in flight");
}

#[test]
fn the_first_barrier_form_carries_them_too() {
    assert!(travel(CheckpointMode::AtLeastOnceFirstBarrier, None) > 0, "nothing was in flight");
}

#[test]
fn aligned_and_at_least_once_have_none_to_carry() {
    assert_eq!(travel(CheckpointMode::ExactlyOnce, None), 0);
    assert_eq!(travel(CheckpointMode::AtLeastOnce, None), 0);
}
