//! What the jobs tell of themselves, and who listens.

use std::sync::{Arc, PoisonError};

use stormproof_engine::ids::CheckpointId;
use stormproof_engine::runtime::{EventListener, JobEvent, TimedEvent};
use stormproof_engine::seam::TimeUs;

use super::World;
use crate::sim::conduct::Conduct;
use crate::sim::core::ProcessId;
use crate::sim::plan::Plan;

/// What was heard of all attempts.
#[derive(Debug)]
pub(super) struct Heard {
    /// Everything, if the run is watched.
    pub(super) told: Option<Vec<TimedEvent>>,
    pub(super) attempts: u32,
    pub(super) completed: u64,
    pub(super) restores: u64,
    /// The newest checkpoint that has completed, and when it was triggered.
    pub(super) newest: (CheckpointId, TimeUs),
    pub(super) conduct: Conduct,
}

impl Heard {
    pub(super) fn nothing(plan: &Plan) -> Self {
        let conduct = Conduct::new(plan);
        let newest = (CheckpointId::NONE, 0);
        Self { told: None, attempts: 0, completed: 0, restores: 0, newest, conduct }
    }
}

impl World<'_> {
    pub(super) fn listener(&self, id: ProcessId) -> EventListener {
        let (core, heard) = (Arc::clone(&self.core), Arc::clone(&self.heard));
        let (store, database) = (Arc::clone(&self.store), Arc::clone(&self.database));
        Arc::new(move |timed| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(told) = &mut heard.told {
                told.push(timed.clone());
            }
            let TimedEvent { event, .. } = timed;
            match &event {
                JobEvent::Metrics { .. } => return,
                JobEvent::AttemptStarted { restored, .. } => {
                    heard.attempts += 1;
                    heard.restores += u64::from(*restored != CheckpointId::NONE);
                }
                JobEvent::CheckpointCompleted { checkpoint, stats, .. } => {
                    heard.completed += 1;
                    let triggered_us = core.now().saturating_sub(stats.duration_us);
                    heard.newest = heard.newest.max((*checkpoint, triggered_us));
                }
                JobEvent::AttemptFailed { attempt, cause } => {
                    database.on_attempt_failed(*attempt, cause);
                }
                _ => {}
            }
            heard.conduct.hear(id, &event, core.now(), &store);
            core.trace(|| format!("{id}: {event:?}"));
        })
    }

    pub(super) fn attempts(&self) -> u32 {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).attempts
    }
}
