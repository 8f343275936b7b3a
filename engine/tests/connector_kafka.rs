//! The Kafka source against librdkafka's mock cluster.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod connector_support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use stormproof_engine::api::{
    Emission, GroupContext, GroupState, SourceFactory as _, SourceReader, StateSnapshot,
};
use stormproof_engine::connectors::kafka::{KafkaSourceConfig, KafkaSourceFactory};
use stormproof_engine::connectors::{Split, WallClock};
use stormproof_engine::error::EngineError;
use stormproof_engine::ids::*;
use stormproof_engine::record::Payload;
use stormproof_engine::seam::{Probe, Step};

use connector_support::{RealClock, Recorder, context, wait_until};

const TOPIC: &str = "storm-input";
type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Mock clusters and thousands of queues at the same time would starve each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic(TOPIC, partitions, 1).expect("a topic");
    cluster
}

fn producer(cluster: &Cluster) -> ThreadedProducer<rdkafka::producer::DefaultProducerContext> {
    ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("linger.ms", "20")
        .set("queue.buffering.max.messages", "1000000")
        .set("message.max.bytes", "10000000")
        .create()
        .expect("a producer")
}

/// `records` in each partition from offset `first`, in runs; value = `<partition>/<offset>`.
fn produce(cluster: &Cluster, partitions: i32, first: u64, records: u64) {
    let producer = producer(cluster);
    for partition in 0..partitions {
        for offset in first..first + records {
            let (key, value) = (format!("k{partition}"), format!("{partition}/{offset}"));
            let record = BaseRecord::to(TOPIC).partition(partition).key(&key).payload(&value);
            producer.send(record.timestamp(WallClock::now_us() / 1000)).expect("room in the queue");
        }
    }
    producer.flush(Duration::from_secs(30)).expect("everything is produced");
}

fn config(cluster: &Cluster) -> KafkaSourceConfig {
    KafkaSourceConfig {
        brokers: cluster.bootstrap_servers(),
        topic: TOPIC.to_owned(),
        group: "storm".to_owned(),
        ..KafkaSourceConfig::default()
    }
}

/// Key, value and event time.
type Content = (Option<Vec<u8>>, Option<Vec<u8>>, i64);

/// Takes records and checks that each partition has no gap, no stray and no repetition.
#[derive(Default)]
struct Taken {
    budget: usize,
    blocked: Vec<u16>,
    next: BTreeMap<u32, u64>,
    records: u64,
    runs: Vec<u32>,
    payloads: Option<Vec<Content>>,
    subtasks: BTreeMap<u32, u16>,
}

impl Taken {
    fn at(next: impl IntoIterator<Item = (u32, u64)>) -> Self {
        Self { next: next.into_iter().collect(), budget: usize::MAX, ..Self::default() }
    }

    fn fresh(partitions: u32) -> Self {
        Self::at((0..partitions).map(|p| (p, 0)))
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
        let next = self.next.get_mut(&from.partition.0).expect("a stray partition");
        assert_eq!(from.offset.0, *next, "partition {}", from.partition);
        *next += 1;
        self.records += 1;
        if self.runs.last() != Some(&from.partition.0) {
            self.runs.push(from.partition.0);
        }
        let owner = *self.subtasks.entry(from.partition.0).or_insert(subtask.0);
        assert_eq!(owner, subtask.0, "partition {} has two owners", from.partition);
        match &mut self.payloads {
            Some(payloads) => payloads.push((
                payload.key.map(<[u8]>::to_vec),
                payload.value.map(<[u8]>::to_vec),
                payload.event_time_us,
            )),
            None => {
                let expected = format!("{}/{}", from.partition, from.offset);
                assert_eq!(payload.value, Some(expected.as_bytes()), "another record's value");
            }
        }
    }

    fn finish(&mut self, _subtask: SubtaskIndex) {
        panic!("a topic has no end");
    }

    fn budget(&self) -> usize {
        self.budget
    }
}

struct Driver {
    reader: Box<dyn SourceReader>,
    context: GroupContext,
}

impl Driver {
    fn open(factory: &KafkaSourceFactory, context: GroupContext, state: GroupState) -> Self {
        let reader = factory.open(context.clone(), state).expect("a reader");
        Self { reader, context }
    }

    fn poll(&mut self, taken: &mut Taken) {
        let now_us = self.context.clock.now_us();
        self.reader.poll(now_us, taken).expect("the log can be read");
    }

