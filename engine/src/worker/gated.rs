//! The subtasks of an operator or a sink on one worker, behind their inbox.
//!
//! Follow a record: [`records`]. A record whose subtask stalls or has no credit downstream is parked,
//! and the others go on.
//! Follow a barrier: inbox -> [`BarrierHandler`] -> decisions -> `take_snapshot` -> [`Snapshots`].
//! Invariant: a snapshot that logs nothing is taken only when nothing is parked: everything before
//! the barrier has then been processed.

mod collector;
mod control;
mod records;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use self::collector::GroupCollector;
use super::Progress;
use super::parked::Parked;
use super::snapshots::Snapshots;
use super::stalls::Stalls;
use crate::api::{GroupContext, Operator, Sink, StateSnapshot};
use crate::checkpoint::{BarrierHandler, Decision};
use crate::error::Result;
use crate::exchange::{Barrier, ChannelSet, Debloat, Inbox, MarkKind, Outputs, Refunds};
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::mutants;
use crate::record::{EVERY_SUBTASK, Record};
use crate::seam::{Step, TimeUs};

/// Records that one step may process: small enough that control messages are never far, and
/// more than a source emits in a step, so that what arrived is processed while it is in the cache.
const RECORDS_PER_STEP: usize = 16_384;

/// What the group runs.
pub enum GatedTask {
    /// An operator.
    Operator(Box<dyn Operator>),
    /// A sink.
    Sink(Box<dyn Sink>),
}

/// The group.
pub struct GatedGroup {
    context: GroupContext,
    task: GatedTask,
    inbox: Inbox,
    handler: BarrierHandler,
    debloat: Debloat,
    outputs: Outputs,
    parked: Parked,
    stalls: Stalls,
    timers: BinaryHeap<Reverse<(TimeUs, u16)>>,
    has_begun: bool,
    refunds: Refunds,
    decisions: VecDeque<Decision>,
    /// The checkpoint whose first barrier was met last, and when.
    begun: (CheckpointId, TimeUs),
    has_ended: bool,
    is_finished: bool,
    records_per_step: usize,
}

