//! One execution attempt while its workers run: reports in, commands carried out, how it ends.
//!
//! A state machine: it never waits. Whoever drives it feeds reports and calls [`Attempt::step`];
//! where the workers live is the [`WorkerHost`]'s business.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::build::GroupBuilder;
use super::claims;
use super::event::JobEvent;
use super::host::WorkerHost;
use super::job::{JobSeams, JobSignals};
use crate::checkpoint::{
    Command, Coordinator, Manifest, checkpoint_folder, deletion_order, manifest_path,
};
use crate::error::{EngineError, Result};
use crate::exchange::Barrier;
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId, WorkerIndex};
use crate::metrics::{HELP, WorkerMetrics};
use crate::mutants;
use crate::seam::{SnapshotStorage, Step, StepContext, Ticket, TimeUs};
use crate::worker::{Control, Report};

/// How often figures are reported.
const METRICS_EVERY_US: TimeUs = 200_000;
/// How long offset commits may take at the end.
const STOP_WITHIN_US: TimeUs = 10_000_000;

/// How an attempt ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptEnd {
    /// Everything read is written and confirmed.
    Drained,
    /// It was told to end at once.
    Cancelled,
}

/// Deletions under way.
pub(super) type Deletions = Vec<Ticket<Result<()>>>;

/// Manifests under way.
pub(super) type PendingManifests = Vec<(CheckpointId, Ticket<Result<bool>>)>;

/// Whether the answer is still to come.
pub(super) fn is_under_way<T>(ticket: &Ticket<T>) -> bool {
    ticket.try_take().is_none() && !ticket.is_orphaned()
}

/// A running attempt.
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    coordinator: Coordinator,
    workers: Vec<(WorkerIndex, Arc<WorkerMetrics>)>,
    reports: VecDeque<Report>,
    manifests: PendingManifests,
    deletions: Deletions,
    /// Checkpoints that earlier attempts have left unfinished: what is left of them goes once a later
    /// one is complete.
    unfinished: Vec<CheckpointId>,
    started_us: TimeUs,
    metrics_due_us: TimeUs,
    running: BTreeSet<WorkerIndex>,
    finished: BTreeSet<WorkerIndex>,
    stopped: BTreeSet<WorkerIndex>,
    stop_by_us: Option<TimeUs>,
}

/// What an attempt needs from its job in a step.
pub(super) struct Around<'a> {
    pub(super) seams: &'a JobSeams,
    pub(super) signals: &'a JobSignals,
    pub(super) host: &'a mut dyn WorkerHost,
}

impl Attempt {
    /// Starts the workers.
    pub(super) fn start(
        builder: GroupBuilder,
        coordinator: Coordinator,
        unfinished: Vec<CheckpointId>,
        started_us: TimeUs,
        around: &mut Around<'_>,
    ) -> Self {
        let id = builder.attempt;
        let workers = around.host.start(Arc::new(builder));
        around.signals.exposition.on_attempt(id, workers.clone());
        Self {
            id,
            coordinator,
            workers,
            reports: VecDeque::new(),
            manifests: Vec::new(),
            deletions: Vec::new(),
            unfinished,
            started_us,
            metrics_due_us: 0,
            running: BTreeSet::new(),
            finished: BTreeSet::new(),
            stopped: BTreeSet::new(),
            stop_by_us: None,
        }
    }

    /// The id of the checkpoint after the last one of this attempt.
    pub(super) fn next_checkpoint(&self) -> CheckpointId {
        self.coordinator.next_id()
    }

    /// What it waits for, in a few words.
    pub(super) fn describe(&self) -> String {
        let workers = self.workers.len();
        format!(
            "{} of {workers} workers run, {} have stopped, checkpoints under way: {:?}, manifests: {}",
            self.running.len(),
            self.stopped.len(),
            self.coordinator.pending_ids(),
            self.manifests.len()
        )
    }

    /// A worker's report has arrived.
    pub(super) fn on_report(&mut self, report: Report) {
        self.reports.push_back(report);
    }

    /// Gives up what is left of the attempt: manifests whose outcome decides where the next one
    /// starts from, and deletions that end with their process.
    pub(super) fn into_under_way(self) -> (PendingManifests, Deletions) {
        (self.manifests, self.deletions)
    }

