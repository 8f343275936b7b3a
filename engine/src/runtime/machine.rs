//! A job as a state machine: attempts, one after the other, until it is drained, cancelled or
//! beyond help.
//!
//! claim an attempt -> choose a checkpoint -> fence the sinks -> run -> end -> pause -> again.
//! Nothing here waits, sleeps or spawns: [`JobMachine::step`] does what can be done now and says
//! when it wants to be called again. Threads ([`super::Job`]) and the simulator drive the same code.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::JobConfig;
use super::attempt::{
    Around, Attempt, AttemptEnd, Deletions, PendingManifests, delete_each, hit, is_under_way,
};
use super::build::{GroupBuilder, Lanes, active_workers};
use super::claims;
use super::event::JobEvent;
use super::host::WorkerHost;
use super::job::{JobControl, JobOutcome, JobSeams, JobSignals};
use super::restart::RestartPolicy;
use super::thread::panic_message;
use crate::checkpoint::{
    Choice, Coordinator, Inventory, JobFacts, JobState, ManifestVertex, choose, redistribute,
};
use crate::error::{EngineError, Result};
use crate::graph::{ExecutionGraph, JobGraph, VertexKind};
use crate::ids::{AttemptId, CheckpointId};
use crate::mutants;
use crate::seam::{Step, Ticket, TimeUs};
use crate::worker::Report;

/// How long what an attempt has under way in the storage may take when it ends.
const STORED_WITHIN_US: TimeUs = 30_000_000;

/// What the machine wants after a step.
#[derive(Debug)]
pub enum Turn {
    /// There is more to do at once.
    Again,
    /// Nothing to do until a report comes, or until then.
    Wait {
        /// When a step is due even if nothing happens.
        due_us: Option<TimeUs>,
        /// Whether tickets (storage, fences) are waited for: look again soon.
        is_polling: bool,
    },
    /// The job is over.
    Over(Result<JobOutcome>),
}

/// An attempt that has chosen its checkpoint and not yet begun.
struct Prepared {
    attempt: AttemptId,
    restored: CheckpointId,
    state: JobState,
    retained: VecDeque<CheckpointId>,
    /// Checkpoints that others have left unfinished.
    unfinished: Vec<CheckpointId>,
    first: CheckpointId,
    started_us: TimeUs,
}

enum State {
    /// Nobody knows the next attempt's number.
    Unclaimed,
    /// Its number is being written down.
    Claiming(AttemptId, Ticket<Result<bool>>),
    /// A checkpoint is to be chosen.
    Claimed(AttemptId),
    /// The sinks are being fenced.
    Fencing(Box<Prepared>, Vec<Ticket<Result<()>>>),
    /// The workers run.
    Running(Box<Attempt>),
    /// The workers have ended, the last manifests or deletions have not.
    Ending { attempt: AttemptId, manifests: PendingManifests, by_us: TimeUs, end: Ended },
    /// Until the restart strategy lets the next attempt begin.
    Pausing(TimeUs),
    /// Nothing comes after this.
    Over,
}

type Ended = Result<AttemptEnd>;

/// The machine.
pub struct JobMachine {
    graph: Arc<ExecutionGraph>,
    config: JobConfig,
    seams: JobSeams,
    signals: Arc<JobSignals>,
    policy: RestartPolicy,
    next_checkpoint: CheckpointId,
    /// Whether an attempt has ever been claimed.
    has_claimed: bool,
    /// Under way, of attempts that have ended, and of leftovers.
    deletions: Deletions,
    state: State,
}

impl std::fmt::Debug for JobMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobMachine").field("job", &self.config.job).finish_non_exhaustive()
    }
}

impl JobMachine {
    /// A job over `graph` with `config.workers` workers.
    ///
    /// # Errors
    /// When the configuration does not fit the graph.
    pub fn new(graph: &JobGraph, config: JobConfig, seams: JobSeams) -> Result<Self> {
        Self::with_signals(graph, config, seams, Arc::default())
    }

    pub(super) fn with_signals(
        graph: &JobGraph,
        config: JobConfig,
        seams: JobSeams,
        signals: Arc<JobSignals>,
    ) -> Result<Self> {
        let graph = ExecutionGraph::new(graph, config.workers.max(1), config.max_parallelism)?;
        Ok(Self {
            graph: Arc::new(graph),
            policy: RestartPolicy::new(config.restart.clone()),
            config,
            seams,
            signals,
            next_checkpoint: CheckpointId::NONE.next(),
            has_claimed: false,
            deletions: Vec::new(),
            state: State::Unclaimed,
        })
    }

