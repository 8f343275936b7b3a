//! The simulated job: the main job of the harness over simulated services, and its load.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use stormproof_engine::api::{OperatorFactory, SinkFactory, SourceFactory};
use stormproof_engine::connectors::kafka::{KafkaSourceConfig, KafkaSourceFactory, StartFrom};
use stormproof_engine::connectors::sql::{RowMapper, SqlSinkConfig, SqlSinkFactory, WholeValue};
use stormproof_engine::error::Result;
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::operators::{CountFactory, CountedValue};
use stormproof_engine::runtime::JobConfig;
use stormproof_engine::seam::TimeUs;

use super::bounded::Bounded;
use super::connection::Backend;
use super::core::ProcessId;
use super::escrow::{Escrow, EscrowFactory};
use super::hold::{Holding, Mistimed};
use super::plan::{Load, Plan, VERTICES};
use super::shape::Shaped;
use super::topic::{LogHandle, Stored};

/// The shortest pause before a batch is tried again.
pub(super) const RETRY_BACKOFF_MS: u64 = 1;

/// The job's graph for one process.
pub(super) fn graph(
    plan: &Plan,
    process: ProcessId,
    log: LogHandle,
    (database, escrow): (Backend, Option<Arc<Escrow>>),
    mistimed: &Mistimed,
) -> Result<JobGraph> {
    let parallelism = plan.parallelism_of(process.0);
    let mut source = KafkaSourceConfig { brokers: "simulated".to_owned(), ..Default::default() };
    if plan.services.starts_at_committed {
        source.start = StartFrom::Committed;
    }
    source.commit_timeout_ms = commit_timeout_us(plan) / 1_000;
    let ends = log.0.ends();
    let inner = KafkaSourceFactory::with_log(source, Arc::new(log))?;
    let source: Arc<dyn SourceFactory> = match plan.topology.is_bounded {
        true => Arc::new(Bounded { inner, ends }),
        false => Arc::new(inner),
    };
    let mapper: Arc<dyn RowMapper> = match plan.topology.is_direct {
        true => Arc::new(WholeValue),
        false => Arc::new(CountedValue),
    };
    let sink: Arc<dyn SinkFactory> = match escrow {
        Some(escrow) => Arc::new(EscrowFactory(escrow)),
        None => {
            let backend = Arc::new(database);
            Arc::new(SqlSinkFactory::with_backend(backend, sink_config(plan, process), mapper)?)
        }
    };
    let mut graph = JobGraph::builder();
    let [source_name, count_name, sink_name] = VERTICES;
    let source = graph.source(source_name, parallelism.source, source);
    if plan.topology.is_direct {
        let sink = graph.sink(sink_name, parallelism.sink, sink);
        graph.connect(source, sink, plan.topology.into_count);
        return graph.build();
    }
    let count = graph.operator(count_name, parallelism.count, counting(plan, mistimed));
    let sink = graph.sink(sink_name, parallelism.sink, sink);
    graph.connect(source, count, plan.topology.into_count);
    graph.connect(count, sink, plan.topology.into_sink);
    graph.build()
}

/// How long the source waits for the answer to a commit.
pub(super) fn commit_timeout_us(plan: &Plan) -> TimeUs {
    let usual_ms = KafkaSourceConfig::default().commit_timeout_ms;
    plan.services.log_commit_timeout_ms.unwrap_or(usual_ms) * 1_000
}

fn counting(plan: &Plan, mistimed: &Mistimed) -> Arc<dyn OperatorFactory> {
    let takes_its_own = plan.topology.into_count == Partitioner::Broadcast;
    match plan.topology.outputs {
        1 if !takes_its_own => held_back(CountFactory, plan, mistimed),
        outputs => {
            let shaped = Shaped { inner: CountFactory, takes_its_own, outputs };
            held_back(shaped, plan, mistimed)
        }
    }
}

fn held_back<F: OperatorFactory + 'static>(
    inner: F,
    plan: &Plan,
    mistimed: &Mistimed,
) -> Arc<dyn OperatorFactory> {
    match plan.topology.hold_us {
        0 => Arc::new(inner),
        hold_us => {
            let (is_union, mistimed) = (plan.topology.holds_in_union, mistimed.clone());
            Arc::new(Holding { inner, hold_us, is_union, mistimed })
        }
    }
}

fn sink_config(plan: &Plan, process: ProcessId) -> SqlSinkConfig {
    let sink = &plan.sink;
    let usual = SqlSinkConfig::default();
    SqlSinkConfig {
        design: plan.design_of(process.0),
        batch_rows: sink.batch_rows,
        batch_interval_ms: sink.batch_interval_ms,
        transaction_rows: sink.transaction_rows,
        transaction_bytes: sink.transaction_bytes.unwrap_or(usual.transaction_bytes),
        connections_per_worker: sink.connections,
        max_pending_rows: sink.max_pending_rows,
        max_pending_bytes: sink.max_pending_bytes.unwrap_or(usual.max_pending_bytes),
        max_retries: sink.max_retries,
        retry_backoff_ms: RETRY_BACKOFF_MS,
        retry_backoff_max_ms: sink.retry_backoff_max_ms,
        call_timeout_ms: sink.call_timeout_ms,
        fence_timeout_ms: sink.fence_timeout_ms,
        versions_guarded: sink.versions_guarded,
        ..usual
    }
}

/// The job's configuration for one process.
pub(super) fn config(plan: &Plan, process: ProcessId) -> JobConfig {
    JobConfig {
        job: "storm".to_owned(),
        workers: plan.workers_of(process.0),
        max_parallelism: plan.topology.max_parallelism,
        checkpoint: plan.checkpoint.clone(),
        restart: plan.restart(),
        exchange: plan.exchange.clone(),
    }
}

