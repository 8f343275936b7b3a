//! A lane: the physical way of one edge from one worker to another.
//!
//! Invariants: first in, first out, hence in order for each upstream subtask; a buffer is immutable
//! once pushed; marks (barriers, ends) lie at byte positions between frames. What an upstream
//! subtask has under way on a lane is what it has sent ([`super::Outputs`] counts that) less what
//! was *processed*, which only the receiver writes: no counter has two writers. So everything held
//! by alignment is bounded by credit, and the receiver can always empty the lane: a held channel
//! never blocks the others behind it. Buffers that nobody refers to any more go back to the
//! sender: a lane in balance allocates nothing.
//!
//! A record that is larger than a buffer has one of its own. Two thousand subtasks with one of them
//! each would be without bound what their credit bounds, so all large records of a lane share
//! another credit. That cannot block a barrier: the subtasks of a group put theirs on a lane behind
//! the same records, and need no credit for it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

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

/// Spare buffers that a lane keeps; beyond that they are freed.
const SPARE_BUFFERS: usize = 64;

/// One lane.
pub struct Lane {
    queue: Mutex<Vec<LaneBuffer>>,
    /// Whether there may be something in the queue: most looks at a lane find nothing.
    has_arrived: AtomicBool,
    /// Size of an ordinary buffer: larger and smaller ones are not worth keeping.
    buffer_bytes: usize,
    spare: Mutex<Vec<BytesMut>>,
    /// Bytes processed since the beginning, by upstream subtask of the sending worker.
    processed: Vec<AtomicU64>,
    sources: Range<u16>,
    /// What each upstream subtask may have under way: set by the receiver, see [`super::Debloat`].
    credit_bytes: AtomicU64,
    /// By upstream subtask: bytes processed at which the sender wants to be woken.
    awaited: Vec<AtomicU64>,
    large: Large,
    wake: Arc<dyn Wake>,
    wake_sender: Arc<dyn Wake>,
}

/// The credit that records larger than a buffer share.
struct Large {
    credit_bytes: u64,
    /// Bytes of them processed since the beginning.
    processed: AtomicU64,
    /// Whether the sender wants to be woken when one of them is processed.
    is_awaited: AtomicBool,
}

/// Bytes of large records that may be under way on a lane, unless it is told otherwise.
const LARGE_CREDIT_BYTES: u64 = 32 << 20;

/// Nobody waits for credit.
const NOT_AWAITED: u64 = u64::MAX;

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("credit_bytes", &self.credit_bytes).finish_non_exhaustive()
    }
}

impl Lane {
    /// A lane of buffers of `buffer_bytes` for the upstream subtasks `sources`, each with
    /// `credit_bytes`; `wake` is called when something arrives, `wake_sender` when credit comes back
    /// to a subtask that waits for it.
    pub fn new(
        sources: Range<u16>,
        buffer_bytes: usize,
        credit_bytes: u64,
        wake: Arc<dyn Wake>,
        wake_sender: Arc<dyn Wake>,
    ) -> Self {
        let processed = sources.clone().map(|_| AtomicU64::new(0)).collect();
        let awaited = sources.clone().map(|_| AtomicU64::new(NOT_AWAITED)).collect();
        let queue = Mutex::new(Vec::new());
        let spare = Mutex::new(Vec::with_capacity(SPARE_BUFFERS));
        let credit_bytes = AtomicU64::new(credit_bytes);
        let large = Large {
            credit_bytes: LARGE_CREDIT_BYTES,
            processed: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
        };
        Self {
            queue,
            has_arrived: AtomicBool::new(false),
            buffer_bytes,
            spare,
            processed,
            sources,
            credit_bytes,
            awaited,
            large,
            wake,
            wake_sender,
        }
    }

    /// The same with so much credit for large records together, in bytes.
    #[must_use]
    pub fn with_large_credit(mut self, credit_bytes: u64) -> Self {
        self.large.credit_bytes = credit_bytes.max(1);
        self
    }

    /// The upstream subtasks: those of the sending worker.
    pub fn sources(&self) -> Range<u16> {
        self.sources.clone()
    }

    #[inline]
    fn processed_of(&self, source: SubtaskIndex) -> &AtomicU64 {
        &self.processed[(source.0 - self.sources.start) as usize]
    }

    /// Bytes of `source` that were processed since the beginning.
    #[inline]
    pub fn processed_bytes(&self, source: SubtaskIndex) -> u64 {
        self.processed_of(source).load(Ordering::Relaxed)
    }

