//! Parked records: taken from the inbox, not processed, because their subtask stalls or has no
//! credit downstream. They keep their own credit, so the pile is bounded.

use std::collections::{BTreeSet, VecDeque};

use crate::record::Record;

/// A record and the lane its credit goes back to.
#[derive(Clone, Debug)]
pub(super) struct ParkedRecord {
    pub(super) lane: Option<u16>,
    pub(super) record: Record,
}

/// The parked records of a group, first in first out for each subtask.
#[derive(Debug)]
pub(super) struct Parked {
    queues: Vec<VecDeque<ParkedRecord>>,
    waiting: BTreeSet<usize>,
    bytes: u64,
}

impl Parked {
    pub(super) fn new(subtasks: usize) -> Self {
        Self { queues: vec![VecDeque::new(); subtasks], waiting: BTreeSet::new(), bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether this subtask has records parked: what comes after them must queue up.
    #[inline]
    pub(super) fn has(&self, local: usize) -> bool {
        !self.waiting.is_empty() && self.waiting.contains(&local)
    }

    pub(super) fn push(&mut self, local: usize, record: ParkedRecord) {
        self.bytes += record.record.frame().len() as u64;
        self.queues[local].push_back(record);
        self.waiting.insert(local);
    }

    pub(super) fn pop(&mut self, local: usize) -> Option<ParkedRecord> {
        let record = self.queues[local].pop_front();
        self.bytes -= record.as_ref().map_or(0, |parked| parked.record.frame().len() as u64);
        if self.queues[local].is_empty() {
            self.waiting.remove(&local);
        }
        record
    }

    /// Bytes of all that are parked.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Subtasks with parked records, by position in the group.
    pub(super) fn waiting(&self) -> Vec<usize> {
        self.waiting.iter().copied().collect()
    }

    /// Every parked record, in order for each subtask.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        let of = |local: &usize| self.queues[*local].iter().map(|p| &p.record);
        self.waiting.iter().flat_map(of)
    }
}
