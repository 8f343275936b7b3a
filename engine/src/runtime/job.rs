//! A job: attempts, one after the other, until it is drained, cancelled or beyond help.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::JobConfig;
use super::attempt::{Attempt, AttemptEnd};
use super::build::{GroupBuilder, Lanes, active_workers};
use super::event::{JobEvent, TimedEvent};
use super::exposition::Exposition;
use super::restart::RestartPolicy;
use super::thread::panic_message;
use crate::checkpoint::{
    Choice, Coordinator, Inventory, JobFacts, JobState, ManifestVertex, choose, redistribute,
};
use crate::error::{EngineError, Result};
use crate::graph::{ExecutionGraph, JobGraph, VertexKind};
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId};
use crate::seam::{Clock, Probe, SnapshotStorage, Step, StepContext, Ticket};

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
        JobControl(Arc::clone(&self.signals))
    }

    /// Runs the job to its end. Blocks.
    ///
    /// # Errors
    /// The failure that ended it: one that another attempt would meet again, or one too many.
    pub fn run(self) -> Result<JobOutcome> {
        let workers = match self.config.workers {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get() as u16),
            given => given,
        };
        let graph = ExecutionGraph::new(&self.graph, workers, self.config.max_parallelism)?;
        let graph = Arc::new(graph);
        let mut policy = RestartPolicy::new(self.config.restart.clone());
        let mut next_checkpoint = CheckpointId::NONE.next();
        loop {
            let attempt = self.claim_attempt()?;
            let run = || self.run_attempt(&graph, attempt, &mut next_checkpoint);
            let end = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
                let place = "the coordinator".to_owned();
                Err(EngineError::Panic { place, what: panic_message(&*panic) })
            });
            let error = match end {
                Ok(AttemptEnd::Drained) => {
                    self.seams.emit(JobEvent::Finished { attempt, drained: true });
                    return Ok(JobOutcome::Drained);
                }
                Ok(AttemptEnd::Cancelled) => {
                    self.seams.emit(JobEvent::Finished { attempt, drained: false });
                    return Ok(JobOutcome::Cancelled);
                }
                Err(error) => error,
            };
            self.seams.emit(JobEvent::AttemptFailed { attempt, cause: error.to_string() });
            let delay = policy.on_failure(self.seams.clock.now_us());
            match delay {
                Some(delay_ms) if error.is_retryable() => self.pause(delay_ms),
                _ => return Err(error),
            }
        }
    }

    fn run_attempt(
        &self,
        graph: &Arc<ExecutionGraph>,
        attempt: AttemptId,
        next_checkpoint: &mut CheckpointId,
    ) -> Result<AttemptEnd> {
        let started_us = self.seams.clock.now_us();
        self.hit(Step::RestoreBegun, attempt, CheckpointId::NONE)?;
        let inventory = Inventory::read(&*self.seams.storage)?;
        let (choice, state) = self.choose_state(graph, &inventory)?;
        let restored = match &choice.chosen {
            Some(chosen) => chosen.manifest.checkpoint,
            None => CheckpointId::NONE,
        };
        self.hit(Step::StateRead, attempt, restored)?;
        self.clean(&inventory, &choice);
        for vertex in &graph.vertices {
            if let VertexKind::Sink(factory) = &vertex.kind {
                factory.begin_attempt(attempt, restored)?;
            }
        }
        self.seams.emit(JobEvent::AttemptStarted { attempt, restored });
        let first = inventory.highest().next().max(*next_checkpoint);
        let retained: VecDeque<_> = choice.retained.iter().copied().collect();
        let now = self.seams.clock.now_us();
        let facts = self.facts(graph, attempt);
        let checkpoint_config = self.config.checkpoint.clone();
        let mut coordinator = Coordinator::new(checkpoint_config, facts, first, retained, now);
        let builder = GroupBuilder {
            graph: Arc::clone(graph),
            config: self.config.clone(),
            attempt,
            restored,
            state: Arc::new(state),
            lanes: Arc::new(Lanes::none()),
            probe: self.seams.probe.clone(),
            clock: Arc::clone(&self.seams.clock),
        };
        let mut running = Attempt::start(&self.seams, &self.signals, builder, started_us);
        let end = catch_unwind(AssertUnwindSafe(|| running.run(&mut coordinator)));
        running.end();
        *next_checkpoint = coordinator.next_id();
        end.unwrap_or_else(|panic| {
            let place = "the coordinator".to_owned();
            Err(EngineError::Panic { place, what: panic_message(&*panic) })
        })
    }

    /// Claims the next attempt id: unique over all processes that share the storage.
    fn claim_attempt(&self) -> Result<AttemptId> {
        let storage = &self.seams.storage;
        let id_of = |path: &String| {
            let digits = path.strip_prefix("attempts/attempt-")?.strip_suffix(".json")?;
            digits.parse::<u32>().ok()
        };
        loop {
            let claimed = storage.list("attempts")?;
            let next = claimed.iter().filter_map(id_of).max().unwrap_or(0) + 1;
            let path = format!("attempts/attempt-{next:08}.json");
            let claim = format!("{{\"job\":{:?},\"attempt\":{next}}}\n", self.config.job);
            if self.wait(&storage.put_new(&path, claim.into()))?? {
                return Ok(AttemptId(next));
            }
        }
    }

    fn choose_state(
        &self,
        graph: &ExecutionGraph,
        inventory: &Inventory,
    ) -> Result<(Choice, JobState)> {
        let mut choice = choose(&*self.seams.storage, inventory);
        for (checkpoint, reason) in &choice.skipped {
            let (checkpoint, reason) = (*checkpoint, reason.clone());
            self.seams.emit(JobEvent::CheckpointSkipped { checkpoint, reason });
        }
        let Some(chosen) = &mut choice.chosen else { return Ok((choice, JobState::default())) };
        let sections = std::mem::take(&mut chosen.sections);
        let state = redistribute(graph, &chosen.manifest, sections).map_err(|what| {
            let id = chosen.manifest.checkpoint;
            EngineError::Config(format!("checkpoint {id} does not fit this job: {what}"))
        })?;
        Ok((choice, state))
    }

    /// Deletes what checkpoints that never completed have left, up to the restored one's past.
    fn clean(&self, inventory: &Inventory, choice: &Choice) {
        for path in inventory.leftovers(&choice.retained) {
            drop(self.seams.storage.delete(path));
        }
    }

    fn facts(&self, graph: &ExecutionGraph, attempt: AttemptId) -> JobFacts {
        let vertices = graph.vertices.iter().map(|vertex| ManifestVertex {
            id: vertex.id,
            name: vertex.name.to_string(),
            parallelism: vertex.parallelism,
            max_parallelism: graph.max_parallelism,
        });
        JobFacts {
            job: self.config.job.clone(),
            attempt,
            workers: active_workers(graph).len(),
            subtasks: graph.subtasks(),
            vertices: vertices.collect(),
        }
    }

    fn hit(&self, step: Step, attempt: AttemptId, checkpoint: CheckpointId) -> Result<()> {
        let at = StepContext { attempt, vertex: VertexId(0), subtask: SubtaskIndex(0), checkpoint };
        self.seams.probe.hit(step, &at).map(drop)
    }

    #[allow(clippy::disallowed_methods, reason = "between attempts nothing else runs")]
    fn wait<T>(&self, ticket: &Ticket<T>) -> Result<T> {
        loop {
            if let Some(outcome) = ticket.try_take() {
                return Ok(outcome);
            }
            if ticket.is_orphaned() {
                return Err(EngineError::service("checkpoint storage", "it was shut down"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Waits before the next attempt; a cancellation ends the wait.
    #[allow(clippy::disallowed_methods, reason = "between attempts nothing else runs")]
    fn pause(&self, delay_ms: u64) {
        let until_us = self.seams.clock.now_us() + delay_ms * 1000;
        while self.seams.clock.now_us() < until_us && !self.signals.is_cancelled() {
            let left_us = until_us.saturating_sub(self.seams.clock.now_us());
            std::thread::sleep(Duration::from_micros(left_us.min(10_000)));
        }
    }
}
