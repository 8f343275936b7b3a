//! What is looked at after each step of a coordinator: how old its checkpoints are, and how many
//! are kept.

use std::sync::PoisonError;

use stormproof_engine::ids::AttemptId;

use super::World;
use crate::sim::conduct::Conduct;
use crate::sim::core::ProcessId;
use crate::sim::weather::Disturbance;

/// What keeps a job from knowing what the storage holds.
pub(super) const STORE_IN_DOUBT: [Disturbance; 5] = [
    Disturbance::StoreWriteFails,
    Disturbance::StoreWriteInDoubt,
    Disturbance::ManifestInDoubt,
    Disturbance::StoreReadFails,
    Disturbance::StoreFileUnreadable,
];

impl World<'_> {
    /// `running` is the attempt that ran before the step, `completed` how many checkpoints were
    /// complete.
    pub(super) fn look_at_checkpoints(
        &mut self,
        id: ProcessId,
        running: Option<AttemptId>,
        completed: u64,
    ) {
        let Some(process) = self.processes.get(&id) else { return };
        let Some(attempt) = running.filter(|_| process.machine.running() == running) else {
            return;
        };
        let began_us = self.core.step_began_us();
        let may_drain = process.is_told_to_drain || self.plan.topology.is_bounded;
        let is_known = self.weather.last_strike_us(&STORE_IN_DOUBT).is_none();
        let is_alone = process.began_alone && self.processes.len() == 1;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let now_completed = heard.completed;
        heard.conduct.look_at_ages(attempt, began_us, &self.store);
        if !may_drain {
            heard.conduct.look_at_due(attempt, began_us);
            heard.conduct.look_at_haste(attempt);
        }
        if now_completed > completed && is_known && is_alone {
            heard.conduct.look_at_left(id, attempt, &self.store);
        }
        if now_completed > completed && is_known && self.started == 1 {
            heard.conduct.look_at_kept(id, &self.store, now_completed as usize);
            heard.conduct.look_at_strays(&self.store);
        }
    }

    /// How many checkpoints have completed.
    pub(super) fn completed(&self) -> u64 {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).completed
    }

    /// Tells the judge of the jobs' conduct something.
    pub(super) fn tell_conduct(&self, tell: impl FnOnce(&mut Conduct)) {
        tell(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner).conduct);
    }
}
