//! The source subtasks of one worker: they read, and they inject barriers.
//!
//! Invariant: for each subtask the barrier and the position are taken in one go, between two
//! records; a stalled subtask does it when its stall is over.

use super::snapshots::Snapshots;
use super::stalls::Stalls;
use crate::api::{Emission, GroupContext, SourceReader, StateSnapshot};
use crate::error::Result;
use crate::exchange::{Barrier, MarkKind, Outputs};
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::mutants;
use crate::record::Payload;
use crate::seam::{Step, TimeUs};
use crate::worker::Progress;

/// Records that one step may emit: small enough that control messages are never far, and that what
/// is under way between two workers in balance stays in their caches.
const RECORDS_PER_STEP: usize = 2048;

/// A trigger that not all subtasks have followed.
#[derive(Debug)]
struct PendingTrigger {
    barrier: Barrier,
    waiting: Vec<SubtaskIndex>,
}

/// The group.
pub struct SourceGroup {
    context: GroupContext,
    reader: Box<dyn SourceReader>,
    outputs: Outputs,
    stalls: Stalls,
    triggers: Vec<PendingTrigger>,
    finished: Vec<bool>,
    /// Subtasks whose last barrier is out: nothing follows it.
    drained: Vec<bool>,
    records_per_step: usize,
}

impl SourceGroup {
    /// A group that reads from `reader` and writes to `outputs`.
    pub fn new(context: GroupContext, reader: Box<dyn SourceReader>, outputs: Outputs) -> Self {
        let subtasks = context.subtasks.len();
        Self {
            context,
            reader,
            outputs,
            stalls: Stalls::new(subtasks),
            triggers: Vec::new(),
            finished: vec![false; subtasks],
            drained: vec![false; subtasks],
            records_per_step: RECORDS_PER_STEP,
        }
    }

    /// The same with so many records for each step; 0 = as it is.
    pub fn stepping(mut self, records: usize) -> Self {
        if records > 0 {
            self.records_per_step = records;
        }
        self
    }

    pub(super) fn context(&self) -> &GroupContext {
        &self.context
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.iter().all(|f| *f)
    }

    pub(super) fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Whether subtasks have yet to take part in a checkpoint: those that stall.
    pub(super) fn awaits(&self, checkpoint: CheckpointId) -> bool {
        self.triggers.iter().any(|trigger| trigger.barrier.checkpoint == checkpoint)
    }

    pub(super) fn is_committing(&self) -> bool {
        self.reader.is_committing()
    }

    pub(super) fn step(&mut self, now_us: TimeUs, snapshots: &mut Snapshots) -> Result<Progress> {
        self.follow_triggers(now_us, snapshots)?;
        let is_drained = self.drained.iter().all(|drained| *drained);
        let budget = if is_drained { 0 } else { self.records_per_step };
        let mut emission = GroupEmission {
            context: &self.context,
            outputs: &mut self.outputs,
            stalls: &self.stalls,
            finished: &mut self.finished,
            drained: &self.drained,
            now_us,
            budget,
            records: 0,
            bytes: 0,
            was_refused: std::cell::Cell::new(false),
        };
        let more = self.reader.poll(now_us, &mut emission)?;
        let (records, bytes) = (emission.records, emission.bytes);
        let refused = emission.was_refused.get();
        let metrics = &self.context.metrics;
        if records > 0 {
            metrics.source_records.add(records);
            metrics.source_bytes.add(bytes);
        }
        if let Some(pending) = self.reader.pending_records() {
            metrics.pending_records.set(pending);
        }
        // Credit that lies in open buffers does not come back while they wait for more.
        let flushed = refused && records == 0 && self.outputs.flush();
        let flush_due = self.outputs.flush_due(now_us);
        Ok(Progress {
            moved: records > 0 || flushed || (more && !refused && !is_drained),
            is_backpressured: refused,
            due_us: [flush_due, self.stalls.end_us(now_us)].into_iter().flatten().min(),
        })
    }

    /// The coordinator has triggered a checkpoint.
    pub(super) fn on_trigger(&mut self, barrier: Barrier) {
        let waiting = self.context.each_subtask().collect();
        self.triggers.push(PendingTrigger { barrier, waiting });
    }

    fn follow_triggers(&mut self, now_us: TimeUs, snapshots: &mut Snapshots) -> Result<()> {
        for mut trigger in std::mem::take(&mut self.triggers) {
            let (ready, waiting): (Vec<_>, Vec<_>) = trigger
                .waiting
                .into_iter()
                .partition(|s| !self.stalls.holds(self.context.local(*s), now_us));
            trigger.waiting = waiting;
            self.inject(trigger.barrier, &ready, snapshots)?;
            if trigger.waiting.is_empty() {
                let checkpoint = trigger.barrier.checkpoint;
                if let Some(part) = snapshots.part(checkpoint, self.context.vertex) {
                    part.is_complete = true;
                    part.is_settled = true;
                }
            } else {
                self.triggers.push(trigger);
            }
        }
        Ok(())
    }