    fn poll_until(&mut self, taken: &mut Taken, records: u64) {
        wait_until(&format!("{records} records"), || {
            self.poll(taken);
            taken.records >= records
        });
        assert_eq!(taken.records, records, "more than there are");
    }

    fn snapshot(&mut self, checkpoint: u64) -> GroupState {
        let subtasks = self.context.subtasks.clone();
        subtasks.fold(GroupState::restored(), |state, subtask| {
            let subtask = SubtaskIndex(subtask);
            let mut snapshot = StateSnapshot::default();
            self.reader.snapshot(CheckpointId(checkpoint), subtask, &mut snapshot).unwrap();
            let items = snapshot.list("splits").expect("splits are always written").to_vec();
            state.with_list(subtask, "splits", items)
        })
    }
}

fn splits(state: &GroupState) -> BTreeMap<u32, u64> {
    let items = state.lists("splits").flat_map(|(_, items)| items);
    let splits = items.map(|item| Split::decode(item).expect("a split"));
    splits.map(|split| (split.partition.0, split.next.0)).collect()
}

fn real(subtasks: std::ops::Range<u16>) -> GroupContext {
    context(1, 0, subtasks, Arc::new(RealClock::default()))
}

fn committed(cluster: &Cluster, partitions: i32) -> BTreeMap<i32, i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "storm")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(TOPIC, 0, partitions - 1);
    let answer = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    let offset = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match e.offset() {
        KafkaOffset::Offset(offset) => Some((e.partition(), offset)),
        _ => None,
    };
    answer.elements().iter().filter_map(offset).collect()
}

#[test]
fn reads_two_thousand_partitions_on_two_clients() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(2000);
    produce(&cluster, 2000, 0, 50);
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let contexts = [0..1000, 1000..2000].map(|subtasks| GroupContext {
        parallelism: 2000,
        worker: WorkerIndex(subtasks.start / 1000),
        ..real(subtasks)
    });
    let mut drivers =
        contexts.map(|context| Driver::open(&factory, context, GroupState::default()));
    let fresh = drivers[0].snapshot(1);
    assert_eq!(splits(&fresh), (0..1000).map(|p| (p, 0)).collect(), "a real offset from the start");
    let mut taken = Taken::fresh(2000);
    for (n, driver) in drivers.iter_mut().enumerate() {
        assert_eq!(driver.reader.pending_records(), Some(50_000));
        driver.poll_until(&mut taken, (n as u64 + 1) * 50_000);
        assert_eq!(driver.reader.pending_records(), Some(0));
    }
    assert!(taken.subtasks.iter().all(|(partition, subtask)| *partition == u32::from(*subtask)));

    // A restart in the middle: whatever the clients had fetched ahead is neither lost nor doubled.
    produce(&cluster, 2000, 50, 50);
    for round in 0..5 {
        for driver in &mut drivers {
            taken.budget = 7_001;
            let emitted = taken.records;
            wait_until("some records", || {
                driver.poll(&mut taken);
                taken.records > emitted
            });
            let state = driver.snapshot(2 + round);
            let own = splits(&state);
            assert!(own.iter().all(|(p, next)| taken.next[p] == *next), "not the emitted position");
            let context = driver.context.clone();
            let begun = Instant::now();
            // The old reader goes first, as a failed attempt's does; its client is used again.
            driver.reader = Box::new(Gone);
            *driver = Driver::open(&factory, context, state);
            assert!(begun.elapsed() < Duration::from_secs(2), "reopened in {:?}", begun.elapsed());
        }
    }
    taken.budget = usize::MAX;
    wait_until("the rest", || {
        drivers.iter_mut().for_each(|driver| driver.poll(&mut taken));
        taken.records >= 200_000
    });
    assert!(taken.next.values().all(|next| *next == 100));
}

/// Stands in for a reader that was dropped.
struct Gone;

impl SourceReader for Gone {
    fn poll(&mut self, _: u64, _: &mut dyn Emission) -> stormproof_engine::error::Result<bool> {
        unreachable!("gone")
    }
    fn snapshot(
        &mut self,
        _: CheckpointId,
        _: SubtaskIndex,
        _: &mut StateSnapshot,
    ) -> stormproof_engine::error::Result<()> {
        unreachable!("gone")
    }
    fn notify_checkpoint_complete(
        &mut self,
        _: CheckpointId,
    ) -> stormproof_engine::error::Result<()> {
        unreachable!("gone")
    }
    fn notify_checkpoint_aborted(&mut self, _: CheckpointId) {}
}

