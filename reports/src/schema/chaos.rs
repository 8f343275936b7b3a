//! Checkpoints, faults, failures and recoveries of a run, as data.
//!
//! Invariants: every `_s` is seconds since the run's start; ids are the ones that logs, manifests
//! and scenarios use. An absent time means that the event did not happen.

use serde::{Deserialize, Serialize};

use super::number;

/// How a failed attempt ended, and the duplicates that its end accounts for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// The attempt that failed.
    pub attempt: u32,
    /// The checkpoint that its successor restored; `None` if the successor started fresh.
    #[serde(default)]
    pub restored_checkpoint: Option<u64>,
    /// What ended it.
    pub cause: String,
    /// Duplicates that exist because of this failure.
    pub duplicates: u64,
    /// The most that theory allows for this failure.
    pub bound: u64,
}

/// What became of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckpointStatus {
    /// Its manifest became durable.
    Completed,
    /// It was triggered and did not complete.
    #[default]
    Aborted,
}

/// One checkpoint, from trigger to commit point.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CheckpointSummary {
    /// Checkpoint id.
    pub id: u64,
    /// The attempt that took it.
    pub attempt: u32,
    /// What became of it.
    pub status: CheckpointStatus,
    /// When the coordinator triggered it.
    #[serde(deserialize_with = "number::or_nan")]
    pub triggered_s: f64,
    /// When it completed; for an aborted one, when it was given up, if that is known.
    #[serde(default)]
    pub completed_s: Option<f64>,
    /// From the trigger to the first barrier at the last vertex, the longest of all workers.
    #[serde(default)]
    pub start_delay_ms: Option<f64>,
    /// Longest alignment of a subtask.
    #[serde(deserialize_with = "number::or_nan")]
    pub alignment_ms: f64,
    /// Longest synchronous part of a subtask's snapshot.
    #[serde(deserialize_with = "number::or_nan")]
    pub sync_ms: f64,
    /// Longest asynchronous part of a subtask's snapshot.
    #[serde(deserialize_with = "number::or_nan")]
    pub async_ms: f64,
    /// State written, channel state included.
    pub state_bytes: u64,
    /// Channel state: data that was in flight and had to be logged.
    pub in_flight_bytes: u64,
    /// Why it was given up, if it was and that is known.
    #[serde(default)]
    pub aborted_because: Option<String>,
}

/// One fault of the schedule and what it did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FaultSummary {
    /// The fault's id in the schedule.
    pub id: String,
    /// The fault in a few words, for example `kill sink 88 before its ack`.
    pub what: String,
    /// What it strikes, for example `sink[88]` or `database`.
    pub target: String,
    /// The named step that it waits for, if it waits for one.
    #[serde(default)]
    pub step: Option<String>,
    /// What it does, for example `panic`.
    pub action: String,
    /// The checkpoint in progress when it struck.
    #[serde(default)]
    pub checkpoint: Option<u64>,
    /// The attempt that it struck.
    #[serde(default)]
    pub attempt: Option<u32>,
    /// When it struck.
    #[serde(default)]
    pub fired_s: Option<f64>,
    /// When its healing was complete.
    #[serde(default)]
    pub healed_s: Option<f64>,
    /// When a checkpoint completed that was triggered after the healing: the job is over it.
    #[serde(default)]
    pub recovered_s: Option<f64>,
    /// Whether its effect was observed.
    pub landed: bool,
    /// Whether it struck while a checkpoint was in progress.
    pub mid_checkpoint: bool,
    /// The effect that was observed, or why there was none.
    pub effect: String,
}

/// One cell of the kill matrix: a step and an action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CoverageCell {
    /// The named step.
    pub step: String,
    /// What was done at it.
    pub action: String,
    /// How many such faults were scheduled.
    pub scheduled: u64,
    /// How many of them landed.
    pub landed: u64,
}

/// One recovery, broken down into consecutive parts: their sum is the whole recovery.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// The attempt that recovered, which is the one after the failure.
    pub attempt: u32,
    /// The id of the fault that caused it, if it is known.
    #[serde(default)]
    pub fault: Option<String>,
    /// When the recovery begins: when the fault struck, or else when the failure was noticed.
    #[serde(default)]
    pub struck_s: Option<f64>,
    /// From the fault to its detection.
    #[serde(default)]
    pub detect_ms: Option<f64>,
    /// From detection to the new attempt's start.
    #[serde(default)]
    pub restart_ms: Option<f64>,
    /// From the new attempt's start to the end of its restore.
    #[serde(default)]
    pub restore_ms: Option<f64>,
    /// From the end of the restore to the first new effect.
    #[serde(default)]
    pub first_output_ms: Option<f64>,
    /// From the first new effect until the lag is back where it was before the fault.
    #[serde(default)]
    pub drained_ms: Option<f64>,
}

impl Recovery {
    /// The parts in order, with their names.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, Option<f64>); 5] {
        [
            ("detect", self.detect_ms),
            ("restart", self.restart_ms),
            ("restore", self.restore_ms),
            ("first output", self.first_output_ms),
            ("drained", self.drained_ms),
        ]
    }

    /// From the fault to the first new effect, if every part of it was measured.
    #[must_use]
    pub fn outage_ms(&self) -> Option<f64> {
        Some(self.detect_ms? + self.restart_ms? + self.restore_ms? + self.first_output_ms?)
    }
}
