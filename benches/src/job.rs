//! A job of the real engine in this process: memory for checkpoints, real threads, real time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stormproof_engine::graph::JobGraph;
use stormproof_engine::runtime::{
    CheckpointStats, Job, JobConfig, JobControl, JobEvent, JobOutcome, JobSeams, TimedEvent,
};
use stormproof_engine::seam::{Clock, MonotonicClock, ObjectStorage, Probe, Sight, TimeUs};

/// A job that can be run once.
pub struct BenchJob {
    /// What runs.
    pub graph: JobGraph,
    /// How.
    pub config: JobConfig,
    /// Named steps.
    pub probe: Probe,
    /// The job's clock.
    pub clock: Arc<dyn Clock>,
}

/// What a run has left.
pub struct Ran {
    /// From the start to the end of the job.
    pub elapsed: Duration,
    /// How it ended.
    pub outcome: JobOutcome,
    /// What it told.
    pub events: Vec<TimedEvent>,
}

impl Ran {
    /// Figures of the completed checkpoints.
    pub fn checkpoints(&self) -> impl Iterator<Item = &CheckpointStats> {
        self.events.iter().filter_map(|timed| match &timed.event {
            JobEvent::CheckpointCompleted { stats, .. } => Some(stats),
            _ => None,
        })
    }

    /// How many checkpoints had completed at a moment of the job's clock.
    pub fn completed_by(&self, moment_us: TimeUs) -> usize {
        let is_it = |timed: &&TimedEvent| {
            matches!(timed.event, JobEvent::CheckpointCompleted { .. }) && timed.t_us <= moment_us
        };
        self.events.iter().filter(is_it).count()
    }
}

impl BenchJob {
    /// A job without faults.
    pub fn new(graph: JobGraph, config: JobConfig) -> Self {
        let clock = Arc::new(MonotonicClock::starting_at(0));
        Self { graph, config, probe: Probe::default(), clock }
    }

    /// Runs to the end; `meanwhile` is called on this thread while the job runs, may end it, and can
    /// ask whether it has ended.
    ///
    /// # Panics
    /// When the job fails: there is nothing to measure then.
    pub fn run_with(self, meanwhile: impl FnOnce(&JobControl, &dyn Fn() -> bool)) -> Ran {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("the system gives a thread");
        let (events, heard) = std::sync::mpsc::channel();
        let memory = Arc::new(object_store::memory::InMemory::new());
        let storage = ObjectStorage::new(memory, runtime.handle().clone(), "memory".to_owned());
        let seams = JobSeams {
            clock: self.clock,
            storage: Arc::new(storage),
            probe: self.probe,
            sight: Sight::default(),
            events: Arc::new(move |event| {
                let _ = events.send(event);
            }),
        };
        let job = Job::new(self.graph, self.config, seams);
        let control = job.control();
        let started = Instant::now();
        let (outcome, elapsed) = std::thread::scope(|scope| {
            let running = scope.spawn(move || (job.run(), started.elapsed()));
            meanwhile(&control, &|| running.is_finished());
            running.join().expect("the job's thread ends")
        });
        let outcome = outcome.expect("the bench's job runs");
        Ran { elapsed, outcome, events: heard.try_iter().collect() }
    }

    /// Runs to the end.
    pub fn run(self) -> Ran {
        self.run_with(|_, _| ())
    }
}
