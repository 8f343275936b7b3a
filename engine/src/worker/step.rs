//! The worker's one entry: `step`.
//!
//! A step takes control messages, lets every group do a bounded amount of work, sinks first (what
//! makes room downstream comes before what fills it), moves checkpoints along, and says whether
//! there is more to do.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::gated::GatedGroup;
use super::snapshots::{Outcome, Snapshots};
use super::source::SourceGroup;
use crate::api::{GroupContext, SinkWaits};
use crate::checkpoint::Acknowledgement;
use crate::error::{EngineError, Result};
use crate::exchange::{Barrier, OpenBuffer, Outputs};
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId, WorkerIndex};
use crate::metrics::WorkerMetrics;
#[cfg(feature = "mutants")]
use crate::mutants;
use crate::seam::{SnapshotStorage, Step, TimeUs};

/// The flow into a gate.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The gate's vertex.
    pub vertex: VertexId,
    /// How many upstream subtasks there are.
    pub sources: u64,
    /// The least and the most that one of them may have under way, bytes.
    pub credit_bytes: (u64, u64),
    /// What waits to be processed, bytes.
    pub waiting_bytes: u64,
    /// What was taken in since the beginning, bytes.
    pub taken_bytes: u64,
}

/// From the coordinator to a worker.
#[derive(Clone, Debug)]
pub enum Control {
    /// A checkpoint begins.
    Trigger(Barrier),
    /// A checkpoint is complete.
    Notify(CheckpointId),
    /// A checkpoint will never complete.
    Abort(CheckpointId),
    /// The job is done: end when offset commits under way have ended.
    Stop,
}

/// From a worker to the coordinator.
#[derive(Debug)]
pub enum Report {
    /// Every group is open; records may flow.
    Running(WorkerIndex),
    /// The worker's part of a checkpoint is durable.
    Acknowledged(Acknowledgement),
    /// The worker cannot take part in a checkpoint.
    Declined(CheckpointId, String),
    /// Every input has ended and everything is written.
    Finished(WorkerIndex),
    /// The worker has stopped as it was told.
    Stopped(WorkerIndex),
    /// The worker has failed.
    Failed(WorkerIndex, EngineError),
}

/// What a step has done, and when the next one is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Something moved: step again at once.
    pub moved: bool,
    /// There is input that cannot be processed for lack of credit or room.
    pub is_backpressured: bool,
    /// When something is due even if nothing arrives.
    pub due_us: Option<TimeUs>,
}

impl Progress {
    fn join(self, other: Self) -> Self {
        Self {
            moved: self.moved | other.moved,
            is_backpressured: self.is_backpressured | other.is_backpressured,
            due_us: [self.due_us, other.due_us].into_iter().flatten().min(),
        }
    }
}

/// One group, of either kind.
pub enum Group {
    /// Source subtasks.
    Source(Box<SourceGroup>),
    /// Operator or sink subtasks.
    Gated(Box<GatedGroup>),
}

impl Group {
    fn context(&self) -> &GroupContext {
        match self {
            Self::Source(group) => group.context(),
            Self::Gated(group) => group.context(),
        }
    }

    fn step(&mut self, now_us: TimeUs, snapshots: &mut Snapshots) -> Result<Progress> {
        match self {
            Self::Source(group) => group.step(now_us, snapshots),
            Self::Gated(group) => group.step(now_us, snapshots),
        }
    }

    fn hit_all(&mut self, step: Step, checkpoint: CheckpointId) -> Result<()> {
        match self {
            Self::Source(group) => group.hit_all(step, checkpoint),
            Self::Gated(group) => group.hit_all(step, checkpoint),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::Source(group) => group.is_finished(),
            Self::Gated(group) => group.is_finished(),
        }
    }

    fn outputs(&self) -> &Outputs {
        match self {
            Self::Source(group) => group.outputs(),
            Self::Gated(group) => group.outputs(),
        }
    }

    fn is_committing(&self) -> bool {
        matches!(self, Self::Source(group) if group.is_committing())
    }
}

/// What connects a worker with the rest.
pub struct WorkerLinks {
    /// Messages from the coordinator.
    pub control: Receiver<Control>,
    /// Messages to the coordinator.
    pub reports: Sender<Report>,
    /// Where state files go.
    pub storage: Arc<dyn SnapshotStorage>,
    /// The worker's figures.
    pub metrics: Arc<WorkerMetrics>,
}

/// A gate that aligns a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The gate's vertex.
    pub vertex: VertexId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// When its first barrier came.
    pub since_us: TimeUs,
}

/// A gate that holds other channels than those that it aligns: what no gate ever is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misheld {
    /// The gate's vertex.
    pub vertex: VertexId,
    /// The channels that it holds.
    pub held: Vec<usize>,
    /// Those whose barrier has been processed, while the snapshot waits for others.
    pub aligned: Vec<usize>,
}

/// The worker.
pub struct Worker {
    index: WorkerIndex,
    /// In topological order.
    groups: Vec<Group>,
    snapshots: Snapshots,
    links: WorkerLinks,
    has_finished: bool,
    is_stopping: bool,
    has_stopped: bool,
    /// The vertex being stepped: where a panic came from.
    at: Option<VertexId>,
}