#[test]
fn a_blocked_subtask_loses_nothing_and_stops_nobody() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(4);
    produce(&cluster, 4, 0, 1_000);
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let mut driver = Driver::open(&factory, real(0..2), GroupState::default());
    let mut taken = Taken { blocked: vec![1], ..Taken::fresh(4) };
    driver.poll_until(&mut taken, 2_000);
    assert_eq!([0, 1, 2, 3].map(|p| taken.next[&p]), [1_000, 0, 1_000, 0]);
    taken.blocked.clear();
    driver.poll_until(&mut taken, 4_000);
}

#[test]
fn ready_partitions_take_turns() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(3);
    produce(&cluster, 3, 0, 400);
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let mut driver = Driver::open(&factory, real(0..3), GroupState::default());
    let mut taken = Taken { budget: 0, ..Taken::fresh(3) };
    wait_until("the fetchers", || {
        driver.poll(&mut taken);
        driver.context.metrics.fetch_event_time_lag_us.get();
        std::thread::sleep(Duration::from_millis(500));
        true
    });
    taken.budget = 600;
    wait_until("600 records", || {
        driver.poll(&mut taken);
        taken.budget == 0
    });
    assert!(taken.runs.len() >= 9, "runs are longer than 64 records: {:?}", taken.runs);
    let share = taken.next.values().copied().collect::<Vec<_>>();
    assert!(share.iter().all(|n| (100..=300).contains(n)), "unfair: {share:?}");
}

#[test]
fn offsets_are_committed_after_completion_only() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(20);
    produce(&cluster, 20, 0, 30);
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let recorder = Recorder::default();
    let context = GroupContext { probe: Probe::new(recorder.clone()), ..real(0..10) };
    context.probe.set_armed(true);
    let mut driver = Driver::open(&factory, context, GroupState::default());
    let mut taken = Taken::fresh(20);
    driver.poll_until(&mut taken, 600);
    driver.snapshot(1);
    produce(&cluster, 20, 30, 10);
    driver.poll_until(&mut taken, 800);
    driver.snapshot(2);
    for _ in 0..50 {
        driver.poll(&mut taken);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(committed(&cluster, 20).is_empty(), "committed before completion");
    driver.reader.notify_checkpoint_complete(CheckpointId(1)).unwrap();
    assert!(driver.reader.is_committing());
    wait_until("the commit", || {
        driver.poll(&mut taken);
        !driver.reader.is_committing()
    });
    assert_eq!(committed(&cluster, 20), (0..20).map(|p| (p, 30)).collect());
    assert_eq!(driver.context.metrics.offset_commits.get(), 1);

    driver.snapshot(3);
    driver.reader.notify_checkpoint_aborted(CheckpointId(2));
    driver.reader.notify_checkpoint_complete(CheckpointId(3)).unwrap();
    driver.reader.notify_checkpoint_complete(CheckpointId(1)).unwrap();
    wait_until("the commit", || {
        driver.poll(&mut taken);
        !driver.reader.is_committing()
    });
    assert_eq!(committed(&cluster, 20), (0..20).map(|p| (p, 40)).collect());
    if cfg!(feature = "failpoints") {
        let hits = recorder.hits.lock().unwrap();
        let hits: Vec<_> = hits.iter().map(|(s, at)| (*s, at.subtask.0, at.checkpoint.0)).collect();
        let expected = [1, 3].map(|c| (0..10).map(move |s| (Step::OffsetCommitted, s, c)));
        assert_eq!(hits, expected.into_iter().flatten().collect::<Vec<_>>());
    }
}

