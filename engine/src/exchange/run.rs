//! A run: records that lie back to back in one lane buffer, handed out by reference.
//!
//! Invariants: a run crosses no mark and no end of its buffer, and holds no record for every
//! subtask; a record that was handed out counts as processed, its credit goes back with the run.
//! What is kept of a run is kept by [`RecordRef::keep`]; the rest costs no reference count.

use bytes::Bytes;

use super::lane::Lane;
use crate::ids::SubtaskIndex;
use crate::record::{EVERY_SUBTASK, RecordRef, RecordView};

/// Records of one lane buffer, in order.
#[derive(Debug)]
pub struct Run<'a> {
    lane: &'a Lane,
    buffer: &'a Bytes,
    at: usize,
    end: usize,
    budget: usize,
    records: usize,
    /// Whose records were handed out last, and from where on they wait for their refund.
    source: SubtaskIndex,
    unsettled: usize,
    /// Whether its buffer is that of one large record.
    is_large: bool,
}

impl<'a> Run<'a> {
    /// The frames of `buffer` between `at` and `end`, `budget` of them at most.
    pub(super) fn new(
        lane: &'a Lane,
        buffer: &'a Bytes,
        at: usize,
        end: usize,
        budget: usize,
    ) -> Self {
        let source = SubtaskIndex(lane.sources().start);
        let is_large = lane.is_large(buffer.len());
        Self { lane, buffer, at, end, budget, records: 0, source, unsettled: at, is_large }
    }

    /// The next record, without taking it.
    #[inline]
    pub fn peek(&self) -> Option<RecordRef<'a>> {
        if self.at >= self.end || self.records >= self.budget {
            return None;
        }
        let record = RecordRef::at(self.buffer, self.at);
        (record.view().target() != EVERY_SUBTASK).then_some(record)
    }

    /// Counts the record that was just peeked at as processed.
    #[inline]
    pub fn pass(&mut self, record: &RecordRef<'a>) {
        let view = record.view();
        if view.source() != self.source {
            self.settle();
            self.source = view.source();
        }
        self.at += view.frame_bytes();
        self.records += 1;
    }

    /// Records handed out so far.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Where the next frame starts.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The records that were handed out since the next frame started at `from`, once more.
    pub fn handed_out_since(&self, from: usize) -> impl Iterator<Item = RecordView<'a>> {
        let (buffer, end, mut at) = (self.buffer, self.at, from);
        std::iter::from_fn(move || {
            let view = (at < end).then(|| RecordView::new(&buffer[at..]))?;
            at += view.frame_bytes();
            Some(view)
        })
    }

    /// Gives back the credit of what was handed out.
    // By order: it is asked for with each record where neighbours have different senders.
    #[inline(always)]
    pub(super) fn settle(&mut self) {
        let bytes = (self.at - self.unsettled) as u64;
        self.unsettled = self.at;
        if bytes > 0 {
            self.lane.refund(self.source, bytes);
            if self.is_large {
                self.lane.refund_large(bytes);
            }
        }
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = RecordRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        let record = self.peek()?;
        self.pass(&record);
        Some(record)
    }
}
