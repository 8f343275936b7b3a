//! The generator and the blackhole, driven directly.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod connector_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use stormproof_engine::api::SinkFactory as _;
use stormproof_engine::api::{
    Emission, GroupState, SourceFactory as _, SourceReader, StateSnapshot,
};
use stormproof_engine::connectors::blackhole::BlackholeFactory;
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory, KeySkew};
use stormproof_engine::error::EngineError;
use stormproof_engine::ids::*;
use stormproof_engine::record::Payload;
use stormproof_engine::seam::Clock as _;

use connector_support::{HandClock, context, record};

/// Takes everything, within a budget; some subtasks may have no credit.
#[derive(Default)]
struct Taken {
    budget: usize,
    blocked: Vec<u16>,
    finished: Vec<u16>,
    records: Vec<(u16, u32, u64, i64)>,
    values: BTreeMap<(u32, u64), (Vec<u8>, Vec<u8>)>,
}

impl Taken {
    fn with_budget(budget: usize) -> Self {
        Self { budget, ..Self::default() }
    }
}

impl Emission for Taken {
    fn can_emit(&self, subtask: SubtaskIndex) -> bool {
        !self.blocked.contains(&subtask.0)
    }

    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>) {
        assert!(self.budget > 0 && self.can_emit(subtask), "emitted without leave");
        self.budget -= 1;
        let from = payload.provenance;
        self.records.push((subtask.0, from.partition.0, from.offset.0, payload.event_time_us));
        let (key, value) = (payload.key.unwrap().to_vec(), payload.value.unwrap().to_vec());
        let again = self.values.insert((from.partition.0, from.offset.0), (key, value));
        assert!(again.is_none(), "partition {} offset {} twice", from.partition, from.offset);
    }

    fn finish(&mut self, subtask: SubtaskIndex) {
        assert!(!self.finished.contains(&subtask.0), "subtask {subtask} finished twice");
        self.finished.push(subtask.0);
    }

    fn budget(&self) -> usize {
        self.budget
    }
}

fn open(
    factory: &GeneratorFactory,
    clock: &Arc<HandClock>,
    subtasks: std::ops::Range<u16>,
    state: GroupState,
) -> Box<dyn SourceReader> {
    factory.open(context(1, 0, subtasks, clock.clone()), state).expect("a reader")
}

fn snapshot(reader: &mut dyn SourceReader, subtasks: std::ops::Range<u16>) -> GroupState {
    subtasks.fold(GroupState::restored(), |state, subtask| {
        let mut snapshot = StateSnapshot::default();
        reader.snapshot(CheckpointId(1), SubtaskIndex(subtask), &mut snapshot).expect("a snapshot");
        let items = snapshot.list("splits").expect("splits are always written").to_vec();
        state.with_list(SubtaskIndex(subtask), "splits", items)
    })
}

#[test]
fn emits_every_record_once_and_ends() {
    let config = GeneratorConfig { records: Some(1_003), ..GeneratorConfig::default() };
    let factory = GeneratorFactory::new(config).unwrap();
    let clock = Arc::new(HandClock::default());
    let mut reader = open(&factory, &clock, 0..4, GroupState::default());
    let mut taken = Taken::with_budget(500);
    assert!(reader.poll(0, &mut taken).unwrap(), "more is ready");
    assert_eq!(taken.records.len(), 500);
    taken.budget = 10_000;
    assert!(!reader.poll(0, &mut taken).unwrap());
    assert_eq!(taken.records.len(), 1_003);
    let per_partition = |p| taken.records.iter().filter(|r| r.1 == p).count();
    assert_eq!([0, 1, 2, 3].map(per_partition), [251, 251, 251, 250]);
    taken.finished.sort_unstable();
    assert_eq!(taken.finished, [0, 1, 2, 3]);
    reader.poll(0, &mut taken).unwrap();
}

