//! One partition: its bounds, the index of its batches, its producers and its transactions.
//!
//! Invariants: batches are contiguous from the log start offset's one to the end; the last stable
//! offset is the first offset of the oldest open transaction, or the end. The index is not part of
//! a snapshot: replay rebuilds it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::batch::BatchHeader;
use super::ids::{Outcome, ProducerId};
use super::journal::Position;
use super::producers::ProducerState;

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchAt {
    pub(super) base_offset: i64,
    pub(super) last_offset_delta: i32,
    pub(super) bytes: u32,
    pub(super) position: Position,
    pub(super) max_timestamp_ms: i64,
}

impl BatchAt {
    fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }
}

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aborted {
    pub(super) producer: ProducerId,
    pub(super) first_offset: i64,
    /// Of its marker.
    pub(super) last_offset: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partition {
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) producers: BTreeMap<ProducerId, ProducerState>,
    aborted: Vec<Aborted>,
    /// First offsets of open transactions.
    open: BTreeSet<(i64, ProducerId)>,
    #[serde(skip)]
    index: VecDeque<BatchAt>,
}

impl Partition {
    /// Takes a batch (or a marker) that was written at `position`.
    pub(super) fn take(&mut self, batch: &BatchHeader, position: Position, now_ms: i64) {
        debug_assert_eq!(batch.base_offset, self.end_offset, "batches are contiguous");
        if let Some(producer) = batch.producer {
            let known = self.producers.entry(producer.id);
            let state = known.or_insert_with(|| ProducerState::new(producer.epoch));
            let open_before = state.open_since;
            state.note(producer.epoch, batch, now_ms);
            if let (None, Some(first)) = (open_before, state.open_since) {
                self.open.insert((first, producer.id));
            }
        }
        self.end_offset = batch.last_offset() + 1;
        self.index_batch(batch, position);
    }

    /// Takes the marker that ends a transaction here.
    pub(super) fn take_marker(
        &mut self,
        marker: &BatchHeader,
        outcome: Outcome,
        position: Position,
        now_ms: i64,
    ) {
        let producer = marker.producer.expect("a marker has its producer").id;
        let open = self.producers.get(&producer).and_then(|state| state.open_since);
        if let Some(first_offset) = open {
            self.open.remove(&(first_offset, producer));
            if outcome == Outcome::Abort {
                let last_offset = marker.base_offset;
                self.aborted.push(Aborted { producer, first_offset, last_offset });
            }
        }
        self.take(marker, position, now_ms);
    }

    /// Notes where a batch is, if it is still wanted. Replay of segments whose state is already
    /// known from a later snapshot needs nothing else.
    fn index_batch(&mut self, batch: &BatchHeader, position: Position) {
        self.index.push_back(BatchAt {
            base_offset: batch.base_offset,
            last_offset_delta: batch.last_offset_delta,
            bytes: batch.bytes as u32,
            position,
            max_timestamp_ms: batch.max_timestamp_ms,
        });
    }

    /// Takes over the index of the same partition before a snapshot.
    pub(super) fn adopt_index(&mut self, before: Self) {
        self.index = before.index;
        self.drop_before_start();
    }

    /// Forgets what lies before `offset`.
    pub(super) fn move_start(&mut self, offset: i64) {
        self.start_offset = self.start_offset.max(offset.min(self.end_offset));
        self.drop_before_start();
        let start_offset = self.start_offset;
        self.aborted.retain(|aborted| aborted.last_offset >= start_offset);
    }

    fn drop_before_start(&mut self) {
        while self.index.front().is_some_and(|batch| batch.next_offset() <= self.start_offset) {
            self.index.pop_front();
        }
    }

    /// The last stable offset.
    pub(super) fn stable_offset(&self) -> i64 {
        self.open.first().map_or(self.end_offset, |(first, _)| *first)
    }

    /// Its batches, in order.
    pub(super) fn batches(&self) -> impl ExactSizeIterator<Item = &BatchAt> {
        self.index.iter()
    }

    /// Its batches from the one that holds `offset` on.
    pub(super) fn batches_from(&self, offset: i64) -> impl Iterator<Item = &BatchAt> {
        let first = self.index.partition_point(|batch| batch.next_offset() <= offset);
        self.index.range(first..)
    }

    /// Aborted transactions that touch offsets from `from` to before `to`.
    pub(super) fn aborted_within(&self, from: i64, to: i64) -> impl Iterator<Item = &Aborted> {
        let touches =
            move |aborted: &&Aborted| aborted.last_offset >= from && aborted.first_offset < to;
        self.aborted.iter().filter(touches)
    }

    /// The start offset that keeps at most `bytes`, and nothing older than `oldest_ms`.
    pub(super) fn retained_from(&self, bytes: Option<u64>, oldest_ms: Option<i64>) -> i64 {
        let mut kept: u64 = self.index.iter().map(|batch| u64::from(batch.bytes)).sum();
        for batch in &self.index {
            let is_too_much = bytes.is_some_and(|limit| kept > limit);
            let is_too_old = oldest_ms.is_some_and(|oldest| batch.max_timestamp_ms < oldest);
            if !is_too_much && !is_too_old {
                return batch.base_offset.max(self.start_offset);
            }
            kept -= u64::from(batch.bytes);
        }
        self.end_offset
    }
}