    /// When the next step is due if nothing arrives, and whether tickets are waited for.
    pub(super) fn due(&self) -> (Option<TimeUs>, bool) {
        let of_coordinator = match self.is_running() {
            true => self.coordinator.next_due_us(),
            false => None,
        };
        let due = [of_coordinator, self.stop_by_us, Some(self.metrics_due_us)];
        (due.into_iter().flatten().min(), !self.manifests.is_empty())
    }

    /// Does what there is to do. `None`: the attempt goes on.
    ///
    /// # Errors
    /// What failed it.
    pub(super) fn step(&mut self, around: &mut Around<'_>) -> Result<Option<AttemptEnd>> {
        if around.signals.is_cancelled() {
            return Ok(Some(AttemptEnd::Cancelled));
        }
        while let Some(report) = self.reports.pop_front() {
            self.take_report(report, around)?;
        }
        let now = around.seams.clock.now_us();
        self.take_manifests(now, around)?;
        // One that failed leaves files behind; a later attempt's cleaning finds them.
        self.deletions.retain(is_under_way);
        if self.is_running() {
            let is_finished = self.finished.len() == self.workers.len();
            if around.signals.wants_drain() || is_finished {
                self.coordinator.request_drain();
            }
            let commands = self.coordinator.on_time(now);
            self.carry_out(commands, around)?;
        }
        if now >= self.metrics_due_us {
            self.report_metrics(now, around.seams);
        }
        let is_late = self.stop_by_us.is_some_and(|by| now >= by);
        if self.stop_by_us.is_some() && (self.stopped.len() == self.workers.len() || is_late) {
            self.report_metrics(now, around.seams);
            return Ok(Some(AttemptEnd::Drained));
        }
        Ok(None)
    }

    /// Whether every worker runs and nobody was told to stop.
    fn is_running(&self) -> bool {
        self.running.len() == self.workers.len() && self.stop_by_us.is_none()
    }

    fn take_report(&mut self, report: Report, around: &mut Around<'_>) -> Result<()> {
        let now = around.seams.clock.now_us();
        match report {
            Report::Running(worker) => {
                self.running.insert(worker);
                if self.running.len() == self.workers.len() {
                    self.hit(Step::RestoreDone, CheckpointId::NONE, around.seams)?;
                    let restore_us = now - self.started_us;
                    around.seams.emit(JobEvent::AttemptRunning { attempt: self.id, restore_us });
                }
                Ok(())
            }
            Report::Acknowledged(acknowledgement) => {
                let commands = self.coordinator.on_acknowledged(acknowledgement, now);
                self.carry_out(commands, around)
            }
            Report::Declined(checkpoint, why) => {
                let commands = self.coordinator.on_declined(checkpoint, &why);
                self.carry_out(commands, around)
            }
            Report::Finished(worker) => {
                self.finished.insert(worker);
                Ok(())
            }
            Report::Stopped(worker) => {
                self.stopped.insert(worker);
                Ok(())
            }
            Report::Failed(_, error) => Err(error),
        }
    }