#[test]
fn a_position_that_retention_has_passed_is_refused() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(1);
    // The mock cluster drops what does not fit into 5 MiB.
    let producer = producer(&cluster);
    let payload = vec![0_u8; 200_000];
    for _ in 0..60 {
        producer.send(BaseRecord::<(), _>::to(TOPIC).partition(0).payload(&payload)).unwrap();
        producer.flush(Duration::from_secs(10)).unwrap();
    }
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let at = |next| {
        let split = Split { partition: PartitionId(0), next: Offset(next) };
        GroupState::restored().with_list(SubtaskIndex(0), "splits", vec![split.encode()])
    };
    let mut fresh = Driver::open(&factory, real(0..1), GroupState::default());
    let low = splits(&fresh.snapshot(1))[&0];
    assert!(low > 0, "the mock cluster kept everything");
    let mut taken = Taken { payloads: Some(Vec::new()), ..Taken::at([(0, low)]) };
    fresh.poll_until(&mut taken, 60 - low);
    drop(fresh);
    for next in [low - 1, 61] {
        let refused = factory.open(real(0..1), at(next));
        let Err(EngineError::Input(message)) = refused else { panic!("{next} was accepted") };
        for part in ["partition 0", &format!("offset {next}"), "low watermark", "checkpoint"] {
            assert!(message.contains(part), "`{part}` is missing: {message}");
        }
    }
    factory.open(real(0..1), at(60)).expect("the end of the log is a position");
}

#[test]
fn an_unknown_topic_is_named() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = MockCluster::new(1).expect("a cluster");
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let refused = factory.open(real(0..1), GroupState::default());
    let Err(error) = refused else { panic!("was accepted") };
    assert!(matches!(error, EngineError::Config(_)), "{error}");
    assert!(error.to_string().contains(TOPIC) && error.to_string().contains("create"), "{error}");
}

#[test]
fn brokers_that_are_away_at_the_start_fail_the_attempt_and_not_the_job() {
    let _alone = ONE_AT_A_TIME.lock();
    let config = KafkaSourceConfig {
        brokers: "127.0.0.1:1".to_owned(),
        request_timeout_ms: 300,
        ..KafkaSourceConfig::default()
    };
    let factory = KafkaSourceFactory::new(config).unwrap();
    let refused = factory.open(real(0..1), GroupState::default());
    let Err(error) = refused else { panic!("was accepted") };
    assert!(error.is_retryable() && error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[test]
fn a_broker_that_goes_away_is_waited_for() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(10);
    produce(&cluster, 10, 0, 10);
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let mut driver = Driver::open(&factory, real(0..10), GroupState::default());
    let mut taken = Taken::fresh(10);
    driver.poll_until(&mut taken, 100);
    cluster.broker_down(-1).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_500) {
        driver.poll(&mut taken);
        std::thread::sleep(Duration::from_millis(5));
    }
    cluster.broker_up(-1).unwrap();
    produce(&cluster, 10, 10, 10);
    driver.poll_until(&mut taken, 200);
}

#[test]
fn nulls_empties_and_megabytes_survive() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    type Borrowed<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);
    let records: [Borrowed<'_>; 5] = [
        (None, Some(b"v")),
        (Some(b""), Some(b"")),
        (Some(b"k"), None),
        (Some(b"k"), Some(&large)),
        (Some(b"k"), Some(b"last")),
    ];
    let stamp_ms = 1_700_000_000_123;
    for (key, value) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(TOPIC).partition(0).timestamp(stamp_ms);
        record.key = key;
        record.payload = value;
        producer.send(record).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let mut driver = Driver::open(&factory, real(0..1), GroupState::default());
    let mut taken = Taken { payloads: Some(Vec::new()), ..Taken::fresh(1) };
    driver.poll_until(&mut taken, 5);
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let expected: Vec<_> =
        records.iter().map(|(k, v)| (owned(*k), owned(*v), stamp_ms * 1000)).collect();
    assert!(taken.payloads == Some(expected), "a record is not what was produced");
    let lag_us = driver.context.metrics.emit_event_time_lag_us.get();
    assert!(lag_us > 1_000_000_000, "the record is years old: {lag_us}");
    assert!(driver.context.metrics.fetch_event_time_lag_us.get() > 1_000_000_000);
}

#[test]
fn pending_records_follow_the_log() {
    let _alone = ONE_AT_A_TIME.lock();
    let cluster = cluster(5);
    produce(&cluster, 5, 0, 10);
    let factory = KafkaSourceFactory::new(config(&cluster)).unwrap();
    let mut driver = Driver::open(&factory, real(0..5), GroupState::default());
    let mut taken = Taken { blocked: vec![0, 1, 2, 3, 4], ..Taken::fresh(5) };
    assert_eq!(driver.reader.pending_records(), Some(50));
    produce(&cluster, 5, 10, 10);
    wait_until("the refreshed figure", || {
        driver.poll(&mut taken);
        driver.reader.pending_records() == Some(100)
    });
}
