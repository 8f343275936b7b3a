//! The sending side: frames are written once, into the open buffer of the lane they take.
//!
//! Credit costs a comparison for each record: an *allowance* for each subtask is read off the lanes
//! when the last one is used up. It is never more than the lanes' credit at that moment, and every
//! record is taken off it, whichever lane it takes; so a subtask may see less than its credit, and
//! looks again, but never more. Credit that shrinks meanwhile counts from the next look on.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::lane::{Lane, LaneBuffer, Mark, MarkKind};
use crate::graph::{Placement, Selector};
use crate::ids::SubtaskIndex;
use crate::mutants;
use crate::record::{EVERY_SUBTASK, Payload, Route};
use crate::seam::{Sight, TimeUs};

/// The open end of a lane.
#[derive(Debug)]
struct LaneWriter {
    lane: Arc<Lane>,
    /// The open buffer, all of its room initialised; frames fill it up to `at`.
    open: BytesMut,
    at: usize,
    marks: Vec<Mark>,
    /// Bytes sent since the beginning, by upstream subtask of the group.
    sent: Vec<u64>,
    /// Bytes of large records sent since the beginning.
    sent_large: u64,
    sent_buffers: u64,
}

impl LaneWriter {
    fn new(lane: Arc<Lane>) -> Self {
        let sent = vec![0; lane.sources().len()];
        let (open, marks) = (BytesMut::new(), Vec::new());
        Self { lane, open, at: 0, marks, sent, sent_large: 0, sent_buffers: 0 }
    }

    /// Bytes of large records that are under way.
    fn large_under_way(&self) -> u64 {
        self.sent_large - self.lane.large_processed_bytes()
    }

    /// Whether large records take up all that they may.
    fn is_full_of_large(&self) -> bool {
        if mutants::is_active(mutants::LARGE_UNBOUNDED) {
            return false;
        }
        self.large_under_way() >= self.lane.large_credit_bytes()
    }

    /// What the subtask at `local` may still send.
    fn credit_left(&self, local: usize) -> u64 {
        if self.is_full_of_large() {
            return 0;
        }
        let source = SubtaskIndex(self.lane.sources().start + local as u16);
        let processed = self.lane.processed_bytes(source);
        let sent = self.sent[local];
        assert!(processed <= sent, "subtask {source}: {processed} bytes processed, {sent} sent");
        self.lane.credit_bytes().saturating_sub(sent - processed)
    }

    /// Asks for a wake when half of the credit of the subtask at `local` is back: for less, a worker
    /// would wake up for every record of a receiver that is behind.
    fn await_credit(&self, local: usize) {
        if self.is_full_of_large() {
            return self.lane.await_large();
        }
        let source = SubtaskIndex(self.lane.sources().start + local as u16);
        let half = self.lane.credit_bytes() / 2;
        self.lane.await_credit(source, self.sent[local].saturating_sub(half));
    }

    /// Inlined by order, with the writing of the frame: left alone the compiler makes them calls, and
    /// a record costs a twentieth more instructions.
    #[inline(always)]
    fn write(&mut self, local: usize, route: Route, payload: &Payload<'_>, bytes: usize) {
        if self.at + bytes > self.open.len() {
            self.make_room(bytes);
        }
        payload.write_to(route, &mut self.open[self.at..self.at + bytes]);
        self.at += bytes;
        self.sent[local] += bytes as u64;
    }

    #[cold]
    fn make_room(&mut self, bytes: usize) {
        self.flush();
        if self.open.len() < bytes {
            self.open = self.lane.buffer(bytes);
        }
        if self.lane.is_large(bytes) {
            self.sent_large += bytes as u64;
        }
    }

    /// Sends what is open. A buffer that is mostly empty is copied to its size, so that whoever
    /// keeps one of its records does not keep the whole capacity.
    fn flush(&mut self) {
        if self.at == 0 && self.marks.is_empty() {
            return;
        }
        let bytes = if self.at * 2 < self.open.len() {
            Bytes::copy_from_slice(&self.open[..self.at])
        } else {
            let mut full = std::mem::take(&mut self.open);
            full.truncate(self.at);
            full.freeze()
        };
        self.at = 0;
        self.sent_buffers += 1;
        self.lane.push(LaneBuffer { bytes, marks: std::mem::take(&mut self.marks) });
    }
}