impl GatedGroup {
    /// A group that takes from `inbox` and writes to `outputs` (none for a sink).
    pub fn new(
        context: GroupContext,
        task: GatedTask,
        inbox: Inbox,
        handler: BarrierHandler,
        debloat: Debloat,
        outputs: Outputs,
    ) -> Self {
        let subtasks = context.subtasks.len();
        Self {
            context,
            task,
            inbox,
            handler,
            debloat,
            outputs,
            parked: Parked::new(subtasks),
            stalls: Stalls::new(subtasks),
            timers: BinaryHeap::new(),
            has_begun: false,
            refunds: Refunds::default(),
            decisions: VecDeque::new(),
            begun: (CheckpointId::NONE, 0),
            has_ended: false,
            is_finished: false,
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
        self.is_finished
    }

    pub(super) fn step(&mut self, now_us: TimeUs, snapshots: &mut Snapshots) -> Result<Progress> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.begin(now_us)?;
        }
        let mut moved = self.ingest(now_us);
        moved |= self.fire_timers(now_us)?;
        if let GatedTask::Sink(sink) = &mut self.task {
            moved |= sink.poll(now_us)?;
        }
        moved |= self.unpark(now_us)?;
        self.decide(now_us, snapshots)?;
        moved |= self.process_ready(now_us, snapshots)?;
        self.settle(snapshots)?;
        self.finish(now_us)?;
        // Credit that lies in open buffers does not come back while they wait for more.
        moved |= !moved && !self.parked.is_empty() && self.outputs.flush();
        let queued = self.inbox.queued_bytes() + self.parked.bytes();
        if let Some(credit) = self.debloat.on_step(now_us, self.inbox.taken_bytes(), queued) {
            self.inbox.set_credit(credit);
        }
        let flush_due = self.outputs.flush_due(now_us);
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let timer = timer.filter(|_| !mutants::is_active(mutants::TIMER_NOT_DUE));
        let due = [flush_due, timer, self.stalls.end_us(now_us), self.handler.alignment_deadline()];
        Ok(Progress {
            moved,
            is_backpressured: !self.parked.is_empty() || (!moved && self.inbox.has_ready()),
            due_us: due.into_iter().flatten().min(),
        })
    }

    fn ingest(&mut self, now_us: TimeUs) -> bool {
        let (handler, decisions) = (&mut self.handler, &mut self.decisions);
        let arrived = self.inbox.ingest(|channel, kind| {
            decisions.extend(match kind {
                MarkKind::Barrier(barrier) => handler.on_ingested(channel, barrier, now_us),
                MarkKind::EndOfInput => handler.on_end_ingested(channel),
            });
        });
        let timed_out = handler.on_time(now_us);
        if !timed_out.is_empty() {
            decisions.extend(timed_out);
        }
        arrived
    }

    fn begin(&mut self, now_us: TimeUs) -> Result<()> {
        let GatedTask::Operator(operator) = &mut self.task else { return Ok(()) };
        let mut out =
            GroupCollector { outputs: &mut self.outputs, timers: &mut self.timers, now_us };
        self.context.each_subtask().try_for_each(|s| operator.begin(s, now_us, &mut out))
    }

    fn fire_timers(&mut self, now_us: TimeUs) -> Result<bool> {
        let mut fired = false;
        while let Some(Reverse((at, subtask))) = self.timers.peek().copied() {
            if at > now_us {
                break;
            }
            self.timers.pop();
            if let GatedTask::Operator(operator) = &mut self.task {
                let mut out =
                    GroupCollector { outputs: &mut self.outputs, timers: &mut self.timers, now_us };
                operator.on_timer(SubtaskIndex(subtask), now_us, &mut out)?;
                fired = true;
            }
        }
        Ok(fired)
    }

    /// Carries out decisions in order, as far as they can be now.
    fn decide(&mut self, now_us: TimeUs, snapshots: &mut Snapshots) -> Result<()> {
        while let Some(decision) = self.decisions.pop_front() {
            match decision {
                Decision::Begun(barrier) => {
                    self.begun = (barrier.checkpoint, now_us);
                    self.hit_all(Step::BarrierReceived, barrier.checkpoint)?;
                    if let Some(part) = snapshots.part(barrier.checkpoint, self.context.vertex) {
                        part.stats.start_delay_us = now_us.saturating_sub(barrier.triggered_us);
                    }
                }
                Decision::Hold(channel) => {
                    self.inbox.hold(channel);
                    if self.inbox.held_channels() == 1 {
                        self.hit_all(Step::Aligning, self.begun.0)?;
                    }
                }
                Decision::Snapshot { barrier, closed } => {
                    let must_wait = self.stalls.holds_any(now_us)
                        || (closed.is_none() && !self.parked.is_empty());
                    if must_wait {
                        self.decisions.push_front(Decision::Snapshot { barrier, closed });
                        return Ok(());
                    }
                    self.take_snapshot(barrier, closed.as_ref(), now_us, snapshots)?;
                }
                Decision::Release => self.inbox.release(),
                Decision::Complete(checkpoint) => self.complete(checkpoint, now_us, snapshots),
                Decision::Decline(checkpoint, _) => {
                    // The coordinator gave it up; its own message is on its way.
                    self.inbox.abandon_capture(checkpoint);
                    snapshots.abort(checkpoint);
                }
            }
        }
        Ok(())
    }

    /// Prepare -> barrier downstream -> synchronous snapshot of every subtask -> capture.
    fn take_snapshot(
        &mut self,
        barrier: Barrier,
        closed: Option<&ChannelSet>,
        now_us: TimeUs,
        snapshots: &mut Snapshots,
    ) -> Result<()> {
        let checkpoint = barrier.checkpoint;
        if closed.is_none() {
            self.hit_all(Step::Aligned, checkpoint)?;
        }
        let started_us = self.context.clock.now_us();
        self.prepare(barrier, now_us)?;
        self.outputs.mark(self.context.subtasks.clone(), MarkKind::Barrier(barrier));
        if let Some(closed) = closed
            && !mutants::is_active(mutants::FIRST_BARRIER_UNLOGGED)
        {
            self.inbox.begin_capture(checkpoint, self.parked.iter().cloned(), closed);
        }
        for subtask in self.context.each_subtask() {
            self.stalls.hit(&self.context, Step::SnapshotSync, subtask, checkpoint)?;
            let mut state = StateSnapshot::default();
            match &mut self.task {
                GatedTask::Operator(o) => o.snapshot(checkpoint, subtask, &mut state)?,
                GatedTask::Sink(s) => s.snapshot(checkpoint, subtask, &mut state)?,
            }
            if let Some(part) = snapshots.part(checkpoint, self.context.vertex) {
                part.states.push((subtask, state));
            }
        }
        let hit = self.hit_all(Step::SnapshotAsync, checkpoint);
        snapshots.decline_on(checkpoint, hit);
        if let Some(part) = snapshots.part(checkpoint, self.context.vertex) {
            part.stats.sync_us = self.context.clock.now_us() - started_us;
        }
        Ok(())
    }

    fn prepare(&mut self, barrier: Barrier, now_us: TimeUs) -> Result<()> {
        let mut out =
            GroupCollector { outputs: &mut self.outputs, timers: &mut self.timers, now_us };
        match &mut self.task {
            GatedTask::Operator(operator) => {
                for subtask in self.context.each_subtask() {
                    operator.prepare_barrier(barrier.checkpoint, subtask, &mut out)?;
                    if barrier.drain {
                        operator.finish(subtask, &mut out)?;
                    }
                }
                Ok(())
            }
            GatedTask::Sink(sink) => {
                sink.prepare_barrier(barrier.checkpoint, barrier.drain, now_us)
            }
        }
    }

    /// Every barrier is in: the part is whole but for the sink's confirmations.
    fn complete(&mut self, checkpoint: CheckpointId, now_us: TimeUs, snapshots: &mut Snapshots) {
        let captured = self.inbox.end_capture(checkpoint);
        let is_sink = matches!(self.task, GatedTask::Sink(_));
        let in_flight = self.addressed(captured);
        if let Some(part) = snapshots.part(checkpoint, self.context.vertex) {
            part.in_flight = in_flight;
            part.is_complete = true;
            part.is_settled = !is_sink;
            if self.begun.0 == checkpoint {
                part.stats.alignment_us = now_us.saturating_sub(self.begun.1);
            }
        }
    }

    /// Records in flight, one for each subtask that they are for.
    fn addressed(&self, captured: Vec<Record>) -> Vec<Record> {
        let mut addressed = Vec::with_capacity(captured.len());
        for record in captured {
            match record.view().target() {
                EVERY_SUBTASK => addressed.extend(self.copies_of(&record)),
                _ => addressed.push(record),
            }
        }
        addressed
    }

    /// A record for every subtask as one record for each.
    fn copies_of(&self, record: &Record) -> Vec<Record> {
        let mut subtasks: Vec<SubtaskIndex> = self.context.each_subtask().collect();
        if mutants::is_active(mutants::COPY_UNLOGGED) {
            subtasks.pop();
        }
        if mutants::is_active(mutants::COPIES_TO_ONE) {
            subtasks = vec![subtasks[0]; subtasks.len()];
        }
        subtasks.into_iter().map(|s| record.retargeted(s)).collect()
    }

    fn settle(&mut self, snapshots: &mut Snapshots) -> Result<()> {
        let GatedTask::Sink(sink) = &mut self.task else { return Ok(()) };
        for checkpoint in snapshots.unsettled(self.context.vertex) {
            if sink.is_settled(checkpoint)?
                && let Some(part) = snapshots.part(checkpoint, self.context.vertex)
            {
                part.is_settled = true;
                if mutants::is_active(mutants::BUFFER_ALIASED) {
                    for (subtask, state) in &mut part.states {
                        *state = StateSnapshot::default();
                        sink.snapshot(checkpoint, *subtask, state)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// When every input has ended: emit or flush what is left, then end the output.
    fn finish(&mut self, now_us: TimeUs) -> Result<()> {
        if self.is_finished || !self.handler.has_ended() || !self.parked.is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.has_ended, true) {
            let mut out =
                GroupCollector { outputs: &mut self.outputs, timers: &mut self.timers, now_us };
            match &mut self.task {
                GatedTask::Operator(operator) => {
                    self.context.each_subtask().try_for_each(|s| operator.finish(s, &mut out))?;
                }
                GatedTask::Sink(sink) => {
                    sink.prepare_barrier(CheckpointId::NONE, true, now_us)?;
                }
            }
            self.outputs.mark(self.context.subtasks.clone(), MarkKind::EndOfInput);
        }
        self.is_finished = match &self.task {
            GatedTask::Operator(_) => true,
            GatedTask::Sink(sink) => sink.pending_records() == 0,
        };
        Ok(())
    }
}
