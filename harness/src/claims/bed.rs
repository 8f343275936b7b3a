//! A job of the real engine in this process: real threads, real time, checkpoints in memory.
//!
//! What services do is left out: a generator feeds it, a blackhole (or an experiment's own sink)
//! takes what comes. A job that fails is an error of the experiment, unless it may restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stormproof_engine::api::{SinkFactory, SourceFactory};
use stormproof_engine::connectors::blackhole::{BlackholeCounts, BlackholeFactory};
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory, KeySkew};
use stormproof_engine::error::EngineError;
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::{SubtaskIndex, VertexId};
use stormproof_engine::operators::CountFactory;
use stormproof_engine::runtime::{
    CheckpointConfig, CheckpointMode, CheckpointStats, ExchangeConfig, Job, JobConfig, JobEvent,
    JobSeams, RestartStrategy, TimedEvent,
};
use stormproof_engine::seam::{
    MonotonicClock, ObjectStorage, Probe, Sight, Step, StepAction, StepContext, StepHook,
};

use crate::error::{HarnessError, Result, engine};

/// Where such experiments were carried out.
pub(super) const ENGINE: &str = "the real engine, generator to blackhole, in one process";

/// A job.
pub(super) struct Bed {
    pub(super) parallelism: u16,
    pub(super) mode: CheckpointMode,
    pub(super) alignment_timeout_ms: Option<u64>,
    pub(super) interval_ms: u64,
    pub(super) partitioner: Partitioner,
    pub(super) skew: KeySkew,
    pub(super) keys: u64,
    /// `None`: it runs for `limit` and is ended.
    pub(super) records: Option<u64>,
    pub(super) record_bytes: usize,
    /// 0: as many as the job takes.
    pub(super) rate_per_s: u64,
    /// Whether records are counted by key between source and sink.
    pub(super) counts: bool,
    /// Ends a job without an end.
    pub(super) limit: Duration,
    /// One subtask stands still from time to time.
    pub(super) stall: Option<Stall>,
    /// Another source than the generator.
    pub(super) source: Option<Arc<dyn SourceFactory>>,
    /// Another sink than the blackhole.
    pub(super) sink: Option<Arc<dyn SinkFactory>>,
    pub(super) probe: Option<Probe>,
    /// 0: one for each core.
    pub(super) workers: u16,
    /// 0: chosen from the parallelism.
    pub(super) credit_bytes: usize,
    pub(super) restarts: u32,
}

impl Default for Bed {
    fn default() -> Self {
        Self {
            parallelism: 2000,
            mode: CheckpointMode::ExactlyOnce,
            alignment_timeout_ms: None,
            interval_ms: 200,
            partitioner: Partitioner::KeyBy,
            skew: KeySkew::Uniform,
            keys: 100_000,
            records: None,
            record_bytes: 100,
            rate_per_s: 0,
            counts: false,
            limit: Duration::from_secs(2),
            stall: None,
            source: None,
            sink: None,
            workers: 0,
            credit_bytes: 0,
            probe: None,
            restarts: 0,
        }
    }
}

/// The last source subtask stands still from the notification of every checkpoint on, past the
/// next trigger: its barrier is late by the difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    pub(super) duration_us: u64,
}

struct StallSource {
    last: SubtaskIndex,
    stall: Stall,
}

impl StepHook for StallSource {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        let is_it = step == Step::Notified && at.vertex == VertexId(0) && at.subtask == self.last;
        match is_it {
            true => StepAction::Stall { duration_us: self.stall.duration_us },
            false => StepAction::Proceed,
        }
    }
}

/// What a job has left.
pub(super) struct Measured {
    pub(super) elapsed: Duration,
    pub(super) events: Vec<TimedEvent>,
    /// What the blackhole has counted, if it was the sink.
    pub(super) counts: Arc<BlackholeCounts>,
}

impl Measured {
    /// Figures of the completed checkpoints.
    pub(super) fn checkpoints(&self) -> Vec<&CheckpointStats> {
        let stats = self.events.iter().filter_map(|timed| match &timed.event {
            JobEvent::CheckpointCompleted { stats, .. } => Some(stats),
            _ => None,
        });
        stats.collect()
    }

    /// Records that arrived, for each second.
    pub(super) fn records_per_s(&self) -> f64 {
        self.counts.records.get() as f64 / self.elapsed.as_secs_f64()
    }

