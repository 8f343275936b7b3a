//! Stalls: subtasks that make no progress for a while, as in a garbage collection pause.

use crate::api::GroupContext;
use crate::error::Result;
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::seam::{Step, StepAction, TimeUs};

/// Until when each subtask of a group stands still.
#[derive(Debug)]
pub(super) struct Stalls {
    until_us: Vec<TimeUs>,
    /// The end of the last stall: after it nobody needs to be asked.
    latest_us: TimeUs,
}

impl Stalls {
    pub(super) fn new(subtasks: usize) -> Self {
        Self { until_us: vec![0; subtasks], latest_us: 0 }
    }

    /// Whether this subtask stands still.
    #[inline]
    pub(super) fn holds(&self, local: usize, now_us: TimeUs) -> bool {
        now_us < self.latest_us && now_us < self.until_us[local]
    }

    /// Whether any subtask stands still.
    pub(super) fn holds_any(&self, now_us: TimeUs) -> bool {
        now_us < self.latest_us
    }

    /// When the last stall ends, if one is on.
    pub(super) fn end_us(&self, now_us: TimeUs) -> Option<TimeUs> {
        self.holds_any(now_us).then_some(self.latest_us)
    }

    /// Reports that `subtask` has reached `step`, and lets it stall if the hook says so.
    pub(super) fn hit(
        &mut self,
        context: &GroupContext,
        step: Step,
        subtask: SubtaskIndex,
        checkpoint: CheckpointId,
    ) -> Result<()> {
        if !context.probe.is_armed() {
            return Ok(());
        }
        let action = context.probe.hit(step, &context.at(subtask, checkpoint))?;
        if let StepAction::Stall { duration_us } = action {
            let until = context.clock.now_us() + duration_us;
            self.until_us[context.local(subtask)] = until;
            self.latest_us = self.latest_us.max(until);
        }
        Ok(())
    }

    /// The same for every subtask of the group.
    pub(super) fn hit_all(
        &mut self,
        context: &GroupContext,
        step: Step,
        checkpoint: CheckpointId,
    ) -> Result<()> {
        if !context.probe.is_armed() {
            return Ok(());
        }
        context.each_subtask().try_for_each(|s| self.hit(context, step, s, checkpoint))
    }
}
