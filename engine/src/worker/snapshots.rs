//! A checkpoint's way through one worker: parts from each group -> settled -> encoded -> uploaded
//! -> acknowledged.
//!
//! Invariant: the acknowledgement leaves only after the state file is durable, and the file is
//! written only after every group of the worker has delivered its part and every sink has
//! confirmed what it had handed over before the barrier. An upload that outlives its checkpoint is
//! still waited for, and told of when it has landed: nobody else knows that there is a file.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::StateSnapshot;
use crate::checkpoint::{Acknowledgement, StateFileRef, StateFileWriter, checkpoint_folder};
use crate::error::Result;
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId, WorkerIndex};
use crate::mutants;
use crate::record::Record;
use crate::runtime::CheckpointStats;
use crate::seam::{SnapshotStorage, Ticket, TimeUs};

/// What one group contributes.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) states: Vec<(SubtaskIndex, StateSnapshot)>,
    pub(super) in_flight: Vec<Record>,
    pub(super) is_complete: bool,
    pub(super) is_settled: bool,
    pub(super) stats: CheckpointStats,
}

impl Part {
    /// About how many bytes of a state file it takes.
    fn bytes(&self) -> usize {
        let states = self.states.iter().map(|(_, state)| state.bytes()).sum::<usize>();
        states + self.in_flight.iter().map(|record| record.frame().len() + 4).sum::<usize>()
    }
}

/// A checkpoint under way in this worker.
#[derive(Debug, Default)]
struct Pending {
    parts: BTreeMap<VertexId, Part>,
    upload: Option<Upload>,
}

#[derive(Debug)]
struct Upload {
    ticket: Ticket<Result<()>>,
    acknowledgement: Acknowledgement,
    started_us: TimeUs,
}

/// What became of uploads in this step.
#[derive(Debug)]
pub(super) enum Outcome {
    Acknowledged(Acknowledgement),
    /// The file of a checkpoint that is over here has landed.
    Late(Acknowledgement),
    Declined(CheckpointId, String),
}

/// Every checkpoint under way in one worker.
#[derive(Debug)]
pub(super) struct Snapshots {
    attempt: AttemptId,
    worker: WorkerIndex,
    vertices: Vec<(VertexId, String)>,
    subtasks: u64,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Uploads under way for checkpoints that are over here.
    abandoned: Vec<Upload>,
    declined: Vec<(CheckpointId, String)>,
    /// Checkpoints up to this one are over.
    over: CheckpointId,
    /// Younger ones that were given up, each for itself.
    aborted: BTreeSet<CheckpointId>,
}

impl Snapshots {
    /// For a worker that hosts groups of `vertices` (id and the name of their upstream vertex)
    /// with `subtasks` subtasks in all.
    pub(super) fn new(
        attempt: AttemptId,
        worker: WorkerIndex,
        vertices: Vec<(VertexId, String)>,
        subtasks: u64,
    ) -> Self {
        Self {
            attempt,
            worker,
            vertices,
            subtasks,
            pending: BTreeMap::new(),
            abandoned: Vec::new(),
            declined: Vec::new(),
            over: CheckpointId::NONE,
            aborted: BTreeSet::new(),
        }
    }

