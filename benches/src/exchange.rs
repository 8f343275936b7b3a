//! generator -> (partitioner) -> blackhole, at any parallelism, with or without a count of each key in
//! between; a run ends when every record has arrived.
//!
//! A bench measures whole runs and counts records, so that start and end are part of the figure;
//! give it enough records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stormproof_engine::connectors::blackhole::{BlackholeCounts, BlackholeFactory};
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory, KeySkew};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::SubtaskIndex;
use stormproof_engine::operators::CountFactory;
use stormproof_engine::runtime::{CheckpointConfig, CheckpointMode, JobConfig, RestartStrategy};

use crate::job::BenchJob;
use crate::stall::{disarmed, late_for_each};

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
    /// Different keys.
    pub keys: u64,
    /// Whether the records of each key are counted before the sink: state that a checkpoint holds.
    pub counts: bool,
    /// Records of a run.
    pub records: u64,
    /// Checkpoint mode.
    pub mode: CheckpointMode,
    /// Checkpoint interval.
    pub interval_ms: u64,
    /// How late the last source subtask's barrier is at each checkpoint but the first; 0 = never. It
    /// emits nothing from the first one on, and its share when the others are done.
    pub late_ms: u64,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            parallelism: 2000,
            partitioner: Partitioner::KeyBy,
            record_bytes: 100,
            skew: KeySkew::Uniform,
            keys: Self::KEYS,
            counts: false,
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
    /// Records/s until 99 of 100 had arrived of those that nobody was late with: without the end.
    pub steady_records_per_s: f64,
    /// Checkpoints that had completed by then.
    pub checkpoints_under_load: usize,
    /// Durations of completed checkpoints, in microseconds.
    pub checkpoints_us: Vec<u64>,
    /// Their alignments.
    pub alignments_us: Vec<u64>,
    /// The largest share of all records that one sink subtask took.
    pub busiest_share: f64,
}

impl Exchange {
    /// Different keys, unless it says otherwise.
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
            keys: self.keys,
            records: Some(self.records),
            ..GeneratorConfig::default()
        })
        .expect("the bench's generator is valid");
        let blackhole = BlackholeFactory::new();
        let counts = blackhole.counts();
        let source = graph.source("source", self.parallelism, Arc::new(generator));
        let before_sink = match self.counts {
            true => {
                let count = graph.operator("count", self.parallelism, Arc::new(CountFactory));
                graph.connect(source, count, self.partitioner);
                count
            }
            false => source,
        };
        let sink = graph.sink("sink", self.parallelism, Arc::new(blackhole));
        let onward = if self.counts { Partitioner::Forward } else { self.partitioner };
        graph.connect(before_sink, sink, onward);
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
        let late = if self.late_ms > 0 { self.arrivals() / u64::from(self.parallelism) } else { 0 };
        let enough = (self.arrivals() - late) * 99 / 100;
        let (probe, clock) = (job.probe.clone(), Arc::clone(&job.clock));
        let (mut steady_records_per_s, mut steady_until_us) = (f64::NAN, 0);
        let started = Instant::now();
        let ran = job.run_with(|_, has_ended| {
            while counts.records.get() < enough && !has_ended() {
                std::thread::sleep(Duration::from_millis(1));
            }
            steady_records_per_s = counts.records.get() as f64 / started.elapsed().as_secs_f64();
            steady_until_us = clock.now_us();
            // Whoever was late may catch up.
            probe.set_armed(false);
        });
        let arrived = counts.records.get();
        assert_eq!(arrived, self.arrivals(), "every record arrives");
        Measured {
            elapsed: ran.elapsed,
            steady_records_per_s,
            checkpoints_under_load: ran.completed_by(steady_until_us),
            checkpoints_us: ran.checkpoints().map(|stats| stats.duration_us).collect(),
            alignments_us: ran.checkpoints().map(|stats| stats.alignment_us).collect(),
            busiest_share: counts.busiest_subtask_records.get() as f64 / arrived as f64,
        }
    }
}
