//! Named steps of a checkpoint and of a recovery: where faults land.
//!
//! The engine calls [`Probe::hit`] at each step of each subtask. Without an armed fault that is
//! one relaxed load. With one, the hook decides; in real runs it evaluates a failpoint of the
//! `fail` crate with the step's name, so that panics, delays and errors come from there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId};

macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A named step, in the order in which a checkpoint, then a recovery, passes them.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Step {
            $($(#[$doc])* $variant,)*
        }

        impl Step {
            /// Every step, in order.
            pub const ALL: &'static [Step] = &[$(Step::$variant,)*];

            /// The step's name: the failpoint's name, and what scenarios say.
            pub fn name(self) -> &'static str {
                match self { $(Step::$variant => $name,)* }
            }
        }
    };
}

steps! {
    /// A source subtask has sent its barrier.
    BarrierInjected = "barrier_injected",
    /// The first barrier of a checkpoint has reached this subtask.
    BarrierReceived = "barrier_received",
    /// At least one channel is held, at least one barrier is missing.
    Aligning = "aligning",
    /// Every barrier is in.
    Aligned = "aligned",
    /// The synchronous part of the snapshot.
    SnapshotSync = "snapshot_sync",
    /// The asynchronous part begins: the snapshot is taken, nothing is uploaded.
    SnapshotAsync = "snapshot_async",
    /// The worker's state file is about to be written.
    Upload = "upload",
    /// The state file is durable and the acknowledgement is on its way.
    Acked = "acked",
    /// The coordinator has every acknowledgement; metadata is not written.
    AllAcked = "all_acked",
    /// The manifest is durable: the commit point has passed, nobody is notified.
    MetadataDurable = "metadata_durable",
    /// A subtask is being notified of the completion.
    Notified = "notified",
    /// The source's offsets are committed in the consumer group.
    OffsetCommitted = "offset_committed",
    /// A sink subtask starts a flush: the batch is formed, nothing is sent.
    SinkFlushBegun = "sink_flush_begun",
    /// The batch is on its way to the database.
    SinkFlushSent = "sink_flush_sent",
    /// The database has confirmed the batch.
    SinkFlushConfirmed = "sink_flush_confirmed",
    /// A transactional sink prepares its transaction.
    TransactionPreCommit = "transaction_pre_commit",
    /// The commit of a transaction is on its way.
    TransactionCommitSent = "transaction_commit_sent",
    /// The commit of a transaction is confirmed.
    TransactionCommitConfirmed = "transaction_commit_confirmed",
    /// An attempt starts to look for a checkpoint.
    RestoreBegun = "restore_begun",
    /// The state of the chosen checkpoint is in memory.
    StateRead = "state_read",
    /// Every operator has its state back; records may flow.
    RestoreDone = "restore_done",
}

impl Step {
    /// Whether the step lies between the injection of a checkpoint's barrier and the notification
    /// of its completion.
    pub fn is_mid_checkpoint(self) -> bool {
        self <= Step::Notified
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where and when a step was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepContext {
    /// The execution attempt.
    pub attempt: AttemptId,
    /// The vertex; the coordinator's own steps carry the first vertex.
    pub vertex: VertexId,
    /// The subtask.
    pub subtask: SubtaskIndex,
    /// The checkpoint the step belongs to; the last snapshotted one for sink flushes.
    pub checkpoint: CheckpointId,
}

/// What a hook wants to happen at a step, beyond what it did itself (panic, sleep, kill).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum StepAction {
    /// Nothing.
    #[default]
    Proceed,
    /// The step fails with this message, as if the service behind it had failed.
    Fail(String),
    /// This one subtask makes no progress for so long, as in a garbage collection pause.
    Stall {
        /// How long, in microseconds.
        duration_us: u64,
    },
}

/// Decides what happens at a step. May panic: that is how a subtask is killed.
pub trait StepHook: Send + Sync {
    /// Called at a step while the hook is armed.
    fn hit(&self, step: Step, at: &StepContext) -> StepAction;
}

/// The engine's handle on its hook: cloned into every place that has steps.
#[derive(Clone, Default)]
pub struct Probe {
    inner: Option<Arc<ProbeInner>>,
}

struct ProbeInner {
    armed: AtomicBool,
    hook: Box<dyn StepHook>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("armed", &self.is_armed()).finish()
    }
}

impl Probe {
    /// A probe that asks `hook` while armed. It starts disarmed.
    pub fn new(hook: impl StepHook + 'static) -> Self {
        let inner = ProbeInner { armed: AtomicBool::new(false), hook: Box::new(hook) };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Arms or disarms the hook.
    pub fn set_armed(&self, armed: bool) {
        if let Some(inner) = &self.inner {
            inner.armed.store(armed, Ordering::Release);
        }
    }

    /// Whether a step would ask the hook.
    #[inline]
    pub fn is_armed(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.armed.load(Ordering::Relaxed))
    }

    /// Reports that `step` was reached.
    ///
    /// # Errors
    /// The failure that the hook injects.
    ///
    /// # Panics
    /// When the hook kills the subtask.
    #[inline]
    pub fn hit(&self, step: Step, at: &StepContext) -> Result<StepAction> {
        if cfg!(not(feature = "failpoints")) {
            return Ok(StepAction::Proceed);
        }
        match &self.inner {
            Some(inner) if inner.armed.load(Ordering::Acquire) => match inner.hook.hit(step, at) {
                StepAction::Fail(what) => Err(EngineError::service("injected fault", what)),
                action => Ok(action),
            },
            _ => Ok(StepAction::Proceed),
        }
    }
}