    /// Notes that the asynchronous part of a checkpoint failed: it is declined, the job goes on.
    pub(super) fn decline_on(&mut self, checkpoint: CheckpointId, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.declined.push((checkpoint, error.to_string()));
        }
    }

    /// The part of `vertex` in `checkpoint`; `None` when the checkpoint has been given up.
    pub(super) fn part(&mut self, checkpoint: CheckpointId, vertex: VertexId) -> Option<&mut Part> {
        if self.is_over(checkpoint) {
            return None;
        }
        Some(self.pending.entry(checkpoint).or_default().parts.entry(vertex).or_default())
    }

    fn is_over(&self, checkpoint: CheckpointId) -> bool {
        checkpoint <= self.over || self.aborted.contains(&checkpoint)
    }

    /// Whether a checkpoint has no whole part of `vertex` from here.
    pub(super) fn lacks(&self, checkpoint: CheckpointId, vertex: VertexId) -> bool {
        let part = self.pending.get(&checkpoint).and_then(|pending| pending.parts.get(&vertex));
        !part.is_some_and(|part| part.is_complete)
    }

    /// Notes that a checkpoint is complete: it is over, and so are those before it.
    pub(super) fn complete(&mut self, checkpoint: CheckpointId) {
        self.over = self.over.max(checkpoint);
        let younger = self.pending.split_off(&checkpoint.next());
        let over = std::mem::replace(&mut self.pending, younger);
        self.abandoned.extend(over.into_values().filter_map(|pending| pending.upload));
        self.aborted = self.aborted.split_off(&checkpoint.next());
    }

    /// Forgets a checkpoint that will never complete. Those before it may yet do so.
    pub(super) fn abort(&mut self, checkpoint: CheckpointId) {
        if mutants::is_active(mutants::LATE_BARRIER_REVIVES) {
            return;
        }
        if mutants::is_active(mutants::ABORT_ENDS_OLDER) {
            self.over = self.over.max(checkpoint);
        }
        self.aborted.insert(checkpoint);
        let upload = self.pending.remove(&checkpoint).and_then(|pending| pending.upload);
        self.abandoned.extend(upload);
    }

    /// Checkpoints whose part of `vertex` is complete and not settled.
    pub(super) fn unsettled(&self, vertex: VertexId) -> Vec<CheckpointId> {
        let open = |p: &Pending| {
            p.parts.get(&vertex).is_some_and(|part| part.is_complete && !part.is_settled)
        };
        self.pending.iter().filter(|(_, p)| open(p)).map(|(id, _)| *id).collect()
    }

    /// Checkpoints that are whole and not yet being uploaded.
    pub(super) fn whole(&self) -> Vec<CheckpointId> {
        let is_whole = |p: &Pending| {
            p.upload.is_none()
                && p.parts.len() == self.vertices.len()
                && p.parts.values().all(|part| part.is_complete && part.is_settled)
        };
        self.pending.iter().filter(|(_, p)| is_whole(p)).map(|(id, _)| *id).collect()
    }

    /// Encodes a whole checkpoint and starts its upload.
    pub(super) fn upload(
        &mut self,
        checkpoint: CheckpointId,
        storage: &dyn SnapshotStorage,
        now_us: TimeUs,
    ) {
        let pending = self.pending.get_mut(&checkpoint).expect("whole() named it");
        let bytes = pending.parts.values().map(Part::bytes).sum();
        let mut writer = StateFileWriter::with_capacity(bytes);
        let mut stats = CheckpointStats::default();
        for (vertex, upstream) in &self.vertices {
            let part = pending.parts.get_mut(vertex).expect("whole() checked it");
            for (subtask, state) in part.states.drain(..) {
                writer.put(*vertex, subtask, &state);
            }
            let first = part.in_flight.first().map_or(SubtaskIndex(0), |r| r.view().target());
            writer.put_channel(*vertex, first, upstream, &part.in_flight);
            let in_flight = part.in_flight.drain(..).map(|r| r.frame().len() as u64).sum::<u64>();
            stats.in_flight_bytes += in_flight;
            stats.start_delay_us = stats.start_delay_us.max(part.stats.start_delay_us);
            stats.alignment_us = stats.alignment_us.max(part.stats.alignment_us);
            stats.sync_us += part.stats.sync_us;
        }
        let (bytes, crc32) = writer.finish();
        stats.state_bytes = bytes.len() as u64;
        let path = format!(
            "{}/a{}-worker-{}.state",
            checkpoint_folder(checkpoint),
            self.attempt,
            self.worker
        );
        let file = StateFileRef {
            path: path.clone(),
            bytes: bytes.len() as u64,
            crc32,
            worker: self.worker,
        };
        let acknowledgement = Acknowledgement {
            attempt: self.attempt,
            checkpoint,
            worker: self.worker,
            subtasks: self.subtasks,
            file,
            stats,
        };
        let ticket = storage.put(&path, bytes);
        pending.upload = Some(Upload { ticket, acknowledgement, started_us: now_us });
    }

    /// Uploads that have ended.
    pub(super) fn collect(&mut self, now_us: TimeUs) -> Vec<Outcome> {
        let declined = self.declined.drain(..);
        let mut outcomes: Vec<_> = declined.map(|(id, why)| Outcome::Declined(id, why)).collect();
        for (id, pending) in &mut self.pending {
            let Some(upload) = &mut pending.upload else { continue };
            let passes = mutants::is_active(mutants::FAILED_UPLOAD_ACKNOWLEDGED);
            match upload.ticket.try_take().map(|outcome| if passes { Ok(()) } else { outcome }) {
                Some(Ok(())) => {
                    let mut done = upload.acknowledgement.clone();
                    done.stats.async_us = now_us.saturating_sub(upload.started_us);
                    outcomes.push(Outcome::Acknowledged(done));
                }
                Some(Err(error)) => outcomes.push(Outcome::Declined(*id, error.to_string())),
                None if upload.ticket.is_orphaned() => {
                    outcomes.push(Outcome::Declined(*id, "the upload was cancelled".to_owned()));
                }
                None => {}
            }
        }
        for outcome in &outcomes {
            match outcome {
                Outcome::Acknowledged(ack) => _ = self.pending.remove(&ack.checkpoint),
                Outcome::Declined(id, _) => {
                    let upload = self.pending.remove(id).and_then(|pending| pending.upload);
                    self.abandoned.extend(upload);
                }
                Outcome::Late(_) => {}
            }
        }
        self.collect_abandoned(&mut outcomes);
        outcomes
    }

    fn collect_abandoned(&mut self, outcomes: &mut Vec<Outcome>) {
        self.abandoned.retain(|upload| match upload.ticket.try_take() {
            Some(Ok(())) => {
                outcomes.push(Outcome::Late(upload.acknowledgement.clone()));
                false
            }
            Some(Err(_)) => false,
            None => !upload.ticket.is_orphaned(),
        });
    }

    /// Whether an upload is under way that nobody waits for but the worker.
    pub(super) fn has_abandoned(&self) -> bool {
        !self.abandoned.is_empty()
    }

    /// Whether anything is under way that a later step has to look at.
    pub(super) fn is_busy(&self) -> bool {
        !self.pending.is_empty() || !self.declined.is_empty() || self.has_abandoned()
    }
}
