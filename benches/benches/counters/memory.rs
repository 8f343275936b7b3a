//! Resident memory: of a 2000 x 2000 job that has nothing to do, and of what is in flight before a
//! sink that takes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stormproof_benches::BenchJob;
use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory};
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory};
use stormproof_engine::connectors::immediate::{Immediate, Take};
use stormproof_engine::error::Result;
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::SubtaskIndex;
use stormproof_engine::metrics::WorkerMetrics;
use stormproof_engine::record::RecordView;
use stormproof_engine::runtime::{ExchangeConfig, JobConfig};
use stormproof_engine::seam::TimeUs;

const PARALLELISM: u16 = 2000;
const SETTLE: Duration = Duration::from_millis(1500);

/// A sink that is never ready.
#[derive(Default)]
struct Blocked {
    is_blocked: AtomicBool,
    metrics: std::sync::Mutex<Vec<Arc<WorkerMetrics>>>,
}

struct BlockedFactory(Arc<Blocked>);

struct BlockedSink(Arc<Blocked>);

impl SinkFactory for BlockedFactory {
    fn open(&self, context: GroupContext, _state: GroupState) -> Result<Box<dyn Sink>> {
        let mut all = self.0.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.push(Arc::clone(&context.metrics));
        Ok(Box::new(Immediate::new(context.metrics, BlockedSink(Arc::clone(&self.0)))))
    }
}

impl Take for BlockedSink {
    fn is_ready(&self) -> bool {
        !self.0.is_blocked.load(Ordering::Relaxed)
    }

    fn take(&mut self, _subtask: SubtaskIndex, _record: RecordView<'_>, _now_us: TimeUs) {}
}

fn job(blocked: &Arc<Blocked>, records_per_sec: u64, exchange: ExchangeConfig) -> BenchJob {
    let generator = GeneratorConfig { records_per_sec, ..GeneratorConfig::default() };
    let generator = GeneratorFactory::new(generator).expect("the generator is valid");
    let mut graph = JobGraph::builder();
    let source = graph.source("source", PARALLELISM, Arc::new(generator));
    let sink = graph.sink("sink", PARALLELISM, Arc::new(BlockedFactory(Arc::clone(blocked))));
    graph.connect(source, sink, Partitioner::KeyBy);
    let config = JobConfig { exchange, ..JobConfig::default() };
    BenchJob::new(graph.build().expect("the graph is valid"), config)
}

/// Resident memory of this process, bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// A job with a record a second.
#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
pub(crate) fn idle() {
    let before = resident_bytes();
    let mut with = 0;
    job(&Arc::default(), 1, ExchangeConfig::default()).run_with(|control, _| {
        std::thread::sleep(SETTLE);
        with = resident_bytes();
        control.cancel();
    });
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "counters/memory/idle-{PARALLELISM}: {:.1} MiB for the job ({:.1} MiB of the process)",
        mib(with.saturating_sub(before)),
        mib(with)
    );
}

/// As many records as credit lets in flight, with nobody taking any.
#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
pub(crate) fn in_flight() {
    let blocked = Arc::new(Blocked { is_blocked: AtomicBool::new(true), ..Blocked::default() });
    // Credit must not shrink while it is counted.
    let exchange = ExchangeConfig { in_flight_target_ms: 0, ..ExchangeConfig::default() };
    let before = resident_bytes();
    let (mut with, mut records, mut bytes) = (0, 0, 0);
    job(&blocked, 0, exchange).run_with(|control, _| {
        std::thread::sleep(SETTLE);
        with = resident_bytes();
        let metrics = blocked.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        records = metrics.iter().map(|m| m.source_records.get()).sum();
        bytes = metrics.iter().map(|m| m.source_bytes.get()).sum();
        control.cancel();
    });
    println!(
        "counters/memory/in-flight: {records} records of 100 bytes, {:.1} bytes each in frames, \
         {:.1} bytes each resident",
        bytes as f64 / records as f64,
        with.saturating_sub(before) as f64 / records as f64
    );
}
