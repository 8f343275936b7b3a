//! The history of a run: attempts and checkpoints, as the job's events and the ends of its
//! processes tell them.
//!
//! Invariant: it records; nothing in it is a verdict. Times are `CLOCK_MONOTONIC` microseconds.

use std::collections::BTreeMap;

use stormproof_engine::runtime::{CheckpointStats, JobEvent};
use stormproof_reports::schema::EngineLag;

/// An execution attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// Its number.
    pub(super) id: u32,
    /// When it began.
    pub(super) started_us: u64,
    /// When every subtask was running.
    pub(super) running_us: Option<u64>,
    /// When and why it failed.
    pub(super) failed: Option<(u64, String)>,
    /// Records that its sources have emitted.
    pub(super) emitted: u64,
}

/// A checkpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Checkpoint {
    /// The attempt that took it.
    pub(super) attempt: u32,
    /// When it was triggered.
    pub(super) triggered_us: u64,
    /// When it was over.
    pub(super) ended_us: Option<u64>,
    /// Whether its manifest became durable.
    pub(super) is_completed: bool,
    /// Why it was given up.
    pub(super) aborted_because: Option<String>,
    /// Its figures, if its completion was told.
    pub(super) stats: Option<CheckpointStats>,
}

/// The history.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Every attempt, in order.
    pub(super) attempts: Vec<Attempt>,
    /// Every checkpoint that was triggered.
    pub(super) checkpoints: BTreeMap<u64, Checkpoint>,
    /// What was met before an attempt began: checkpoints passed over, claims that failed.
    pub(super) remarks: Vec<String>,
    /// How the job ended: whether it was drained.
    pub(super) finished: Option<bool>,
    pub(super) completed_in_attempt: u64,
    pub(super) completed_us: u64,
    pub(super) lag: Option<EngineLag>,
}

impl History {
    /// Something happened in the job.
    pub(super) fn on_event(&mut self, event: &JobEvent, t_us: u64) {
        match event {
            JobEvent::CheckpointSkipped { checkpoint, reason } => {
                self.remarks.push(format!("checkpoint {checkpoint} was passed over: {reason}"));
            }
            JobEvent::AttemptStarted { attempt, restored } => {
                self.completed_in_attempt = 0;
                self.note_restored(restored.0);
                self.attempts.push(Attempt {
                    id: attempt.0,
                    started_us: t_us,
                    ..Attempt::default()
                });
            }
            JobEvent::AttemptRunning { attempt, .. } => {
                if let Some(attempt) = self.attempt(attempt.0) {
                    attempt.running_us = Some(t_us);
                }
            }
            JobEvent::AttemptFailed { attempt, cause } => {
                if let Some(attempt) = self.attempt(attempt.0) {
                    attempt.failed = Some((t_us, cause.clone()));
                }
            }
            JobEvent::ClaimFailed { cause } => {
                self.remarks.push(format!("no attempt could be claimed at {t_us} us: {cause}"));
            }
            JobEvent::CheckpointTriggered { checkpoint, attempt } => {
                let entry = self.checkpoints.entry(checkpoint.0).or_default();
                entry.attempt = attempt.0;
                entry.triggered_us = t_us;
            }
            JobEvent::CheckpointCompleted { checkpoint, attempt, stats } => {
                let entry = self.checkpoints.entry(checkpoint.0).or_default();
                entry.attempt = attempt.0;
                entry.ended_us = Some(t_us);
                entry.stats = Some(stats.clone());
                entry.is_completed = true;
                self.completed_in_attempt += 1;
                self.completed_us = t_us;
            }
            JobEvent::CheckpointAborted { checkpoint, attempt, reason } => {
                let entry = self.checkpoints.entry(checkpoint.0).or_default();
                entry.aborted_because = Some(reason.clone());
                entry.attempt = attempt.0;
                entry.ended_us = Some(t_us);
            }
            JobEvent::Finished { drained, .. } => self.finished = Some(*drained),
            JobEvent::Metrics { attempt, figures } => {
                let of = |wanted: &str| {
                    let found = figures.iter().find(|(name, _)| name == wanted);
                    found.map(|(_, value)| *value)
                };
                let ms = |us: u64| us as f64 / 1e3;
                self.lag = Some(EngineLag {
                    fetch_ms: ms(of("fetch_event_time_lag_us").unwrap_or(0)),
                    emit_ms: ms(of("emit_event_time_lag_us").unwrap_or(0)),
                    pending_records: of("pending_records").unwrap_or(0),
                    committed_lag_records: of("committed_lag_records").unwrap_or(0),
                });
                let emitted = of("source_records");
                if let (Some(value), Some(attempt)) = (emitted, self.attempt(attempt.0)) {
                    attempt.emitted = value;
                }
            }
        }
    }

    /// What is restored was complete, even if a kill swallowed the news of it.
    fn note_restored(&mut self, checkpoint: u64) {
        if let Some(entry) = self.checkpoints.get_mut(&checkpoint) {
            entry.is_completed = true;
        }
    }

    /// The process ended under its attempt.
    pub(super) fn on_exit(&mut self, t_us: u64, cause: &str) {
        if let Some(last) = self.attempts.last_mut()
            && last.failed.is_none()
            && self.finished.is_none()
        {
            last.failed = Some((t_us, cause.to_owned()));
        }
    }

    fn attempt(&mut self, id: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().rev().find(|attempt| attempt.id == id)
    }

    /// Whether every subtask of the last attempt is running.
    pub(super) fn is_running(&self) -> bool {
        self.finished.is_none()
            && self
                .attempts
                .last()
                .is_some_and(|last| last.running_us.is_some() && last.failed.is_none())
    }

    /// Whether `checkpoint` was triggered: its barriers may be on their way.
    pub(super) fn was_triggered(&self, checkpoint: u64) -> bool {
        self.checkpoints.contains_key(&checkpoint)
    }

    /// Completed checkpoints.
    pub(super) fn completed(&self) -> u64 {
        self.checkpoints.values().filter(|entry| entry.is_completed).count() as u64
    }

    /// Checkpoints that the last attempt has completed.
    pub(super) fn completed_in_attempt(&self) -> u64 {
        self.completed_in_attempt
    }

    /// When a checkpoint was completed last; 0 = never.
    pub(super) fn completed_us(&self) -> u64 {
        self.completed_us
    }

    /// Lags as the engine told them last.
    pub(super) fn engine_lag(&self) -> Option<EngineLag> {
        self.lag
    }

    /// Records that sources have emitted, over all attempts.
    pub(super) fn emitted(&self) -> u64 {
        self.attempts.iter().map(|attempt| attempt.emitted).sum()
    }
}