    /// Barrier and snapshot of each of `subtasks`.
    fn inject(
        &mut self,
        barrier: Barrier,
        subtasks: &[SubtaskIndex],
        snapshots: &mut Snapshots,
    ) -> Result<()> {
        let checkpoint = barrier.checkpoint;
        for run in contiguous_runs(subtasks, |s| !self.finished[self.context.local(s)]) {
            self.outputs.mark(run, MarkKind::Barrier(barrier));
        }
        let started_us = self.context.clock.now_us();
        for subtask in subtasks {
            let is_last = barrier.drain && !mutants::is_active(mutants::DRAINED_GOES_ON);
            self.drained[self.context.local(*subtask)] |= is_last;
            self.stalls.hit(&self.context, Step::BarrierInjected, *subtask, checkpoint)?;
            self.stalls.hit(&self.context, Step::SnapshotSync, *subtask, checkpoint)?;
            let mut state = StateSnapshot::default();
            self.reader.snapshot(checkpoint, *subtask, &mut state)?;
            if let Some(part) = snapshots.part(checkpoint, self.context.vertex) {
                part.states.push((*subtask, state));
            }
            let hit = self.stalls.hit(&self.context, Step::SnapshotAsync, *subtask, checkpoint);
            snapshots.decline_on(checkpoint, hit);
        }
        if let Some(part) = snapshots.part(checkpoint, self.context.vertex) {
            part.stats.sync_us += self.context.clock.now_us() - started_us;
        }
        Ok(())
    }

    pub(super) fn hit_all(&mut self, step: Step, checkpoint: CheckpointId) -> Result<()> {
        self.stalls.hit_all(&self.context, step, checkpoint)
    }

    pub(super) fn on_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.stalls.hit_all(&self.context, Step::Notified, checkpoint)?;
        self.reader.notify_checkpoint_complete(checkpoint)
    }

    pub(super) fn on_aborted(&mut self, checkpoint: CheckpointId) {
        self.triggers.retain(|t| {
            let is_younger = t.barrier.checkpoint > checkpoint;
            t.barrier.checkpoint < checkpoint
                || is_younger && !mutants::is_active(mutants::ABORT_TAKES_YOUNGER)
        });
        self.reader.notify_checkpoint_aborted(checkpoint);
    }
}

/// Runs of consecutive subtasks that satisfy `wanted`.
fn contiguous_runs(
    subtasks: &[SubtaskIndex],
    wanted: impl Fn(SubtaskIndex) -> bool,
) -> Vec<std::ops::Range<u16>> {
    let mut runs: Vec<std::ops::Range<u16>> = Vec::new();
    for subtask in subtasks.iter().filter(|s| wanted(**s)) {
        match runs.last_mut() {
            Some(run) if run.end == subtask.0 => run.end += 1,
            _ => runs.push(subtask.0..subtask.0 + 1),
        }
    }
    runs
}

struct GroupEmission<'a> {
    context: &'a GroupContext,
    outputs: &'a mut Outputs,
    stalls: &'a Stalls,
    finished: &'a mut [bool],
    drained: &'a [bool],
    now_us: TimeUs,
    budget: usize,
    records: u64,
    bytes: u64,
    was_refused: std::cell::Cell<bool>,
}

impl Emission for GroupEmission<'_> {
    fn can_emit(&self, subtask: SubtaskIndex) -> bool {
        let local = self.context.local(subtask);
        if self.budget == 0 || self.drained[local] || self.stalls.holds(local, self.now_us) {
            return false;
        }
        let has_credit = self.outputs.has_credit(subtask);
        if !has_credit {
            self.was_refused.set(true);
        }
        has_credit
    }

    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>) {
        debug_assert_eq!(payload.provenance.source_attempt, self.context.attempt);
        self.bytes += self.outputs.emit(subtask, payload, self.now_us) as u64;
        self.budget = self.budget.saturating_sub(1);
        self.records += 1;
    }

    fn finish(&mut self, subtask: SubtaskIndex) {
        let local = self.context.local(subtask);
        if !std::mem::replace(&mut self.finished[local], true) {
            self.outputs.mark(subtask.0..subtask.0 + 1, MarkKind::EndOfInput);
        }
    }

    fn budget(&self) -> usize {
        self.budget
    }
}