/// So many records arrive in a partition at a time, offsets that no record has included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalOf {
    /// When, in microseconds of virtual time.
    pub at_us: u64,
    /// Where.
    pub partition: u32,
    /// How many.
    pub records: u32,
}

/// When the records of a plan arrive.
pub fn arrivals(plan: &Plan) -> Vec<ArrivalOf> {
    load(plan).1
}

/// What lies at each offset of each partition, and when it arrives.
pub(super) fn load(plan: &Plan) -> (Vec<Vec<Option<Stored>>>, Vec<ArrivalOf>) {
    let Load { records, over_us, burst, gaps_per_mille, .. } = plan.load;
    let mut rng = Pcg64Mcg::seed_from_u64(plan.seed ^ 0x10ad);
    let mut press = Press::new(plan.load);
    let mut partitions = vec![Vec::new(); plan.topology.partitions as usize];
    let mut arrivals = Vec::new();
    let mut id = 0;
    while id < records {
        let at_us = over_us * u64::from(id) / u64::from(records);
        for _ in 0..burst.min(records - id) {
            let (partition, record) = record(plan, u64::from(id), at_us, &mut rng, &mut press);
            let log = &mut partitions[partition as usize];
            let before = log.len();
            if gaps_per_mille > 0 && rng.random_range(0..1000) < gaps_per_mille {
                log.push(None);
            }
            log.push(Some(record));
            let offsets = (log.len() - before) as u32;
            match arrivals.last_mut() {
                Some(ArrivalOf { at_us: at, partition: p, records })
                    if *at == at_us && *p == partition =>
                {
                    *records += offsets;
                }
                _ => arrivals.push(ArrivalOf { at_us, partition, records: offsets }),
            }
            id += 1;
        }
    }
    read_before(plan.services.read_before, &mut partitions, &mut arrivals);
    removed_before(plan.services.removed_before, &mut partitions);
    (partitions, arrivals)
}

/// Puts `offsets` before the records of each partition that has any: somebody has read them.
fn read_before(
    offsets: u32,
    partitions: &mut [Vec<Option<Stored>>],
    arrivals: &mut Vec<ArrivalOf>,
) {
    let held = (0..).zip(partitions).filter(|(_, log)| offsets > 0 && !log.is_empty());
    let before = held.map(|(partition, log)| {
        log.splice(..0, std::iter::repeat_n(None, offsets as usize));
        ArrivalOf { at_us: 0, partition, records: offsets }
    });
    let before: Vec<ArrivalOf> = before.collect();
    arrivals.splice(..0, before);
}

/// Puts `offsets` before the records of each partition that has any: retention has removed them.
fn removed_before(offsets: u32, partitions: &mut [Vec<Option<Stored>>]) {
    for log in partitions.iter_mut().filter(|log| !log.is_empty()) {
        log.splice(..0, std::iter::repeat_n(None, offsets as usize));
    }
}

/// Writes keys and values. Records share memory: a schedule copies each of them several times.
struct Press {
    load: Load,
    keys: BTreeMap<u32, Bytes>,
    room: BytesMut,
}

impl Press {
    fn new(load: Load) -> Self {
        const ROOM_BYTES: usize = 16 << 10;
        Self { load, keys: BTreeMap::new(), room: BytesMut::with_capacity(ROOM_BYTES) }
    }

    fn key(&mut self, key: u32) -> Bytes {
        let Load { has_empty_key, key_bytes, .. } = self.load;
        let name = || {
            if has_empty_key && key == 0 {
                return Bytes::new();
            }
            let mut name = format!("key-{key}").into_bytes();
            name.resize(name.len().max(key_bytes as usize), b'-');
            Bytes::from(name)
        };
        self.keys.entry(key).or_insert_with(name).clone()
    }

    /// The number of the record, cut off or filled up to so many bytes.
    fn value(&mut self, id: u64, bytes: usize) -> Bytes {
        self.room.extend_from_slice(&id.to_le_bytes());
        self.room.resize(bytes, id as u8);
        self.room.split().freeze()
    }
}

fn record(
    plan: &Plan,
    id: u64,
    at_us: u64,
    rng: &mut Pcg64Mcg,
    press: &mut Press,
) -> (u32, Stored) {
    let (load, partitions) = (&plan.load, plan.topology.partitions);
    let mut per_mille = |n: u32| rng.random_range(0..1000) < n;
    let (is_null, is_hot, is_skewed) = (
        per_mille(load.null_keys_per_mille),
        per_mille(load.hot_per_mille),
        per_mille(load.skew_per_mille),
    );
    let is_tombstone = per_mille(10);
    let drawn = if is_hot { 0 } else { rng.random_range(0..load.keys) };
    // A key lives in one partition: that is what makes its order the log's.
    let key = if is_skewed { drawn - drawn % partitions.min(drawn.max(1)) } else { drawn };
    let partition = if is_null { rng.random_range(0..partitions) } else { key % partitions };
    let is_huge = load.huge_value_bytes > 0 && rng.random_range(0..30) == 0;
    let may_be_empty = load.has_empty_key && key == 0 && !is_tombstone;
    let bytes = match may_be_empty && rng.random_range(0..2) == 0 {
        true => 0,
        false if is_huge => load.huge_value_bytes,
        false => 8 + load.value_bytes,
    };
    let stored = Stored {
        key: (!is_null).then(|| press.key(key)),
        value: (!is_tombstone).then(|| press.value(id, bytes as usize)),
        event_time_us: at_us as i64,
    };
    (partition, stored)
}