    fn take_manifests(&mut self, now: TimeUs, around: &mut Around<'_>) -> Result<()> {
        let mut at = 0;
        while let Some((_, ticket)) = self.manifests.get(at) {
            let Some(outcome) = ticket.try_take() else {
                at += 1;
                continue;
            };
            // One by one: when one fails the attempt, the others are still waited for.
            let (checkpoint, _) = self.manifests.remove(at);
            let commands = match outcome {
                Ok(true) => {
                    // Whoever claimed the next attempt before may have looked before, too, and not
                    // have seen it: then nobody restores it, and its offsets must not be committed.
                    match self.successor(around.seams) {
                        Ok(None) => {}
                        _ if mutants::is_active(mutants::LANDED_LATE_COMPLETES) => {}
                        Ok(Some(successor)) => return Err(self.fenced(successor)),
                        Err(_) if mutants::is_active(mutants::OWNER_UNKNOWN_COMPLETES) => {}
                        // Not to be told now: it is looked at again.
                        Err(_) => {
                            self.manifests.insert(at, (checkpoint, Ticket::ready(Ok(true))));
                            at += 1;
                            continue;
                        }
                    }
                    self.hit(Step::MetadataDurable, checkpoint, around.seams)?;
                    self.coordinator.on_manifest_durable(checkpoint, now)
                }
                Ok(false) => {
                    if let Some(successor) = self.successor(around.seams)? {
                        return Err(self.fenced(successor));
                    }
                    // An earlier attempt that was taken for dead has written its own checkpoint of
                    // this number: it stays, this one is given up.
                    let path = manifest_path(checkpoint);
                    let why = format!("{path} exists already: an earlier attempt has written it");
                    self.coordinator.on_manifest_failed(checkpoint, &why)
                }
                Err(error) => self.coordinator.on_manifest_failed(checkpoint, &error.to_string()),
            };
            self.carry_out(commands, around)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, commands: Vec<Command>, around: &mut Around<'_>) -> Result<()> {
        let attempt = self.id;
        for command in commands {
            match command {
                Command::Trigger { checkpoint, drain } => {
                    around.seams.emit(JobEvent::CheckpointTriggered { checkpoint, attempt });
                    let triggered_us = around.seams.clock.now_us();
                    let barrier = Barrier { checkpoint, drain, triggered_us };
                    self.tell(&Control::Trigger(barrier), around);
                }
                Command::WriteManifest(manifest) => {
                    self.hit(Step::AllAcked, manifest.checkpoint, around.seams)?;
                    self.write(&manifest, around)?;
                }
                Command::Notify { checkpoint, stats, drain } => {
                    if drain && let Some(successor) = self.successor(around.seams)? {
                        // Its manifest landed after a later attempt had looked: that one goes on
                        // from an older checkpoint, and the job is not over.
                        return Err(self.fenced(successor));
                    }
                    around.signals.exposition.on_completed(checkpoint, &stats);
                    around.seams.emit(JobEvent::CheckpointCompleted { checkpoint, attempt, stats });
                    self.clean_before(checkpoint, around)?;
                    self.tell(&Control::Notify(checkpoint), around);
                    if drain {
                        self.tell(&Control::Stop, around);
                        self.stop_by_us = Some(around.seams.clock.now_us() + STOP_WITHIN_US);
                    }
                }
                Command::Abort { checkpoint, reason } => {
                    around.signals.exposition.on_aborted();
                    let event = JobEvent::CheckpointAborted { checkpoint, attempt, reason };
                    around.seams.emit(event);
                    self.tell(&Control::Abort(checkpoint), around);
                }
                Command::Delete(checkpoint) => self.delete_all([checkpoint], around)?,
                Command::Discard(_) if mutants::is_active(mutants::DISCARD_FORGOTTEN) => {}
                Command::Discard(checkpoint) => {
                    self.deletions.extend(discard(checkpoint, attempt, around.seams));
                }
                Command::FailJob(reason) => {
                    return Err(EngineError::service("checkpoints", reason));
                }
            }
        }
        debug_assert!(self.coordinator.next_id() > CheckpointId::NONE);
        Ok(())
    }

    /// Takes away what unfinished checkpoints before `checkpoint` have left.
    fn clean_before(&mut self, checkpoint: CheckpointId, around: &mut Around<'_>) -> Result<()> {
        let is_before = |id: &mut CheckpointId| *id < checkpoint;
        if mutants::is_active(mutants::UNFINISHED_STAYS) {
            return Ok(());
        }
        let unfinished: Vec<_> = self.unfinished.extract_if(.., is_before).collect();
        self.delete_all(unfinished, around)
    }

    /// Deletes checkpoints. An attempt that was taken for dead must leave alone what others restore.
    fn delete_all(
        &mut self,
        checkpoints: impl IntoIterator<Item = CheckpointId>,
        around: &mut Around<'_>,
    ) -> Result<()> {
        for checkpoint in checkpoints {
            match self.successor(around.seams) {
                Ok(None) => self.deletions.push(delete(checkpoint, around.seams)),
                Ok(Some(successor)) => return Err(self.fenced(successor)),
                // It stays; a later attempt's cleaning finds it.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Writes a manifest, unless a later attempt has taken over: a process that was taken for dead
    /// must not complete checkpoints, and its sinks may be idle, so that nothing else tells it.
    fn write(&mut self, manifest: &Manifest, around: &mut Around<'_>) -> Result<()> {
        let checkpoint = manifest.checkpoint;
        let successor = match mutants::is_active(mutants::ZOMBIE_COMPLETES) {
            true => Ok(None),
            false => self.successor(around.seams),
        };
        match successor {
            Ok(None) => {
                let path = manifest_path(checkpoint);
                let storage = &*around.seams.storage;
                let ticket = if mutants::is_active(mutants::MANIFEST_NOT_ATOMIC) {
                    write_in_place(storage, &path, manifest)
                } else {
                    storage.put_new(&path, manifest.encode())
                };
                self.manifests.push((checkpoint, ticket));
                Ok(())
            }
            Ok(Some(successor)) => Err(self.fenced(successor)),
            Err(error) => {
                let commands = self.coordinator.on_manifest_failed(checkpoint, &error.to_string());
                self.carry_out(commands, around)
            }
        }
    }

    /// The latest attempt, if it is a later one than this.
    fn successor(&self, seams: &JobSeams) -> Result<Option<AttemptId>> {
        Ok(Some(claims::latest(&*seams.storage)?).filter(|latest| *latest > self.id))
    }

    fn fenced(&self, successor: AttemptId) -> EngineError {
        EngineError::Fenced(format!(
            "attempt {} may not complete checkpoints: attempt {successor} has taken over; stop \
             this one",
            self.id
        ))
    }

    fn tell(&self, message: &Control, around: &mut Around<'_>) {
        for (worker, _) in &self.workers {
            around.host.tell(*worker, message.clone());
        }
    }

    fn hit(&self, step: Step, checkpoint: CheckpointId, seams: &JobSeams) -> Result<()> {
        hit(seams, step, self.id, checkpoint)
    }

    fn report_metrics(&mut self, now: TimeUs, seams: &JobSeams) {
        self.metrics_due_us = now + METRICS_EVERY_US;
        let mut figures: Vec<(Cow<'static, str>, u64)> = Vec::with_capacity(HELP.len());
        for (_, metrics) in &self.workers {
            for (i, (name, kind, value)) in metrics.all().into_iter().enumerate() {
                match figures.get_mut(i) {
                    // Ages do not add up: the job is as late as its latest worker.
                    Some((_, most)) if kind == "gauge" && name.ends_with("_us") => {
                        *most = value.max(*most);
                    }
                    Some((_, sum)) => *sum += value,
                    None => figures.push((Cow::Borrowed(name), value)),
                }
            }
        }
        seams.emit(JobEvent::Metrics { attempt: self.id, figures });
    }
}

/// Reports a step of the coordinator.
pub(super) fn hit(
    seams: &JobSeams,
    step: Step,
    attempt: AttemptId,
    checkpoint: CheckpointId,
) -> Result<()> {
    let at = StepContext { attempt, vertex: VertexId(0), subtask: SubtaskIndex(0), checkpoint };
    seams.probe.hit(step, &at).map(drop)
}

/// Deletes what one attempt has written for a checkpoint: another one may have completed its own
/// under the same number.
fn discard(checkpoint: CheckpointId, attempt: AttemptId, seams: &JobSeams) -> Deletions {
    let folder = checkpoint_folder(checkpoint);
    let own = format!("{folder}/a{attempt}-");
    // A listing that fails leaves files behind; a later attempt's cleaning finds them.
    let mut files = seams.storage.list(&folder).unwrap_or_default();
    let takes_all = mutants::is_active(mutants::NAMESAKES_DISCARDED);
    files.retain(|path| path.starts_with(&own) || takes_all);
    delete_each(files, seams)
}

/// Deletes objects that mean nothing to each other: one that cannot be deleted keeps no other.
pub(super) fn delete_each(files: Vec<String>, seams: &JobSeams) -> Deletions {
    files.into_iter().map(|file| seams.storage.delete(vec![file])).collect()
}

/// Deletes a checkpoint: the manifest first, so that it never looks complete half deleted.
fn delete(checkpoint: CheckpointId, seams: &JobSeams) -> Ticket<Result<()>> {
    // A listing that fails leaves files behind; the next attempt's cleaning finds them.
    let mut files = seams.storage.list(&checkpoint_folder(checkpoint)).unwrap_or_default();
    if mutants::is_active(mutants::STATE_STAYS) {
        files.clear();
    }
    seams.storage.delete(deletion_order(checkpoint, files))
}

/// [`mutants::MANIFEST_NOT_ATOMIC`]: the manifest is in its place before it is whole, and nobody
/// waits until it is.
fn write_in_place(
    storage: &dyn SnapshotStorage,
    path: &str,
    manifest: &Manifest,
) -> Ticket<Result<bool>> {
    let mut torn = manifest.clone();
    torn.files.truncate(torn.files.len() / 2);
    drop(storage.put(path, torn.encode()));
    drop(storage.put(path, manifest.encode()));
    Ticket::ready(Ok(true))
}
