//! One trial: a job under an open-loop load at one rate, watched from start to drained.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stormproof_engine::runtime::{
    CheckpointConfig, Job, JobConfig, JobControl, JobSeams, RestartStrategy, TimedEvent,
};
use stormproof_engine::seam::{
    MonotonicClock, ObjectStorage, Probe, Sight, Step, StepAction, StepContext, StepHook,
};

use super::BenchScenario;
use super::figures::{Slope, slope, warm_up};
use super::pipeline::Pipeline;
use super::sink::{Interval, Watch};
use crate::clock::monotonic_us;
use crate::environment::leftovers::ServiceFolder;
use crate::error::{Result, engine};
use crate::workload::generator::Generator;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// The same where a recovery is timed.
const LOOK_AT_RECOVERY: Duration = Duration::from_millis(5);
/// A generator that was later than this has not made the load that was asked for.
const SLIP_LIMIT_US: u64 = 1_000_000;
/// A lag that grows by less than this share of the rate does not grow.
const FLAT: f64 = 0.01;

/// What is going to be tried.
pub(super) struct Trial<'a> {
    pub(super) scenario: &'a BenchScenario,
    pub(super) rate_per_s: u64,
    /// Whether a subtask is killed in the middle of a checkpoint, half-way through the load.
    pub(super) kill: bool,
}

/// A look at a running trial.
#[derive(Debug)]
pub(super) struct Look {
    /// Seconds since the load began.
    pub(super) t_s: f64,
    /// Records that were due.
    pub(super) due: u64,
    /// Records confirmed in the newest attempt.
    pub(super) confirmed: u64,
    pub(super) interval: Interval,
}

/// What a trial has shown.
#[derive(Debug)]
pub(super) struct TrialOutcome {
    pub(super) rate_per_s: u64,
    pub(super) load_s: f64,
    pub(super) looks: Vec<Look>,
    /// Looks that were warm-up.
    pub(super) warm_up: usize,
    pub(super) lag_slope: Option<Slope>,
    /// From the end of the load until everything was confirmed; `None` = not within the limit.
    pub(super) drained_s: Option<f64>,
    /// The latest hand-over of the load generator; `None` = the load is the job's own.
    pub(super) slip_us: Option<u64>,
    pub(super) events: Vec<TimedEvent>,
    /// When the load began and when a subtask was killed, on `CLOCK_MONOTONIC`.
    pub(super) began_us: u64,
    pub(super) killed_us: Option<u64>,
}

impl TrialOutcome {
    /// Why the trial says nothing, if it does not.
    pub(super) fn invalid(&self) -> Option<String> {
        let slip_us = self.slip_us.filter(|slip_us| *slip_us > SLIP_LIMIT_US)?;
        Some(format!("the load generator was up to {} ms late", slip_us / 1000))
    }

    /// Whether the pipeline kept up with the load.
    pub(super) fn is_sustainable(&self) -> bool {
        let grows = self
            .lag_slope
            .is_none_or(|slope| slope.value - slope.half_width > FLAT * self.rate_per_s as f64);
        self.invalid().is_none() && !grows && self.drained_s.is_some()
    }

    /// The trial in a line.
    pub(super) fn line(&self) -> String {
        let slope = self.lag_slope.map_or_else(
            || "no slope".to_owned(),
            |s| format!("lag {:+.0} +- {:.0} records/s", s.value, s.half_width),
        );
        let drained = self.drained_s.map_or_else(
            || "not drained".to_owned(),
            |drained_s| format!("drained after {drained_s:.2} s"),
        );
        let word = match (self.invalid(), self.is_sustainable()) {
            (Some(why), _) => format!("invalid: {why}"),
            (None, true) => "sustainable".to_owned(),
            (None, false) => "not sustainable".to_owned(),
        };
        format!("{} records/s: {word} ({slope}, {drained})", self.rate_per_s)
    }
}

/// Kills whichever subtask comes first in the middle of a checkpoint, once, when told.
struct Killer {
    is_due: AtomicBool,
    killed_us: AtomicU64,
}

struct KillerHook(Arc<Killer>);

impl StepHook for KillerHook {
    fn hit(&self, step: Step, _at: &StepContext) -> StepAction {
        if step == Step::SnapshotAsync && self.0.is_due.swap(false, Ordering::AcqRel) {
            self.0.killed_us.store(monotonic_us(), Ordering::Release);
            // Without the panic hook: printing a backtrace would be measured as detection.
            std::panic::resume_unwind(Box::new("killed by the bench"));
        }
        StepAction::Proceed
    }
}