    /// The job's remote control.
    pub fn control(&self) -> JobControl {
        JobControl::of(&self.signals)
    }

    /// Where the job is, in a few words.
    pub fn describe(&self) -> String {
        match &self.state {
            State::Unclaimed => "about to claim an attempt".to_owned(),
            State::Claiming(attempt, _) => format!("attempt {attempt} is being claimed"),
            State::Claimed(attempt) => format!("attempt {attempt} chooses a checkpoint"),
            State::Fencing(prepared, _) => format!("attempt {} fences", prepared.attempt),
            State::Running(attempt) => format!("attempt {}: {}", attempt.id, attempt.describe()),
            State::Ending { attempt, .. } => format!("attempt {attempt} ends"),
            State::Pausing(until_us) => format!("waits until {until_us} us to start again"),
            State::Over => "over".to_owned(),
        }
    }

    /// Until when no next attempt begins, after a failure.
    pub fn pauses_until(&self) -> Option<TimeUs> {
        match self.state {
            State::Pausing(until_us) => Some(until_us),
            _ => None,
        }
    }

    /// The attempt whose workers run.
    pub fn running(&self) -> Option<AttemptId> {
        match &self.state {
            State::Running(attempt) => Some(attempt.id),
            _ => None,
        }
    }

    /// A worker's report has arrived. Reports of an attempt that is over are ignored.
    pub fn on_report(&mut self, report: Report) {
        if let State::Running(attempt) = &mut self.state {
            attempt.on_report(report);
        }
    }

