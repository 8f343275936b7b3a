//! Parked records: taken from the inbox, not processed, because their subtask stalls or has no
//! credit downstream. They keep their own credit, so the pile is bounded.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::exchange::{Inbox, Refunds};
use crate::record::Record;

/// What a record has taken of its sender's credit, until it is processed.
#[derive(Debug)]
pub(super) enum Credit {
    /// Nothing: it was restored, or has given it back.
    None,
    /// Its frame, on this lane.
    Own(u16),
    /// The frame of the record for every subtask that it is a copy of.
    Shared(Arc<SharedCredit>),
}

/// The credit of a record for every subtask, which goes back when the last of them is done with it.
#[derive(Debug)]
pub(super) struct SharedCredit {
    pub(super) lane: Option<u16>,
    pub(super) record: Record,
}

impl Credit {
    /// On a lane, or nothing.
    pub(super) fn of(lane: Option<u16>) -> Self {
        lane.map_or(Self::None, Self::Own)
    }

    /// Gives it back for `record`, which is processed.
    #[inline]
    pub(super) fn refund(self, record: &Record, refunds: &mut Refunds, inbox: &Inbox) {
        match self {
            Self::None => {}
            Self::Own(lane) => refunds.note(inbox, Some(lane), record.view()),
            Self::Shared(shared) => {
                if let Some(last) = Arc::into_inner(shared) {
                    refunds.note(inbox, last.lane, last.record.view());
                }
            }
        }
    }
}

/// A record, and the credit that it holds.
#[derive(Debug)]
pub(super) struct ParkedRecord {
    pub(super) credit: Credit,
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
        Self {
            queues: (0..subtasks).map(|_| VecDeque::new()).collect(),
            waiting: BTreeSet::new(),
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether this subtask has records parked: what comes after them must queue up.
    #[inline]
    pub(super) fn has(&self, local: usize) -> bool {
        !self.waiting.is_empty() && self.waiting.contains(&local)
    }

    /// Parks a copy of the record: the one record of a buffer that waits would keep all of it.
    pub(super) fn push(&mut self, local: usize, ParkedRecord { credit, record }: ParkedRecord) {
        let record = record.detached();
        self.bytes += record.frame().len() as u64;
        self.queues[local].push_back(ParkedRecord { credit, record });
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

    /// The first subtask at or behind `local`, by position in the group, that has parked records.
    pub(super) fn next_waiting(&self, local: usize) -> Option<usize> {
        self.waiting.range(local..).next().copied()
    }

    /// Subtasks that have parked records, by position in the group.
    pub(super) fn subtasks(&self) -> impl Iterator<Item = usize> {
        self.waiting.iter().copied()
    }

    /// Every parked record, in order for each subtask.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        let of = |local: &usize| self.queues[*local].iter().map(|p| &p.record);
        self.waiting.iter().flat_map(of)
    }
}
