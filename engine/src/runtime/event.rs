//! What a running job tells the outside: one event for each thing that happened.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ids::{AttemptId, CheckpointId};
use crate::seam::TimeUs;

/// An event with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedEvent {
    /// When, on the job's clock.
    pub t_us: TimeUs,
    /// What.
    #[serde(flatten)]
    pub event: JobEvent,
}

/// Figures of a completed checkpoint. Durations in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointStats {
    /// From the trigger to the durable manifest.
    pub duration_us: u64,
    /// From the trigger to the first barrier at the last vertex, the largest of all workers.
    pub start_delay_us: u64,
    /// From the first to the last barrier, the largest of all workers.
    pub alignment_us: u64,
    /// The synchronous part of the snapshot, the largest of all workers.
    pub sync_us: u64,
    /// From the snapshot to the acknowledgement, the largest of all workers.
    pub async_us: u64,
    /// Bytes of all state files.
    pub state_bytes: u64,
    /// Bytes of channel state among them.
    pub in_flight_bytes: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// A stored checkpoint was passed over at restore.
    CheckpointSkipped {
        /// Which.
        checkpoint: CheckpointId,
        /// Why.
        reason: String,
    },
    /// An attempt begins.
    AttemptStarted {
        /// Which.
        attempt: AttemptId,
        /// The checkpoint it starts from; 0 = fresh.
        restored: CheckpointId,
    },
    /// Every subtask of the attempt is running.
    AttemptRunning {
        /// Which.
        attempt: AttemptId,
        /// From the start of the attempt until now.
        restore_us: u64,
    },
    /// The attempt is over, because something failed.
    AttemptFailed {
        /// Which.
        attempt: AttemptId,
        /// Why.
        cause: String,
    },
    /// The number of the next attempt could not be written down: it is tried again, as the restart
    /// strategy says.
    ClaimFailed {
        /// Why.
        cause: String,
    },
    /// A checkpoint was triggered.
    CheckpointTriggered {
        /// Which.
        checkpoint: CheckpointId,
        /// In which attempt.
        attempt: AttemptId,
    },
    /// A checkpoint is durable.
    CheckpointCompleted {
        /// Which.
        checkpoint: CheckpointId,
        /// In which attempt.
        attempt: AttemptId,
        /// Its figures.
        stats: CheckpointStats,
    },
    /// A checkpoint will never complete.
    CheckpointAborted {
        /// Which.
        checkpoint: CheckpointId,
        /// In which attempt.
        attempt: AttemptId,
        /// Why.
        reason: String,
    },
    /// The job ended because its input did or because it was told to.
    Finished {
        /// The last attempt.
        attempt: AttemptId,
        /// Whether everything read was written and confirmed.
        drained: bool,
    },
    /// The figures of all workers added up, by name; of times the longest.
    Metrics {
        /// The attempt they belong to.
        attempt: AttemptId,
        /// Name and value; counters start over with each attempt.
        figures: Vec<(Cow<'static, str>, u64)>,
    },
}