impl Trial<'_> {
    pub(super) fn run(&self) -> Result<TrialOutcome> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| engine(format!("cannot start threads: {error}")))?;
        let files = ServiceFolder::create(Some(&std::env::temp_dir()), "bench")?;
        let watch = Watch::new();
        let started =
            Pipeline::start(self.scenario, self.rate_per_s, files.path(), &watch, runtime.handle());
        started.and_then(|pipeline| {
            let graph = pipeline.graph.clone();
            let outcome = self.watch_job(&pipeline, graph, &watch, &runtime);
            pipeline.stop();
            outcome
        })
    }

    fn watch_job(
        &self,
        pipeline: &Pipeline,
        graph: stormproof_engine::graph::JobGraph,
        watch: &Watch,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<TrialOutcome> {
        let killer =
            Arc::new(Killer { is_due: AtomicBool::new(false), killed_us: AtomicU64::new(0) });
        let probe = Probe::new(KillerHook(Arc::clone(&killer)));
        probe.set_armed(self.kill);
        let (events, heard) = std::sync::mpsc::channel();
        let memory = Arc::new(object_store::memory::InMemory::new());
        let seams = JobSeams {
            clock: Arc::new(MonotonicClock::starting_at(monotonic_us())),
            storage: Arc::new(ObjectStorage::new(
                memory,
                runtime.handle().clone(),
                "memory".to_owned(),
            )),
            probe,
            sight: Sight::default(),
            events: Arc::new(move |event| {
                let _ = events.send(event);
            }),
        };
        let config = JobConfig {
            checkpoint: CheckpointConfig {
                mode: self.scenario.mode,
                interval_ms: self.scenario.checkpoint_interval_ms,
                ..CheckpointConfig::default()
            },
            restart: RestartStrategy::FixedDelay { delay_ms: 0, max_restarts: 3 },
            ..JobConfig::default()
        };
        let job = Job::new(graph, config, seams);
        let control = job.control();
        let mut outcome = std::thread::scope(|scope| {
            let running = std::thread::Builder::new()
                .name("bench-job".to_owned())
                .spawn_scoped(scope, move || job.run())
                .map_err(|error| engine(format!("cannot start a thread: {error}")))?;
            let watched =
                self.watch_load(pipeline, watch, &control, &killer, &|| running.is_finished());
            control.cancel();
            match running.join() {
                Ok(Ok(_)) => watched,
                Ok(Err(error)) => Err(engine(error.to_string()).at("the bench's job")),
                Err(_) => Err(engine("the bench's job panicked")),
            }
        })?;
        outcome.events = heard.try_iter().collect();
        Ok(outcome)
    }

    /// Looks at the job until it has drained or the time for that is over.
    fn watch_load(
        &self,
        pipeline: &Pipeline,
        watch: &Watch,
        control: &JobControl,
        killer: &Killer,
        has_ended: &dyn Fn() -> bool,
    ) -> Result<TrialOutcome> {
        let mut generator = pipeline.start_load()?;
        let began_us = monotonic_us();
        let records = pipeline.records();
        let load_s = records as f64 / self.rate_per_s as f64;
        let limit_s = load_s + self.scenario.drain_s as f64;
        let mut looks = Vec::new();
        let mut drained_s = None;
        let mut has_killed = !self.kill;
        loop {
            std::thread::sleep(if self.kill { LOOK_AT_RECOVERY } else { LOOK });
            let t_s = (monotonic_us() - began_us) as f64 / 1e6;
            let due = ((t_s * self.rate_per_s as f64) as u64).min(records);
            let confirmed = watch.confirmed();
            looks.push(Look { t_s, due, confirmed, interval: watch.take() });
            if !has_killed && t_s > load_s / 2.0 {
                has_killed = true;
                killer.is_due.store(true, Ordering::Release);
            }
            // After a kill the newest attempt counts from its own start: the job's end decides.
            let is_drained = has_ended() || (!self.kill && confirmed >= records);
            if is_drained {
                drained_s = Some((t_s - load_s).max(0.0));
                break;
            }
            if t_s > limit_s {
                break;
            }
        }
        control.cancel();
        let slip_us = generator.as_mut().map(stop_load).transpose()?;
        let during: Vec<_> = looks.iter().filter(|look| look.t_s < load_s).collect();
        let medians: Vec<f64> =
            during.iter().map(|l| l.interval.latency.value_at_quantile(0.5) as f64).collect();
        let warm_up = warm_up(&medians);
        let lag = |l: &&Look| (l.t_s, l.due as f64 - l.confirmed as f64);
        let points: Vec<_> = during[warm_up.min(during.len())..].iter().map(lag).collect();
        let killed_us = killer.killed_us.load(Ordering::Acquire);
        Ok(TrialOutcome {
            rate_per_s: self.rate_per_s,
            load_s,
            warm_up,
            lag_slope: slope(&points),
            looks,
            drained_s,
            slip_us,
            events: Vec::new(),
            began_us,
            killed_us: (killed_us > 0).then_some(killed_us),
        })
    }
}

fn stop_load(generator: &mut Generator) -> Result<u64> {
    generator.figures().stop();
    generator.join()?;
    Ok(generator.figures().slip_max_us.load(Ordering::Relaxed))
}