impl Worker {
    /// A worker over `groups`, in topological order; `upstream` names, for each group's vertex,
    /// what feeds it.
    pub fn new(
        index: WorkerIndex,
        attempt: AttemptId,
        groups: Vec<Group>,
        upstream: impl Fn(VertexId) -> String,
        links: WorkerLinks,
    ) -> Self {
        assert!(!groups.is_empty(), "a worker hosts something");
        let vertices = groups.iter().map(|g| g.context().vertex);
        let named = vertices.map(|v| (v, upstream(v))).collect();
        let subtasks = groups.iter().map(|g| g.context().subtasks.len() as u64).sum();
        let snapshots = Snapshots::new(attempt, index, named, subtasks);
        Self {
            index,
            groups,
            snapshots,
            links,
            has_finished: false,
            is_stopping: false,
            has_stopped: false,
            at: None,
        }
    }

    /// Does a bounded amount of work.
    ///
    /// # Errors
    /// What fails the attempt.
    pub fn step(&mut self, now_us: TimeUs) -> Result<Progress> {
        #[cfg(feature = "mutants")]
        if mutants::is_active(mutants::ONLY_THE_FAILED_RESTART) {
            return self.step_alone(now_us);
        }
        self.step_groups(now_us)
    }

    /// What a panic of a subtask does when the others go on: its memory is gone, nothing else.
    #[cfg(feature = "mutants")]
    fn step_alone(&mut self, now_us: TimeUs) -> Result<Progress> {
        use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
        match catch_unwind(AssertUnwindSafe(|| self.step_groups(now_us))) {
            Ok(stepped) => stepped,
            Err(panic) if panic.is::<String>() || panic.is::<&str>() => {
                for group in &mut self.groups {
                    if let Group::Gated(gated) = group {
                        gated.forget();
                    }
                }
                Ok(Progress { moved: true, ..Progress::default() })
            }
            Err(kill) => resume_unwind(kill),
        }
    }

    fn step_groups(&mut self, now_us: TimeUs) -> Result<Progress> {
        let mut progress = Progress { moved: self.take_control()?, ..Progress::default() };
        for group in self.groups.iter_mut().rev() {
            self.at = Some(group.context().vertex);
            progress = progress.join(group.step(now_us, &mut self.snapshots)?);
        }
        self.at = None;
        self.move_checkpoints(now_us)?;
        self.report_figures();
        self.report_end();
        if self.snapshots.is_busy() || self.is_stopping {
            let soon = now_us + 1_000;
            progress.due_us = Some(progress.due_us.map_or(soon, |due| due.min(soon)));
        }
        Ok(progress)
    }

    /// The worker.
    pub fn index(&self) -> WorkerIndex {
        self.index
    }

    /// What subtasks of each vertex have emitted and not sent, lane by lane.
    pub fn open_buffers(&self) -> impl Iterator<Item = (VertexId, OpenBuffer)> {
        self.groups.iter().flat_map(|group| {
            let vertex = group.context().vertex;
            group.outputs().open().map(move |buffer| (vertex, buffer))
        })
    }

    /// The flow into each gate.
    pub fn flows(&self) -> impl Iterator<Item = Flow> {
        self.groups.iter().filter_map(|group| {
            let Group::Gated(gated) = group else { return None };
            Some(gated.flow())
        })
    }

    /// The oldest alignment of each gate.
    pub fn alignments(&self) -> impl Iterator<Item = Alignment> {
        self.groups.iter().filter_map(|group| {
            let Group::Gated(gated) = group else { return None };
            let (checkpoint, since_us) = gated.aligning()?;
            Some(Alignment { vertex: gated.context().vertex, checkpoint, since_us })
        })
    }

    /// Gates that hold other channels than they should.
    pub fn misheld(&self) -> impl Iterator<Item = Misheld> {
        self.groups.iter().filter_map(|group| {
            let Group::Gated(gated) = group else { return None };
            let (held, aligned) = gated.misheld()?;
            let (held, aligned) = (held.iter().collect(), aligned.iter().collect());
            Some(Misheld { vertex: gated.context().vertex, held, aligned })
        })
    }

    /// Gates that log in-flight records for a checkpoint that is not under way there.
    pub fn stray_logs(&self) -> impl Iterator<Item = (VertexId, CheckpointId)> {
        self.groups.iter().filter_map(|group| {
            let Group::Gated(gated) = group else { return None };
            Some((gated.context().vertex, gated.stray_log()?))
        })
    }

    /// What the sink of each vertex that has one waits for.
    pub fn sink_waits(&self) -> impl Iterator<Item = (VertexId, SinkWaits)> {
        self.groups.iter().filter_map(|group| {
            let Group::Gated(gated) = group else { return None };
            Some((gated.context().vertex, gated.sink_waits()))
        })
    }

    /// Subtasks that could take, at `now_us`, what is parked for them.
    pub fn needless_waits(&self, now_us: TimeUs) -> impl Iterator<Item = (VertexId, SubtaskIndex)> {
        self.groups.iter().filter_map(move |group| {
            let Group::Gated(gated) = group else { return None };
            Some((gated.context().vertex, gated.needless_wait(now_us)?))
        })
    }