    /// The largest value that a figure had.
    pub(super) fn most(&self, name: &str) -> u64 {
        let values = self.events.iter().filter_map(|timed| match &timed.event {
            JobEvent::Metrics { figures, .. } => {
                figures.iter().find(|(figure, _)| figure == name).map(|(_, value)| *value)
            }
            _ => None,
        });
        values.max().unwrap_or(0)
    }
}

fn refused(error: &EngineError) -> HarnessError {
    engine(error.to_string()).at("the experiment's job")
}

impl Bed {
    fn graph(&self, counts: &BlackholeFactory) -> Result<JobGraph> {
        let generator = GeneratorFactory::new(GeneratorConfig {
            record_bytes: self.record_bytes,
            records_per_sec: self.rate_per_s,
            skew: self.skew,
            keys: self.keys,
            records: self.records,
            ..GeneratorConfig::default()
        });
        let generator = generator.map_err(|error| refused(&error))?;
        let mut graph = JobGraph::builder();
        let source: Arc<dyn SourceFactory> = match &self.source {
            Some(source) => Arc::clone(source),
            None => Arc::new(generator),
        };
        let mut from = graph.source("source", self.parallelism, source);
        let mut partitioner = self.partitioner;
        if self.counts {
            let count = graph.operator("count", self.parallelism, Arc::new(CountFactory));
            graph.connect(from, count, partitioner);
            (from, partitioner) = (count, Partitioner::Forward);
        }
        let sink: Arc<dyn SinkFactory> = match &self.sink {
            Some(sink) => Arc::clone(sink),
            None => Arc::new(counts.clone()),
        };
        let sink = graph.sink("sink", self.parallelism, sink);
        graph.connect(from, sink, partitioner);
        graph.build().map_err(|error| refused(&error))
    }

    fn config(&self) -> JobConfig {
        let restart = match self.restarts {
            0 => RestartStrategy::None,
            n => RestartStrategy::FixedDelay { delay_ms: 5, max_restarts: n },
        };
        JobConfig {
            checkpoint: CheckpointConfig {
                mode: self.mode,
                interval_ms: self.interval_ms,
                alignment_timeout_ms: self.alignment_timeout_ms,
                ..CheckpointConfig::default()
            },
            restart,
            workers: self.workers,
            exchange: ExchangeConfig {
                credit_bytes: self.credit_bytes,
                ..ExchangeConfig::default()
            },
            ..JobConfig::default()
        }
    }

    fn probe(&self) -> Probe {
        let probe = match (&self.probe, self.stall) {
            (Some(probe), _) => return probe.clone(),
            (None, Some(stall)) => {
                let last = SubtaskIndex(self.parallelism - 1);
                Probe::new(StallSource { last, stall })
            }
            (None, None) => return Probe::default(),
        };
        probe.set_armed(true);
        probe
    }

    /// Runs it; `meanwhile` is called on this thread once the job has been started.
    pub(super) fn run_with(&self, meanwhile: impl FnOnce()) -> Result<Measured> {
        let blackhole = BlackholeFactory::new();
        let counts = blackhole.counts();
        let graph = self.graph(&blackhole)?;
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let threads = threads.map_err(|error| engine(format!("cannot start threads: {error}")))?;
        let memory = Arc::new(object_store::memory::InMemory::new());
        let storage = ObjectStorage::new(memory, threads.handle().clone(), "memory".to_owned());
        let (events, heard) = std::sync::mpsc::channel();
        let seams = JobSeams {
            clock: Arc::new(MonotonicClock::starting_at(0)),
            storage: Arc::new(storage),
            probe: self.probe(),
            sight: Sight::default(),
            events: Arc::new(move |event| {
                let _ = events.send(event);
            }),
        };
        let job = Job::new(graph, self.config(), seams);
        let control = job.control();
        let started = Instant::now();
        let outcome = std::thread::scope(|scope| {
            let running = scope.spawn(move || (job.run(), started.elapsed()));
            meanwhile();
            while !running.is_finished() {
                let is_over = self.records.is_none() && started.elapsed() >= self.limit;
                if is_over || started.elapsed() >= Duration::from_secs(120) {
                    control.cancel();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            running.join()
        });
        match outcome {
            Ok((Ok(_), elapsed)) => {
                Ok(Measured { elapsed, events: heard.try_iter().collect(), counts })
            }
            Ok((Err(error), _)) => Err(refused(&error)),
            Err(_) => Err(engine("the job panicked").at("the experiment's job")),
        }
    }

    /// Runs it.
    pub(super) fn run(&self) -> Result<Measured> {
        self.run_with(|| ())
    }
}

/// The middle of some figures.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The highest of some rates.
pub(super) fn best(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}