#[test]
fn keeps_the_intended_schedule_and_catches_up() {
    let config = GeneratorConfig { records_per_sec: 1_000, ..GeneratorConfig::default() };
    let factory = GeneratorFactory::new(config).unwrap();
    let clock = Arc::new(HandClock::default());
    clock.advance_ms(5_000);
    let mut reader = open(&factory, &clock, 0..10, GroupState::default());
    let mut taken = Taken::with_budget(usize::MAX);
    taken.blocked = vec![3];
    clock.advance_ms(99);
    reader.poll(clock.now_us(), &mut taken).unwrap();
    assert_eq!(taken.records.len(), 90, "100 are due, 10 of them blocked");
    assert_eq!(reader.pending_records(), Some(10));
    taken.blocked.clear();
    clock.advance_ms(900);
    reader.poll(clock.now_us(), &mut taken).unwrap();
    assert_eq!(taken.records.len(), 1_000);
    for (_, partition, offset, event_time_us) in &taken.records {
        let number = offset * 10 + u64::from(*partition);
        assert_eq!(*event_time_us as u64, 5_000_000 + number * 1_000, "not the intended time");
    }
}

#[test]
fn a_restored_generator_goes_on_with_the_same_records() {
    let config = GeneratorConfig {
        records: Some(900),
        skew: KeySkew::Zipf { exponent: 1.1 },
        ..GeneratorConfig::default()
    };
    let clock = Arc::new(HandClock::default());
    let mut whole = Taken::with_budget(usize::MAX);
    let factory = GeneratorFactory::new(config.clone()).unwrap();
    open(&factory, &clock, 0..3, GroupState::default()).poll(0, &mut whole).unwrap();

    let factory = GeneratorFactory::new(config).unwrap();
    let mut reader = open(&factory, &clock, 0..3, GroupState::default());
    let mut first = Taken::with_budget(333);
    reader.poll(0, &mut first).unwrap();
    let state = snapshot(reader.as_mut(), 0..3);
    // Emitted after the snapshot and lost with the attempt.
    first.budget = 50;
    let kept = first.values.clone();
    reader.poll(0, &mut first).unwrap();
    assert!(first.values.len() > kept.len());
    let mut second = Taken { budget: usize::MAX, values: kept, ..Taken::default() };
    open(&factory, &clock, 0..3, state).poll(0, &mut second).unwrap();
    assert_eq!(second.records.len(), 900 - 333);
    assert!(second.values == whole.values, "a replayed record differs");
}

#[test]
fn a_restored_schedule_goes_on_from_its_origin() {
    let config = GeneratorConfig { records_per_sec: 100, ..GeneratorConfig::default() };
    let factory = GeneratorFactory::new(config).unwrap();
    let clock = Arc::new(HandClock::default());
    let mut reader = open(&factory, &clock, 0..2, GroupState::default());
    let mut taken = Taken::with_budget(usize::MAX);
    clock.advance_ms(995);
    reader.poll(clock.now_us(), &mut taken).unwrap();
    assert_eq!(taken.records.len(), 100);
    let state = snapshot(reader.as_mut(), 0..2);
    clock.advance_ms(1_000);
    let mut reader = open(&factory, &clock, 0..2, state);
    reader.poll(clock.now_us(), &mut taken).unwrap();
    assert_eq!(taken.records.len(), 200, "what fell due during the restart is generated");
}

#[test]
fn refuses_what_cannot_work() {
    let defaults = GeneratorConfig::default;
    for config in [
        GeneratorConfig { record_bytes: 7, ..defaults() },
        GeneratorConfig { keys: 0, ..defaults() },
        GeneratorConfig { skew: KeySkew::Zipf { exponent: 0.0 }, ..defaults() },
        GeneratorConfig { skew: KeySkew::HotKey { percent: 101 }, ..defaults() },
    ] {
        let refused = GeneratorFactory::new(config.clone());
        assert!(matches!(refused, Err(EngineError::Config(_))), "{config:?}");
    }
}

#[test]
fn the_blackhole_counts() {
    let factory = BlackholeFactory::new();
    let clock = Arc::new(HandClock::default());
    let context = context(1, 0, 0..1, clock);
    let mut sink = factory.open(context.clone(), GroupState::default()).unwrap();
    let frame_bytes = record(0, 0, "k", "value").frame().len() as u64;
    for offset in 0..3 {
        sink.write(SubtaskIndex(0), record(0, offset, "k", "value"), 0).unwrap();
    }
    assert_eq!(factory.counts().records.get(), 3);
    assert_eq!(factory.counts().bytes.get(), 3 * frame_bytes);
    assert_eq!(context.metrics.sink_confirmed_records.get(), 3);
    assert_eq!(sink.pending_records(), 0);
    assert!(sink.is_settled(CheckpointId(1)).unwrap());
}