    /// What each upstream subtask may have under way, in bytes.
    #[inline]
    pub fn credit_bytes(&self) -> u64 {
        self.credit_bytes.load(Ordering::Relaxed)
    }

    /// Sets what each upstream subtask may have under way; at least one byte, so that one record
    /// of any size can always go.
    pub fn set_credit(&self, credit_bytes: u64) {
        self.credit_bytes.store(credit_bytes.max(1), Ordering::Relaxed);
    }

    /// Gives credit back after processing. Called by the receiver alone.
    #[inline]
    pub fn refund(&self, source: SubtaskIndex, bytes: u64) {
        let local = (source.0 - self.sources.start) as usize;
        let processed = self.processed[local].load(Ordering::Relaxed) + bytes;
        self.processed[local].store(processed, Ordering::Relaxed);
        let awaited = &self.awaited[local];
        if processed >= awaited.load(Ordering::Relaxed) {
            awaited.store(NOT_AWAITED, Ordering::Relaxed);
            self.wake_sender.wake();
        }
    }

    /// Asks to be woken once so many bytes of `source` are processed. Called by the sender alone. A
    /// refund at the same moment may be missed: whoever waits looks again before long.
    pub fn await_credit(&self, source: SubtaskIndex, processed_bytes: u64) {
        let local = (source.0 - self.sources.start) as usize;
        self.awaited[local].store(processed_bytes, Ordering::Relaxed);
    }

    /// Size of an ordinary buffer.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Whether a frame of so many bytes is larger than a buffer: then it has one of its own.
    #[inline]
    pub fn is_large(&self, frame_bytes: usize) -> bool {
        frame_bytes > self.buffer_bytes
    }

    /// Bytes of large records that may be under way.
    pub fn large_credit_bytes(&self) -> u64 {
        self.large.credit_bytes
    }

    /// Bytes of large records that were processed since the beginning.
    pub fn large_processed_bytes(&self) -> u64 {
        self.large.processed.load(Ordering::Relaxed)
    }

    /// Gives the credit of a large record back, besides that of its subtask. Called by the receiver
    /// alone.
    #[cold]
    pub fn refund_large(&self, bytes: u64) {
        let processed = self.large.processed.load(Ordering::Relaxed) + bytes;
        self.large.processed.store(processed, Ordering::Relaxed);
        if self.large.is_awaited.swap(false, Ordering::Relaxed) {
            self.wake_sender.wake();
        }
    }

    /// Asks to be woken once a large record is processed. Called by the sender alone; what
    /// [`Lane::await_credit`] says of refunds at the same moment holds here, too.
    pub fn await_large(&self) {
        self.large.is_awaited.store(true, Ordering::Relaxed);
    }

    /// Gives the memory of a processed buffer back to the sender, unless somebody still refers to
    /// it or there is enough.
    pub fn recycle(&self, bytes: Bytes) {
        let Ok(mut buffer) = bytes.try_into_mut() else { return };
        if buffer.capacity() != self.buffer_bytes {
            return;
        }
        buffer.resize(self.buffer_bytes, 0);
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_BUFFERS {
            spare.push(buffer);
        }
    }

    /// A buffer with room for `bytes`, with whatever is in it: an ordinary one, the last that came
    /// back or a new one, unless the record is larger.
    pub fn buffer(&self, bytes: usize) -> BytesMut {
        if bytes > self.buffer_bytes {
            return BytesMut::zeroed(bytes);
        }
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| shareable(self.buffer_bytes))
    }

    /// Sends a buffer.
    pub fn push(&self, buffer: LaneBuffer) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        self.has_arrived.store(true, Ordering::Release);
        self.wake.wake();
    }

    /// Takes everything that has arrived, in order, into `into`. What is sent at the same moment may
    /// be left: it wakes the receiver once more.
    pub fn drain_into(&self, into: &mut Vec<LaneBuffer>) {
        // Lowered by a swap, which sees what raised it: a buffer that the lock does not show yet
        // raises it again.
        if self.has_arrived.load(Ordering::Relaxed)
            && self.has_arrived.swap(false, Ordering::AcqRel)
        {
            into.append(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// A buffer that already has its reference count: freezing it and taking it back allocates nothing.
fn shareable(bytes: usize) -> BytesMut {
    let mut buffer = BytesMut::zeroed(bytes);
    drop(buffer.split_off(buffer.capacity()));
    buffer
}
