//! A lane: the physical way of one edge from one worker to another.
//!
//! Invariants: first in, first out, hence in order for each upstream subtask; a buffer is immutable
//! once pushed; marks (barriers, ends) lie at byte positions between frames. What an upstream
//! subtask has under way on a lane is charged to it and refunded when the record is *processed*,
//! so everything held by alignment is bounded by credit, and the receiver can always empty the
//! lane: a held channel never blocks the others behind it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::ids::{CheckpointId, SubtaskIndex};
use crate::seam::TimeUs;

/// Wakes the worker at the other end.
pub trait Wake: Send + Sync {
    /// There may be something to do.
    fn wake(&self);
}

/// A checkpoint barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Whether everything must leave the job with this checkpoint: the last one before a stop.
    pub drain: bool,
    /// When the coordinator triggered it.
    pub triggered_us: TimeUs,
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Everything before belongs to the checkpoint, everything after does not.
    Barrier(Barrier),
    /// Nothing comes after.
    EndOfInput,
}

/// A mark of one upstream subtask: it counts for all of its channels into the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Byte position in the buffer: before the frame that starts there.
    pub at: u32,
    /// The upstream subtask.
    pub source: SubtaskIndex,
    /// What it says.
    pub kind: MarkKind,
}

/// A run of frames with the marks among them.
#[derive(Clone, Debug, Default)]
pub struct LaneBuffer {
    /// The frames, back to back.
    pub bytes: Bytes,
    /// The marks, by position.
    pub marks: Vec<Mark>,
}

/// One lane.
pub struct Lane {
    queue: Mutex<VecDeque<LaneBuffer>>,
    /// Bytes under way, by upstream subtask of the sending worker.
    charged: Vec<AtomicU64>,
    first_source: u16,
    /// What each upstream subtask may have under way: set by the receiver, see [`super::Debloat`].
    credit_bytes: AtomicU64,
    wake: Arc<dyn Wake>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("credit_bytes", &self.credit_bytes).finish_non_exhaustive()
    }
}

impl Lane {
    /// A lane for the upstream subtasks `sources`, each with `credit_bytes`; `wake` is called when
    /// something arrives.
    pub fn new(sources: std::ops::Range<u16>, credit_bytes: u64, wake: Arc<dyn Wake>) -> Self {
        let charged = sources.clone().map(|_| AtomicU64::new(0)).collect();
        let queue = Mutex::new(VecDeque::new());
        let credit_bytes = AtomicU64::new(credit_bytes);
        Self { queue, charged, first_source: sources.start, credit_bytes, wake }
    }

    #[inline]
    fn charge_of(&self, source: SubtaskIndex) -> &AtomicU64 {
        &self.charged[(source.0 - self.first_source) as usize]
    }

    /// Whether `source` may send one more record of any size.
    #[inline]
    pub fn has_credit(&self, source: SubtaskIndex) -> bool {
        self.charge_of(source).load(Ordering::Relaxed) < self.credit_bytes.load(Ordering::Relaxed)
    }

    /// Sets what each upstream subtask may have under way; at least one byte, so that one record
    /// of any size can always go.
    pub fn set_credit(&self, credit_bytes: u64) {
        self.credit_bytes.store(credit_bytes.max(1), Ordering::Relaxed);
    }

    /// Charges a record to its upstream subtask.
    #[inline]
    pub fn charge(&self, source: SubtaskIndex, bytes: u64) {
        self.charge_of(source).fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives credit back after processing.
    #[inline]
    pub fn refund(&self, source: SubtaskIndex, bytes: u64) {
        let before = self.charge_of(source).fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "refund of {bytes} bytes, {before} were charged");
    }

    /// Sends a buffer.
    pub fn push(&self, buffer: LaneBuffer) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(buffer);
        self.wake.wake();
    }

    /// Takes everything that has arrived, in order, into `into`.
    pub fn drain_into(&self, into: &mut Vec<LaneBuffer>) {
        into.extend(self.queue.lock().unwrap_or_else(PoisonError::into_inner).drain(..));
    }
}
