//! The sending side: frames are written once, into the open buffer of the lane they take.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::lane::{Lane, LaneBuffer, Mark, MarkKind};
use crate::graph::{Placement, Selector};
use crate::ids::SubtaskIndex;
use crate::mutants;
use crate::record::{EVERY_SUBTASK, Payload, Route};
use crate::seam::TimeUs;

/// The open end of a lane.
#[derive(Debug)]
struct LaneWriter {
    lane: Arc<Lane>,
    open: BytesMut,
    marks: Vec<Mark>,
}

impl LaneWriter {
    /// Sends what is open. A buffer that is mostly empty is copied to its size, so that whoever
    /// keeps one of its records does not keep the whole capacity.
    fn flush(&mut self, buffer_bytes: usize) {
        if self.open.is_empty() && self.marks.is_empty() {
            return;
        }
        let bytes = if self.open.len() * 2 < buffer_bytes {
            let copy = Bytes::copy_from_slice(&self.open);
            self.open.clear();
            copy
        } else {
            std::mem::replace(&mut self.open, BytesMut::with_capacity(buffer_bytes)).freeze()
        };
        self.lane.push(LaneBuffer { bytes, marks: std::mem::take(&mut self.marks) });
    }
}

/// One edge out of the group: a selector and a lane to each worker.
#[derive(Debug)]
pub struct OutputEdge {
    selector: Selector,
    placement: Placement,
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
        let open = |lane| LaneWriter { lane, open: BytesMut::new(), marks: Vec::new() };
        let writers = lanes.into_iter().map(|lane| lane.map(open)).collect();
        Self { selector, placement, writers }
    }

    fn writers(&mut self) -> impl Iterator<Item = &mut LaneWriter> {
        self.writers.iter_mut().flatten()
    }
}

/// Every edge out of one group.
#[derive(Debug)]
pub struct Outputs {
    edges: Vec<OutputEdge>,
    buffer_bytes: usize,
    flush_interval_us: TimeUs,
    open_since_us: Option<TimeUs>,
}

impl Outputs {
    /// The outputs of a group. `flush_interval_us` is how long a record waits for company.
    pub fn new(edges: Vec<OutputEdge>, buffer_bytes: usize, flush_interval_us: TimeUs) -> Self {
        Self { edges, buffer_bytes, flush_interval_us, open_since_us: None }
    }

    /// Whether `subtask` may emit: it has credit on every lane.
    #[inline]
    pub fn has_credit(&self, subtask: SubtaskIndex) -> bool {
        let lanes =
            |edge: &OutputEdge| edge.writers.iter().flatten().all(|w| w.lane.has_credit(subtask));
        self.edges.iter().all(lanes)
    }

    /// Writes a record of `subtask` into the lane of its target. Never blocks and never refuses:
    /// credit is asked for before, and an operator that emits many records for one may overdraw.
    #[inline]
    pub fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>, now_us: TimeUs) {
        for edge in &mut self.edges {
            let (key_group, target) = edge.selector.select(subtask, payload);
            let route = Route { source: subtask, target, key_group };
            if target == EVERY_SUBTASK {
                for writer in edge.writers() {
                    write(writer, route, payload, self.buffer_bytes);
                }
            } else {
                let worker = edge.placement.worker_of(target).index();
                let writer = edge.writers[worker].as_mut().expect("the target lives there");
                write(writer, route, payload, self.buffer_bytes);
            }
        }
        if self.open_since_us.is_none() {
            self.open_since_us = Some(now_us);
        }
    }

    /// Puts the same mark of each of `subtasks` on every lane and sends everything.
    pub fn mark(&mut self, subtasks: Range<u16>, kind: MarkKind) {
        for writer in self.edges.iter_mut().flat_map(OutputEdge::writers) {
            let overtakes = mutants::is_active(mutants::BARRIER_BEFORE_OUTPUT);
            let at = if overtakes { 0 } else { writer.open.len() as u32 };
            let marks = subtasks.clone().map(|s| Mark { at, source: SubtaskIndex(s), kind });
            writer.marks.extend(marks);
            writer.flush(self.buffer_bytes);
        }
        self.open_since_us = None;
    }

    /// Sends everything that is open.
    pub fn flush(&mut self) {
        for writer in self.edges.iter_mut().flat_map(OutputEdge::writers) {
            writer.flush(self.buffer_bytes);
        }
        self.open_since_us = None;
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

fn write(writer: &mut LaneWriter, route: Route, payload: &Payload<'_>, buffer_bytes: usize) {
    let bytes = payload.frame_bytes();
    if !writer.open.is_empty() && writer.open.len() + bytes > buffer_bytes {
        writer.flush(buffer_bytes);
    }
    if writer.open.capacity() == 0 {
        writer.open.reserve(buffer_bytes);
    }
    payload.encode(route, &mut writer.open);
    writer.lane.charge(route.source, bytes as u64);
    if writer.open.len() >= buffer_bytes {
        writer.flush(buffer_bytes);
    }
}
