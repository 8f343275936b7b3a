//! What the worker tells a gated group, and asks it: triggers, notifications, figures.

use super::{GatedGroup, GatedTask};
use crate::api::SinkWaits;
use crate::checkpoint::Decision;
use crate::error::Result;
use crate::exchange::{Barrier, ChannelSet, Outputs};
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::mutants;
use crate::seam::{Step, TimeUs};
use crate::worker::Flow;

impl GatedGroup {
    /// Bytes that wait here: between emission and processing, and held back by alignment.
    pub(in crate::worker) fn waiting_bytes(&self) -> (u64, u64) {
        (self.inbox.queued_bytes() + self.parked.bytes(), self.inbox.held_bytes())
    }

    /// What each upstream subtask may have under way to here at least, bytes.
    pub(in crate::worker) fn credit_bytes(&self) -> u64 {
        self.inbox.credits().0
    }

    /// The flow into this gate.
    pub(in crate::worker) fn flow(&self) -> Flow {
        Flow {
            vertex: self.context.vertex,
            sources: self.inbox.channels() as u64,
            credit_bytes: self.inbox.credits(),
            waiting_bytes: self.inbox.queued_bytes() + self.parked.bytes(),
            taken_bytes: self.inbox.taken_bytes(),
        }
    }

    /// The oldest checkpoint that is aligned here and may time out, and since when.
    pub(in crate::worker) fn aligning(&self) -> Option<(CheckpointId, TimeUs)> {
        self.handler.longest_wait()
    }

    /// The channels that are held, and those that must be, where these are not the same. Not to be
    /// told while a decision waits to be carried out.
    pub(in crate::worker) fn misheld(&self) -> Option<(&ChannelSet, ChannelSet)> {
        let held = self.inbox.held();
        let is_quiet = held.is_empty() && !self.handler.is_aligning();
        if is_quiet || !self.decisions.is_empty() {
            return None;
        }
        let aligned = self.handler.aligned();
        (*held != aligned).then_some((held, aligned))
    }

    /// A checkpoint that in-flight records are logged for although it is not under way. Not to be
    /// told while a decision waits to be carried out.
    pub(in crate::worker) fn stray_log(&self) -> Option<CheckpointId> {
        let mut logged = self.inbox.captures();
        logged.find(|c| self.decisions.is_empty() && !self.handler.is_logging(*c))
    }

    /// Whether there is something that this group waits for before it takes part in a checkpoint that
    /// it was told of. Behind ended inputs no barrier comes.
    pub(in crate::worker) fn awaits(&self, checkpoint: CheckpointId) -> bool {
        let is_open = !self.handler.is_over(checkpoint) && !self.handler.has_ended();
        !self.decisions.is_empty() || self.handler.is_pending(checkpoint) || is_open
    }

    pub(in crate::worker) fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Records taken by a sink and not confirmed.
    pub(in crate::worker) fn pending_records(&self) -> u64 {
        match &self.task {
            GatedTask::Operator(_) => 0,
            GatedTask::Sink(sink) => sink.pending_records(),
        }
    }

    /// What its sink waits for.
    pub(in crate::worker) fn sink_waits(&self) -> SinkWaits {
        match &self.task {
            GatedTask::Operator(_) => SinkWaits::default(),
            GatedTask::Sink(sink) => sink.waits(),
        }
    }

    /// A subtask of an operator that could take what is parked for it. A sink may have found its room
    /// only at the end of the step.
    pub(in crate::worker) fn needless_wait(&self, now_us: TimeUs) -> Option<SubtaskIndex> {
        let GatedTask::Operator(_) = &self.task else { return None };
        let waiting = self.parked.subtasks().filter(|local| !self.stalls.holds(*local, now_us));
        let mut subtasks = waiting.map(|local| self.context.subtask(local));
        subtasks.find(|subtask| self.outputs.would_have_credit(*subtask))
    }

    pub(in crate::worker) fn on_trigger(&mut self, barrier: Barrier) {
        self.decisions.extend(self.handler.on_announced(barrier));
    }

    pub(in crate::worker) fn hit_all(
        &mut self,
        step: Step,
        checkpoint: CheckpointId,
    ) -> Result<()> {
        self.stalls.hit_all(&self.context, step, checkpoint)
    }

    pub(in crate::worker) fn on_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.hit_all(Step::Notified, checkpoint)?;
        match &mut self.task {
            GatedTask::Operator(operator) => {
                operator.notify_checkpoint_complete(checkpoint);
                Ok(())
            }
            GatedTask::Sink(sink) => sink.commit(checkpoint),
        }
    }

    #[cfg(feature = "mutants")]
    pub(in crate::worker) fn forget(&mut self) {
        if let GatedTask::Sink(sink) = &mut self.task {
            sink.forget();
        }
    }

    pub(in crate::worker) fn on_aborted(&mut self, checkpoint: CheckpointId) {
        self.decisions.retain(|decision| match decision {
            Decision::Begun(barrier) | Decision::Snapshot { barrier, .. } => {
                barrier.checkpoint != checkpoint
            }
            Decision::Complete(id) | Decision::Decline(id, _) => *id != checkpoint,
            Decision::Hold(_) | Decision::Release => {
                !mutants::is_active(mutants::ABORT_FORGETS_HOLDS)
            }
        });
        self.inbox.abandon_capture(checkpoint);
        self.decisions.extend(self.handler.on_aborted(checkpoint));
        match &mut self.task {
            GatedTask::Operator(operator) => operator.notify_checkpoint_aborted(checkpoint),
            GatedTask::Sink(sink) => sink.abort(checkpoint),
        }
    }
}