    /// A vertex whose group has no part in a checkpoint and will take none. Not to be asked of one
    /// that the worker was not told of, or has acknowledged or declined.
    pub fn has_forgotten(&self, checkpoint: CheckpointId) -> Option<VertexId> {
        self.groups.iter().find_map(|group| {
            let vertex = group.context().vertex;
            let will_act = match group {
                Group::Source(source) => source.awaits(checkpoint),
                Group::Gated(gated) => gated.awaits(checkpoint),
            };
            (!will_act && self.snapshots.lacks(checkpoint, vertex)).then_some(vertex)
        })
    }

    /// Whether the worker has done all it was told to.
    pub fn has_stopped(&self) -> bool {
        self.has_stopped
    }

    /// Where the step was when it was interrupted: for the message of a panic.
    pub fn place(&self) -> String {
        let name = |id: VertexId| {
            let group = self.groups.iter().find(|g| g.context().vertex == id);
            group.map_or_else(|| id.to_string(), |g| g.context().name.to_string())
        };
        match self.at {
            Some(vertex) => format!("vertex '{}' on worker {}", name(vertex), self.index),
            None => format!("worker {}", self.index),
        }
    }

    fn take_control(&mut self) -> Result<bool> {
        let mut moved = false;
        while let Ok(message) = self.links.control.try_recv() {
            moved = true;
            match message {
                Control::Trigger(barrier) => {
                    for group in &mut self.groups {
                        match group {
                            Group::Source(source) => source.on_trigger(barrier),
                            Group::Gated(gated) => gated.on_trigger(barrier),
                        }
                    }
                }
                Control::Notify(checkpoint) => {
                    self.snapshots.complete(checkpoint);
                    for group in &mut self.groups {
                        self.at = Some(group.context().vertex);
                        match group {
                            Group::Source(source) => source.on_complete(checkpoint)?,
                            Group::Gated(gated) => gated.on_complete(checkpoint)?,
                        }
                    }
                }
                Control::Abort(checkpoint) => {
                    self.snapshots.abort(checkpoint);
                    for group in &mut self.groups {
                        match group {
                            Group::Source(source) => source.on_aborted(checkpoint),
                            Group::Gated(gated) => gated.on_aborted(checkpoint),
                        }
                    }
                }
                Control::Stop => self.is_stopping = true,
            }
        }
        Ok(moved)
    }

    fn move_checkpoints(&mut self, now_us: TimeUs) -> Result<()> {
        if !self.snapshots.is_busy() {
            return Ok(());
        }
        for checkpoint in self.snapshots.whole() {
            match self.hit_groups(Step::Upload, checkpoint) {
                Ok(()) => self.snapshots.upload(checkpoint, &*self.links.storage, now_us),
                failed => self.snapshots.decline_on(checkpoint, failed),
            }
        }
        for outcome in self.snapshots.collect(now_us) {
            match outcome {
                Outcome::Acknowledged(acknowledgement) => {
                    self.hit_groups(Step::Acked, acknowledgement.checkpoint)?;
                    self.report(Report::Acknowledged(acknowledgement));
                }
                Outcome::Late(acknowledgement) => {
                    self.report(Report::Acknowledged(acknowledgement));
                }
                Outcome::Declined(checkpoint, why) => {
                    self.report(Report::Declined(checkpoint, why));
                }
            }
        }
        Ok(())
    }

    fn hit_groups(&mut self, step: Step, checkpoint: CheckpointId) -> Result<()> {
        for group in &mut self.groups {
            self.at = Some(group.context().vertex);
            group.hit_all(step, checkpoint)?;
        }
        self.at = None;
        Ok(())
    }

    fn report_figures(&self) {
        let (mut queued, mut held, mut pending) = (0, 0, 0);
        let mut credit: Option<u64> = None;
        for group in &self.groups {
            if let Group::Gated(gated) = group {
                let (q, h) = gated.waiting_bytes();
                (queued, held) = (queued + q, held + h);
                pending += gated.pending_records();
                credit = Some(credit.unwrap_or(u64::MAX).min(gated.credit_bytes()));
            }
        }
        self.links.metrics.in_flight_bytes.set(queued);
        self.links.metrics.held_bytes.set(held);
        self.links.metrics.credit_bytes.set(credit.unwrap_or(0));
        self.links.metrics.sink_pending_records.set(pending);
    }

    fn report_end(&mut self) {
        if !self.has_finished && self.groups.iter().all(Group::is_finished) {
            self.has_finished = true;
            self.report(Report::Finished(self.index));
        }
        let is_committing = self.groups.iter().any(Group::is_committing);
        let is_idle = !is_committing && !self.snapshots.has_abandoned();
        if self.is_stopping && !self.has_stopped && is_idle {
            self.has_stopped = true;
            self.report(Report::Stopped(self.index));
        }
    }

    fn report(&self, report: Report) {
        // A coordinator that is gone has ended the attempt: nobody needs the report.
        let _ = self.links.reports.send(report);
    }
}
