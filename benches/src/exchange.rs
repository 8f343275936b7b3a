//! A job of the real engine in this process, over memory.
//!
//! generator -> (partitioner) -> blackhole, at any parallelism; a run ends when every record has
//! arrived. A bench measures whole runs and counts records, so that start and end are part of the
//! figure; give it enough records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stormproof_engine::connectors::blackhole::BlackholeFactory;
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory, KeySkew};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::runtime::{
    CheckpointConfig, CheckpointMode, Job, JobConfig, JobEvent, JobSeams, RestartStrategy,
};
use stormproof_engine::seam::{MonotonicClock, ObjectStorage, Probe};

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
        }
    }
}

/// What a run of an exchange has measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From the first record to the last confirmation.
    pub elapsed: Duration,
    /// Durations of completed checkpoints, in microseconds.
    pub checkpoints_us: Vec<u64>,
}

impl Exchange {
    /// Different keys.
    pub const KEYS: u64 = 100_000;

    /// Runs the exchange to its end.
    ///
    /// # Panics
    /// When the job fails or a record does not arrive: there is nothing to measure then.
    pub fn run(&self) -> Measured {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("the system gives a thread");
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
        let (events, heard) = std::sync::mpsc::channel();
        let memory = Arc::new(object_store::memory::InMemory::new());
        let storage = ObjectStorage::new(memory, runtime.handle().clone(), "memory".to_owned());
        let seams = JobSeams {
            clock: Arc::new(MonotonicClock::starting_at(0)),
            storage: Arc::new(storage),
            probe: Probe::default(),
            events: Arc::new(move |event| {
                let _ = events.send(event.event);
            }),
        };
        let job = Job::new(graph.build().expect("the bench's graph is valid"), config, seams);
        let started = Instant::now();
        job.run().expect("the bench's job runs");
        let elapsed = started.elapsed();
        assert_eq!(counts.records.get(), self.records, "every record arrives");
        let durations = heard.try_iter().filter_map(|event| match event {
            JobEvent::CheckpointCompleted { stats, .. } => Some(stats.duration_us),
            _ => None,
        });
        Measured { elapsed, checkpoints_us: durations.collect() }
    }
}