/// What has been written into a lane and not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenBuffer {
    /// Bytes.
    pub bytes: usize,
    /// Buffers that the lane has been sent before it.
    pub after: u64,
    /// Bytes of large records that the lane has been sent, this buffer included, and that are not
    /// processed.
    pub large_bytes: u64,
}

/// One edge out of the group: a selector and a lane to each worker.
#[derive(Debug)]
pub struct OutputEdge {
    selector: Selector,
    /// By downstream subtask.
    worker_of: Vec<u16>,
    /// By worker; none to a worker that hosts no downstream subtask.
    writers: Vec<Option<LaneWriter>>,
}

impl OutputEdge {
    /// An edge over `lanes`, one for each worker in order; none to a worker that hosts no
    /// downstream subtask.
    pub fn new(
        selector: Selector,
        placement: Placement,
        lanes: impl IntoIterator<Item = Option<Arc<Lane>>>,
    ) -> Self {
        let writers: Vec<_> = lanes.into_iter().map(|lane| lane.map(LaneWriter::new)).collect();
        let targets = (0..placement.parallelism()).map(SubtaskIndex);
        let worker_of = targets.map(|target| placement.worker_of(target).0).collect();
        Self { selector, worker_of, writers }
    }

    fn sources(&self) -> Option<Range<u16>> {
        self.writers.iter().flatten().next().map(|writer| writer.lane.sources())
    }

    fn writers(&mut self) -> impl Iterator<Item = &mut LaneWriter> {
        self.writers.iter_mut().flatten()
    }
}

/// The most that a subtask is allowed before it looks at the lanes again, in bytes.
const ALLOWANCE_BYTES: u64 = 64 << 10;

/// Every edge out of one group.
#[derive(Debug)]
pub struct Outputs {
    edges: Vec<OutputEdge>,
    first: u16,
    /// What each subtask of the group may send before it looks at the lanes; below zero when an
    /// operator has overdrawn.
    allowance: Vec<Cell<i64>>,
    sight: Sight,
    /// A frame that is larger is a large one.
    buffer_bytes: usize,
    flush_interval_us: TimeUs,
    open_since_us: Option<TimeUs>,
}

impl Outputs {
    /// The outputs of a group. `flush_interval_us` is how long a record waits for company.
    pub fn new(edges: Vec<OutputEdge>, flush_interval_us: TimeUs, sight: Sight) -> Self {
        let sources = edges.iter().find_map(OutputEdge::sources).unwrap_or_default();
        let allowance = sources.clone().map(|_| Cell::new(0)).collect();
        let first = sources.start;
        let lanes = edges.iter().flat_map(|edge| edge.writers.iter().flatten());
        let buffer_bytes = lanes.map(|writer| writer.lane.buffer_bytes()).min();
        Self {
            edges,
            first,
            allowance,
            sight,
            buffer_bytes: buffer_bytes.unwrap_or(usize::MAX),
            flush_interval_us,
            open_since_us: None,
        }
    }

    /// Whether `subtask` may emit: it has credit on every lane.
    #[inline]
    pub fn has_credit(&self, subtask: SubtaskIndex) -> bool {
        if self.edges.is_empty() {
            return true;
        }
        let local = (subtask.0 - self.first) as usize;
        self.allowance[local].get() > 0 || self.look(local)
    }

    #[cold]
    fn look(&self, local: usize) -> bool {
        if !self.sight.sees() {
            return false;
        }
        let allowed = self.least_credit(local).min(ALLOWANCE_BYTES);
        self.allowance[local].set(allowed as i64);
        if allowed == 0 {
            let lanes = self.edges.iter().flat_map(|edge| edge.writers.iter().flatten());
            lanes.filter(|lane| lane.credit_left(local) == 0).for_each(|l| l.await_credit(local));
        }
        allowed > 0
    }

