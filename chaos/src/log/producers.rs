//! What a partition remembers of its idempotent producers, and what follows for a batch.
//!
//! Invariant: a batch that was appended once is not appended again as long as it is among its
//! producer's last five, and nothing is appended after a gap.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::batch::BatchHeader;
use super::error::{LogError, Result};
use super::ids::ProducerEpoch;

/// Batches that may be in flight, and so be sent again.
const REMEMBERED: usize = 5;

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    first: i32,
    last: i32,
    base_offset: i64,
}

/// One producer in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProducerState {
    pub(super) epoch: ProducerEpoch,
    sent: VecDeque<Sent>,
    /// The first offset of its open transaction.
    pub(super) open_since: Option<i64>,
    /// When it last wrote, by the log's clock.
    pub(super) seen_ms: i64,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequenced {
    Append,
    /// It is there already, from this offset on.
    Duplicate(i64),
}

impl ProducerState {
    pub(super) fn new(epoch: ProducerEpoch) -> Self {
        Self { epoch, sent: VecDeque::new(), open_since: None, seen_ms: 0 }
    }

    /// Judges a batch; `state` is what is known of its producer here.
    pub(super) fn judge(state: Option<&Self>, batch: &BatchHeader) -> Result<Sequenced> {
        let (Some(state), Some(producer)) = (state, batch.producer) else {
            return Ok(Sequenced::Append);
        };
        if producer.epoch < state.epoch {
            return Err(LogError::InvalidProducerEpoch);
        }
        let found = batch.base_sequence;
        if producer.epoch > state.epoch {
            return expect(0, found);
        }
        let last = last_sequence(batch);
        let is_same = |sent: &&Sent| sent.first == found && sent.last == last;
        if let Some(sent) = state.sent.iter().find(is_same) {
            return Ok(Sequenced::Duplicate(sent.base_offset));
        }
        match state.sent.back() {
            Some(newest) => expect(after(newest.last), found),
            // Only markers so far: any first sequence is fine.
            None => Ok(Sequenced::Append),
        }
    }

    /// Remembers a batch that was appended.
    pub(super) fn note(&mut self, epoch: ProducerEpoch, batch: &BatchHeader, now_ms: i64) {
        if epoch != self.epoch {
            self.sent.clear();
            self.epoch = epoch;
        }
        self.seen_ms = now_ms;
        if batch.is_control() {
            self.open_since = None;
            return;
        }
        let (first, last) = (batch.base_sequence, last_sequence(batch));
        self.sent.push_back(Sent { first, last, base_offset: batch.base_offset });
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
        if batch.is_transactional() && self.open_since.is_none() {
            self.open_since = Some(batch.base_offset);
        }
    }
}

fn expect(expected: i32, found: i32) -> Result<Sequenced> {
    if found == expected {
        return Ok(Sequenced::Append);
    }
    Err(LogError::OutOfOrderSequence { found, expected })
}

/// Sequences go from 0 to the largest `i32`, and then again.
fn after(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}

fn last_sequence(batch: &BatchHeader) -> i32 {
    let last = i64::from(batch.base_sequence) + i64::from(batch.last_offset_delta);
    (last % (i64::from(i32::MAX) + 1)) as i32
}
