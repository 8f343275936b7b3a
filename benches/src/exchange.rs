//! generator -> (partitioner) -> blackhole, at any parallelism; a run ends when every record has
//! arrived.
//!
//! A bench measures whole runs and counts records, so that start and end are part of the figure;
//! give it enough records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stormproof_engine::connectors::blackhole::{BlackholeCounts, BlackholeFactory};
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory, KeySkew};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::SubtaskIndex;
use stormproof_engine::runtime::{CheckpointConfig, CheckpointMode, JobConfig, RestartStrategy};

use crate::job::BenchJob;
use crate::stall::{disarmed, late_for_each};

/// The longest that a run may take.
const LIMIT: Duration = Duration::from_secs(300);

/// One exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Subtasks of both vertices.
    pub parallelism: u16,
    /// How records are spread.
    pub partitioner: Partitioner,
    /// Bytes of a value.
    pub record_bytes: usize,
    /// How records are spread over keys.
    pub skew: KeySkew,
    /// Records of a run.
    pub records: u64,
    /// Checkpoint mode.
    pub mode: CheckpointMode,
    /// Checkpoint interval.
    pub interval_ms: u64,
    /// How late the last source subtask's barrier is at each checkpoint but the first; 0 = never. It
    /// emits nothing meanwhile, and its share when the others are done.
    pub late_ms: u64,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            parallelism: 2000,
            partitioner: Partitioner::KeyBy,
            record_bytes: 100,
            skew: KeySkew::Uniform,
            records: 2_000_000,
            mode: CheckpointMode::ExactlyOnce,
            interval_ms: 1000,
            late_ms: 0,
        }
    }
}

/// What a run of an exchange has measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From the first record to the last confirmation.
    pub elapsed: Duration,
    /// From the first record until 99 of 100 had arrived: without the end of a straggler.
    pub most: Duration,
    /// Durations of completed checkpoints, in microseconds.
    pub checkpoints_us: Vec<u64>,
    /// The largest share of all records that one sink subtask took.
    pub busiest_share: f64,
}

impl Exchange {
    /// Different keys.
    pub const KEYS: u64 = 100_000;

    /// Records that arrive: a broadcast record arrives everywhere.
    pub fn arrivals(&self) -> u64 {
        match self.partitioner {
            Partitioner::Broadcast => self.records * u64::from(self.parallelism),
            _ => self.records,
        }
    }

    /// Payload bytes that arrive.
    pub fn payload_bytes(&self) -> u64 {
        self.arrivals() * self.record_bytes as u64
    }

    /// The job, and what its sink counts.
    ///
    /// # Panics
    /// When the exchange describes no valid job.
    pub fn job(&self) -> (BenchJob, Arc<BlackholeCounts>) {
        let mut graph = JobGraph::builder();
        let generator = GeneratorFactory::new(GeneratorConfig {
            record_bytes: self.record_bytes,
            skew: self.skew,
            keys: Self::KEYS,
            records: Some(self.records),
            ..GeneratorConfig::default()
        })
        .expect("the bench's generator is valid");
        let blackhole = BlackholeFactory::new();
        let counts = blackhole.counts();
        let source = graph.source("source", self.parallelism, Arc::new(generator));
        let sink = graph.sink("sink", self.parallelism, Arc::new(blackhole));
        graph.connect(source, sink, self.partitioner);
        let config = JobConfig {
            checkpoint: CheckpointConfig {
                mode: self.mode,
                interval_ms: self.interval_ms,
                ..CheckpointConfig::default()
            },
            restart: RestartStrategy::None,
            ..JobConfig::default()
        };
        let mut job = BenchJob::new(graph.build().expect("the bench's graph is valid"), config);
        let last = SubtaskIndex(self.parallelism - 1);
        job.probe = match self.late_ms {
            0 => disarmed(),
            late_ms => late_for_each(source, last, self.interval_ms * 1000, late_ms * 1000),
        };
        (job, counts)
    }

    /// Runs the exchange to its end.
    ///
    /// # Panics
    /// When the job fails or a record does not arrive: there is nothing to measure then.
    pub fn run(&self) -> Measured {
        let (job, counts) = self.job();
        let (enough, started) = (self.arrivals() - self.arrivals() / 100, Instant::now());
        let mut most = Duration::ZERO;
        let ran = job.run_with(|_| {
            while counts.records.get() < enough && started.elapsed() < LIMIT {
                std::thread::sleep(Duration::from_millis(1));
            }
            most = started.elapsed();
        });
        let arrived = counts.records.get();
        assert_eq!(arrived, self.arrivals(), "every record arrives");
        Measured {
            elapsed: ran.elapsed,
            most,
            checkpoints_us: ran.checkpoints().map(|stats| stats.duration_us).collect(),
            busiest_share: counts.busiest_subtask_records.get() as f64 / arrived as f64,
        }
    }
}