    fn least_credit(&self, local: usize) -> u64 {
        let lanes = self.edges.iter().flat_map(|edge| edge.writers.iter().flatten());
        let credits = lanes.map(|writer| writer.credit_left(local));
        let least = match mutants::is_active(mutants::CREDIT_OF_WIDEST_LANE) {
            true => credits.max(),
            false => credits.min(),
        };
        least.unwrap_or(ALLOWANCE_BYTES)
    }

    /// The same for whoever only looks: asks nobody to be woken, and takes note of nothing.
    pub fn would_have_credit(&self, subtask: SubtaskIndex) -> bool {
        let local = (subtask.0 - self.first) as usize;
        self.edges.is_empty() || self.allowance[local].get() > 0 || self.least_credit(local) > 0
    }

    /// Writes a record of `subtask` into the lane of its target. Never blocks and never refuses:
    /// credit is asked for before, and an operator that emits many records for one may overdraw.
    /// Returns the bytes of its frame.
    // By order, as with the lane's writer.
    #[inline(always)]
    pub fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>, now_us: TimeUs) -> usize {
        let local = (subtask.0 - self.first) as usize;
        let bytes = payload.frame_bytes();
        for edge in &mut self.edges {
            let target = edge.selector.select(subtask, payload);
            let route = Route { source: subtask, target };
            if target == EVERY_SUBTASK {
                for writer in edge.writers() {
                    writer.write(local, route, payload, bytes);
                }
            } else {
                let worker = edge.worker_of[target.index()] as usize;
                let writer = edge.writers[worker].as_mut().expect("the target lives there");
                writer.write(local, route, payload, bytes);
            }
            let allowance = &self.allowance[local];
            allowance.set(allowance.get() - bytes as i64);
        }
        if self.open_since_us.is_none() || mutants::is_active(mutants::FLUSH_PUT_OFF) {
            self.open_since_us = Some(now_us);
        }
        if bytes > self.buffer_bytes {
            self.note_large();
        }
        bytes
    }

    /// Once a lane is full of large records every subtask has to look, whatever it was allowed.
    #[cold]
    fn note_large(&mut self) {
        let mut lanes = self.edges.iter().flat_map(|edge| edge.writers.iter().flatten());
        if lanes.any(LaneWriter::is_full_of_large) {
            self.allowance.iter().for_each(|allowance| allowance.set(allowance.get().min(0)));
        }
    }

    /// Puts the same mark of each of `subtasks` on every lane and sends everything.
    pub fn mark(&mut self, subtasks: Range<u16>, kind: MarkKind) {
        for writer in self.edges.iter_mut().flat_map(OutputEdge::writers) {
            let overtakes = mutants::is_active(mutants::BARRIER_BEFORE_OUTPUT);
            let at = if overtakes { 0 } else { writer.at as u32 };
            let marks = subtasks.clone().map(|s| Mark { at, source: SubtaskIndex(s), kind });
            writer.marks.extend(marks);
            writer.flush();
        }
        self.open_since_us = None;
    }

    /// Sends everything that is open. Returns whether there was anything.
    pub fn flush(&mut self) -> bool {
        for writer in self.edges.iter_mut().flat_map(OutputEdge::writers) {
            writer.flush();
        }
        self.open_since_us.take().is_some()
    }

    /// The open buffer of each lane.
    pub fn open(&self) -> impl Iterator<Item = OpenBuffer> {
        let writers = self.edges.iter().flat_map(|edge| edge.writers.iter().flatten());
        writers.map(|writer| OpenBuffer {
            bytes: writer.at,
            after: writer.sent_buffers,
            large_bytes: writer.large_under_way(),
        })
    }

    /// Sends what has waited long enough. Returns when the next flush is due.
    pub fn flush_due(&mut self, now_us: TimeUs) -> Option<TimeUs> {
        let due = self.open_since_us? + self.flush_interval_us;
        if now_us < due {
            return Some(due);
        }
        self.flush();
        None
    }
}