    /// Does what there is to do now.
    pub fn step(&mut self, host: &mut dyn WorkerHost) -> Turn {
        let now = self.seams.clock.now_us();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Unclaimed => self.claim(),
            State::Claiming(attempt, ticket) => self.await_claim(attempt, ticket),
            State::Claimed(attempt) => {
                let prepared = guarded(|| self.prepare(attempt));
                match prepared {
                    Ok(prepared) => {
                        let fences = self.fence(&prepared);
                        self.go(State::Fencing(Box::new(prepared), fences))
                    }
                    Err(error) => self.fail(attempt, error),
                }
            }
            State::Fencing(prepared, fences) => self.await_fences(prepared, fences, host),
            State::Running(attempt) => self.run(attempt, host),
            State::Ending { attempt, manifests, by_us, end } => {
                self.await_storage(attempt, manifests, by_us, end, now)
            }
            // No attempt runs: there is nothing to stop.
            State::Pausing(_) if self.signals.is_cancelled() => {
                self.over(Ok(JobOutcome::Cancelled))
            }
            State::Pausing(until_us) if now >= until_us => self.go(State::Unclaimed),
            State::Pausing(until_us) => {
                self.state = State::Pausing(until_us);
                Turn::Wait { due_us: Some(until_us), is_polling: false }
            }
            State::Over => {
                let what = "the job is over: it cannot be stepped again".to_owned();
                Turn::Over(Err(EngineError::Config(what)))
            }
        }
    }

    fn go(&mut self, state: State) -> Turn {
        self.state = state;
        Turn::Again
    }

    fn poll_again(&mut self, state: State) -> Turn {
        self.state = state;
        Turn::Wait { due_us: None, is_polling: true }
    }

    /// Writes down the next attempt id: unique over all processes that share the storage.
    fn claim(&mut self) -> Turn {
        let latest = match claims::latest(&*self.seams.storage) {
            Ok(latest) => latest,
            Err(error) => return self.fail_to_claim(error),
        };
        let attempt = AttemptId(latest.0 + 1);
        let ticket = claims::claim(&self.seams, &self.config.job, attempt);
        self.go(State::Claiming(attempt, ticket))
    }

    fn await_claim(&mut self, attempt: AttemptId, ticket: Ticket<Result<bool>>) -> Turn {
        let is_orphaned = ticket.is_orphaned();
        match ticket.try_take() {
            Some(Ok(false)) if !mutants::is_active(mutants::CLAIM_SHARED) => {
                self.go(State::Unclaimed)
            }
            Some(Ok(_)) => {
                self.has_claimed = true;
                self.go(State::Claimed(attempt))
            }
            Some(Err(error)) => self.fail_to_claim(error),
            None if is_orphaned => {
                self.over(Err(EngineError::service("checkpoint storage", "it was shut down")))
            }
            None => self.poll_again(State::Claiming(attempt, ticket)),
        }
    }

    /// The storage cannot take a claim. A job that has run is tried again, as after any other
    /// failure; one that never has ends at once, so that a wrong folder is not tried for ever.
    fn fail_to_claim(&mut self, error: EngineError) -> Turn {
        if !self.has_claimed || mutants::is_active(mutants::CLAIM_FAILURE_ENDS) {
            return self.over(Err(error));
        }
        self.seams.emit(JobEvent::ClaimFailed { cause: error.to_string() });
        self.restart_after(error)
    }

    /// Chooses the checkpoint and reads its state.
    fn prepare(&mut self, attempt: AttemptId) -> Result<Prepared> {
        let seams = &self.seams;
        let started_us = seams.clock.now_us();
        hit(seams, Step::RestoreBegun, attempt, CheckpointId::NONE)?;
        let inventory = Inventory::read(&*seams.storage)?;
        let (choice, state) = self.choose_state(&inventory)?;
        let restored = match &choice.chosen {
            Some(chosen) => chosen.manifest.checkpoint,
            None => CheckpointId::NONE,
        };
        hit(seams, Step::StateRead, attempt, restored)?;
        // What checkpoints that never completed have left.
        let leftovers = inventory.leftovers(&choice.retained).map(str::to_owned).collect();
        self.deletions.extend(delete_each(leftovers, seams));
        let first = match mutants::is_active(mutants::FIRST_AFTER_RESTORED) {
            true => restored.next(),
            false => inventory.highest().next().max(self.next_checkpoint),
        };
        let unfinished = inventory.unfinished(&choice.retained);
        let retained = choice.retained.iter().copied().collect();
        Ok(Prepared { attempt, restored, state, retained, unfinished, first, started_us })
    }

    fn choose_state(&self, inventory: &Inventory) -> Result<(Choice, JobState)> {
        let mut choice = choose(&*self.seams.storage, inventory)?;
        for (checkpoint, reason) in &choice.skipped {
            let (checkpoint, reason) = (*checkpoint, reason.clone());
            self.seams.emit(JobEvent::CheckpointSkipped { checkpoint, reason });
        }
        let Some(chosen) = &mut choice.chosen else { return Ok((choice, JobState::default())) };
        let sections = std::mem::take(&mut chosen.sections);
        let state = redistribute(&self.graph, &chosen.manifest, sections).map_err(|what| {
            let id = chosen.manifest.checkpoint;
            EngineError::Config(format!("checkpoint {id} does not fit this job: {what}"))
        })?;
        Ok((choice, state))
    }

    /// Begins to fence every sink.
    fn fence(&self, prepared: &Prepared) -> Vec<Ticket<Result<()>>> {
        let sinks = self.graph.vertices.iter().filter_map(|vertex| match &vertex.kind {
            VertexKind::Sink(factory) => Some(factory),
            _ => None,
        });
        let fences = sinks.map(|sink| sink.begin_attempt(prepared.attempt, prepared.restored));
        fences.collect()
    }

    fn await_fences(
        &mut self,
        prepared: Box<Prepared>,
        fences: Vec<Ticket<Result<()>>>,
        host: &mut dyn WorkerHost,
    ) -> Turn {
        let mut waiting = Vec::new();
        for fence in fences {
            let is_orphaned = fence.is_orphaned();
            match fence.try_take() {
                Some(Ok(())) => {}
                Some(Err(error))
                    if error.is_retryable()
                        && mutants::is_active(mutants::FENCE_FAILURE_IGNORED) => {}
                Some(Err(error)) => return self.fail(prepared.attempt, error),
                None if is_orphaned => {
                    let what = "the fence of the sink was given up without an answer";
                    let error = EngineError::service("sink", what);
                    return self.fail(prepared.attempt, error);
                }
                None => waiting.push(fence),
            }
        }
        if !waiting.is_empty() && !mutants::is_active(mutants::FENCE_NOT_AWAITED) {
            return self.poll_again(State::Fencing(prepared, waiting));
        }
        let attempt = self.begin(*prepared, host);
        self.go(State::Running(Box::new(attempt)))
    }

    /// Starts the workers.
    fn begin(&self, prepared: Prepared, host: &mut dyn WorkerHost) -> Attempt {
        let Prepared { attempt, restored, state, retained, unfinished, first, started_us } =
            prepared;
        self.seams.emit(JobEvent::AttemptStarted { attempt, restored });
        let now = self.seams.clock.now_us();
        let config = self.config.checkpoint.clone();
        let coordinator = Coordinator::new(config, self.facts(attempt), first, retained, now);
        let builder = GroupBuilder {
            graph: Arc::clone(&self.graph),
            config: self.config.clone(),
            attempt,
            restored,
            state: Arc::new(state),
            lanes: Arc::new(Lanes::none()),
            probe: self.seams.probe.clone(),
            sight: self.seams.sight.clone(),
            clock: Arc::clone(&self.seams.clock),
            storage: Arc::clone(&self.seams.storage),
        };
        let mut around = Around { seams: &self.seams, signals: &self.signals, host };
        Attempt::start(builder, coordinator, unfinished, started_us, &mut around)
    }

    fn facts(&self, attempt: AttemptId) -> JobFacts {
        let vertices = self.graph.vertices.iter().map(|vertex| ManifestVertex {
            id: vertex.id,
            name: vertex.name.to_string(),
            parallelism: vertex.parallelism,
            max_parallelism: self.graph.max_parallelism,
        });
        JobFacts {
            job: self.config.job.clone(),
            attempt,
            workers: active_workers(&self.graph).len(),
            subtasks: self.graph.subtasks(),
            vertices: vertices.collect(),
        }
    }

    fn run(&mut self, mut attempt: Box<Attempt>, host: &mut dyn WorkerHost) -> Turn {
        let mut around = Around { seams: &self.seams, signals: &self.signals, host };
        match guarded(|| attempt.step(&mut around)) {
            Ok(None) => {
                let (due_us, is_polling) = attempt.due();
                self.state = State::Running(attempt);
                Turn::Wait { due_us, is_polling }
            }
            ended => {
                around.host.end();
                self.next_checkpoint = attempt.next_checkpoint();
                let by_us = self.seams.clock.now_us() + STORED_WITHIN_US;
                let id = attempt.id;
                let (manifests, deletions) = attempt.into_under_way();
                self.deletions.extend(deletions);
                let end = ended.map(|end| end.expect("only an ended attempt comes here"));
                self.go(State::Ending { attempt: id, manifests, by_us, end })
            }
        }
    }

    /// A manifest that is being written decides which checkpoint the next attempt starts from:
    /// its outcome must be known before anybody looks. When the job has drained or was cancelled, its
    /// process may end, and deletions with it: they are waited for, too. What an attempt that failed
    /// leaves behind, the next one's cleaning finds.
    fn await_storage(
        &mut self,
        attempt: AttemptId,
        mut manifests: PendingManifests,
        by_us: TimeUs,
        end: Ended,
        now: TimeUs,
    ) -> Turn {
        if mutants::is_active(mutants::MANIFESTS_NOT_AWAITED) {
            manifests.clear();
        }
        manifests.retain(|(_, ticket)| is_under_way(ticket));
        self.deletions.retain(is_under_way);
        let waits_for_deletions = end.is_ok()
            && !self.deletions.is_empty()
            && !mutants::is_active(mutants::DELETIONS_NOT_AWAITED);
        if (waits_for_deletions || !manifests.is_empty()) && now < by_us {
            self.state = State::Ending { attempt, manifests, by_us, end };
            return Turn::Wait { due_us: Some(by_us), is_polling: true };
        }
        match end {
            Ok(end) => {
                let drained = end == AttemptEnd::Drained;
                self.seams.emit(JobEvent::Finished { attempt, drained });
                self.over(Ok(match end {
                    AttemptEnd::Drained => JobOutcome::Drained,
                    AttemptEnd::Cancelled => JobOutcome::Cancelled,
                }))
            }
            Err(error) => self.fail(attempt, error),
        }
    }

    /// The attempt has failed: the restart strategy decides what comes.
    fn fail(&mut self, attempt: AttemptId, error: EngineError) -> Turn {
        self.seams.emit(JobEvent::AttemptFailed { attempt, cause: error.to_string() });
        self.restart_after(error)
    }

    fn restart_after(&mut self, error: EngineError) -> Turn {
        let now = self.seams.clock.now_us();
        match self.policy.on_failure(now) {
            Some(delay_ms)
                if error.is_retryable() || mutants::is_active(mutants::FENCED_STARTS_AGAIN) =>
            {
                let us = if mutants::is_active(mutants::RESTARTS_LATE) { 1_000_000 } else { 1_000 };
                self.go(State::Pausing(now + delay_ms * us))
            }
            _ => self.over(Err(error)),
        }
    }

    fn over(&mut self, outcome: Result<JobOutcome>) -> Turn {
        self.state = State::Over;
        Turn::Over(outcome)
    }
}

/// Runs a part of the coordinator; a panic in it fails the attempt as any other error does.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let place = "the coordinator".to_owned();
        Err(EngineError::Panic { place, what: panic_message(&*panic) })
    })
}
