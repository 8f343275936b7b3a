//! A job on threads: its machine on the calling thread, each worker on one of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::JobConfig;
use super::event::{JobEvent, TimedEvent};
use super::exposition::Exposition;
use super::machine::{JobMachine, Turn};
use super::threads::Threads;
use crate::error::Result;
use crate::graph::JobGraph;
use crate::seam::{Clock, Probe, Sight, SnapshotStorage, TimeUs};

/// The longest wait: signals from outside are looked at so often.
const LONGEST_WAIT_US: TimeUs = 20_000;
/// The longest wait while tickets are waited for.
const POLL_US: TimeUs = 200;
/// The shortest wait.
const SHORTEST_WAIT_US: TimeUs = 50;

/// Takes a job's events, on the job's own thread.
pub type EventListener = Arc<dyn Fn(TimedEvent) + Send + Sync>;

/// What a job needs from the world.
#[derive(Clone)]
pub struct JobSeams {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where checkpoints go.
    pub storage: Arc<dyn SnapshotStorage>,
    /// Named steps.
    pub probe: Probe,
    /// What senders see of receivers.
    pub sight: Sight,
    /// Who hears of events.
    pub events: EventListener,
}

impl JobSeams {
    pub(super) fn emit(&self, event: JobEvent) {
        (self.events)(TimedEvent { t_us: self.clock.now_us(), event });
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// Everything read is written and confirmed.
    Drained,
    /// It was told to end at once.
    Cancelled,
}

/// What the outside tells the job, and what it may look at.
#[derive(Default)]
pub(super) struct JobSignals {
    drain: AtomicBool,
    cancel: AtomicBool,
    pub(super) exposition: Exposition,
}

impl JobSignals {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    pub(super) fn wants_drain(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }
}

/// A remote control of a job: cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct JobControl(Arc<JobSignals>);

impl JobControl {
    pub(super) fn of(signals: &Arc<JobSignals>) -> Self {
        Self(Arc::clone(signals))
    }

    /// Ends the job with a last checkpoint with which everything leaves it.
    pub fn stop_with_drain(&self) {
        self.0.drain.store(true, Ordering::Relaxed);
    }

    /// Ends the job at once.
    pub fn cancel(&self) {
        self.0.cancel.store(true, Ordering::Relaxed);
    }

    /// The job's figures as Prometheus text (exposition format 0.0.4).
    pub fn prometheus_text(&self) -> String {
        self.0.exposition.render()
    }
}

/// A job that can be run.
pub struct Job {
    graph: JobGraph,
    config: JobConfig,
    seams: JobSeams,
    signals: Arc<JobSignals>,
}

impl Job {
    /// A job over `graph`.
    pub fn new(graph: JobGraph, config: JobConfig, seams: JobSeams) -> Self {
        Self { graph, config, seams, signals: Arc::default() }
    }

    /// Its remote control.
    pub fn control(&self) -> JobControl {
        JobControl::of(&self.signals)
    }

    /// Runs the job to its end. Blocks.
    ///
    /// # Errors
    /// The failure that ended it: one that another attempt would meet again, or one too many.
    pub fn run(self) -> Result<JobOutcome> {
        let Self { graph, mut config, seams, signals } = self;
        if config.workers == 0 {
            config.workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u16);
        }
        let clock = Arc::clone(&seams.clock);
        let mut threads = Threads::new(Arc::clone(&clock));
        let mut machine = JobMachine::with_signals(&graph, config, seams, signals)?;
        loop {
            match machine.step(&mut threads) {
                Turn::Again => {}
                Turn::Over(outcome) => return outcome,
                Turn::Wait { due_us, is_polling } => {
                    let longest = if is_polling { POLL_US } else { LONGEST_WAIT_US };
                    let now = clock.now_us();
                    let due_in = due_us.map_or(longest, |due| due.saturating_sub(now));
                    let wait_us = due_in.clamp(SHORTEST_WAIT_US, longest);
                    if let Some(report) = threads.wait(Duration::from_micros(wait_us)) {
                        machine.on_report(report);
                    }
                }
            }
        }
    }
}
