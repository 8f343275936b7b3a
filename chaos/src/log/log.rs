//! The log: opened from a storage, asked, changed, and given the time now and then.

use std::ops::RangeInclusive;

use super::batch::BatchHeader;
use super::change::Change;
use super::entry::{self, Kind};
use super::error::{LogError, Result};
use super::ids::{ProducerEpoch, ProducerId, TopicId, TopicPartition};
use super::journal::{Journal, Position, Replayed};
use super::state::State;
use super::storage::Storage;

/// An idempotent producer that is silent for longer is forgotten: Kafka's default, one day.
const PRODUCER_MEMORY_MS: i64 = 86_400_000;
/// What fits before and after a change's JSON.
const JSON_LENGTH_BYTES: usize = 4;

/// Settings of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// A segment that has more is closed.
    pub segment_bytes: u64,
}

impl LogConfig {
    /// Sensible sizes of a segment.
    pub const SEGMENT_BYTES: RangeInclusive<u64> = 1..=1 << 31;
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// What opening found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Batches that are still there, of records and of markers.
    pub batches: u64,
    /// Bytes of a torn tail that were cut off.
    pub torn_bytes: u64,
}

/// Partitions, transactions and offsets on one storage.
pub struct Log<S> {
    pub(super) journal: Journal<S>,
    pub(super) state: State,
    config: LogConfig,
}

impl<S: Storage> Log<S> {
    /// Opens a storage: replays what is there, cuts off what is torn.
    ///
    /// # Errors
    /// When the storage fails, or is corrupt before its end.
    pub fn open(storage: S, config: LogConfig) -> Result<(Self, Recovery)> {
        assert!(LogConfig::SEGMENT_BYTES.contains(&config.segment_bytes), "a segment's size");
        let mut state = State::default();
        let (journal, torn_bytes) = Journal::replay(storage, |found| replay(&mut state, &found))?;
        let mut log = Self { journal, state, config };
        if log.journal.is_unborn() {
            log.journal.roll(&log.state.snapshot())?;
        }
        let partitions = log.state.topics.values().flat_map(|topic| &topic.partitions);
        let batches = partitions.map(|partition| partition.batches().len() as u64).sum();
        Ok((log, Recovery { batches, torn_bytes }))
    }

    /// What it stands on.
    pub fn storage(&self) -> &S {
        self.journal.storage()
    }

    /// The storage, as a crash would leave it.
    pub fn into_storage(self) -> S {
        self.journal.into_storage()
    }

    /// Makes everything survive a loss of power.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn sync(&mut self) -> Result<()> {
        self.journal.sync()
    }

    /// Lets time pass: ends transactions that took too long, drops what is not retained. Returns
    /// the partitions that have changed.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn tick(&mut self, now_ms: i64) -> Result<Vec<TopicPartition>> {
        let mut touched = self.expire_transactions(now_ms)?;
        touched.extend(self.retain(now_ms)?);
        Ok(touched)
    }

    /// Writes a change, then applies it.
    pub(super) fn commit(&mut self, change: &Change, body: &[u8]) -> Result<()> {
        self.make_room()?;
        let json = serde_json::to_vec(change).expect("a change is plain data");
        let length = (json.len() as u32).to_le_bytes();
        let position = self.journal.append(Kind::Change, &[&length, &json, body])?;
        let body_at = entry::HEAD_BYTES + JSON_LENGTH_BYTES + json.len();
        let position = Position { at: position.at + body_at as u32, ..position };
        self.state.apply(change, body, position)
    }

    /// Begins a new segment if the old one is full, and removes those that nobody needs. Before a
    /// write, so that a write that was done is never refused.
    pub(super) fn make_room(&mut self) -> Result<()> {
        if self.journal.active_bytes() >= self.config.segment_bytes {
            self.journal.roll(&self.state.snapshot())?;
            self.reclaim();
        }
        Ok(())
    }

    /// Removes segments without live batches.
    pub(super) fn reclaim(&mut self) {
        self.journal.reclaim(&self.state.live_segments());
    }

    /// Forgets producers that have been silent for long. Not part of [`Log::tick`]: it looks at
    /// every partition.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn forget_silent_producers(&mut self, now_ms: i64) -> Result<()> {
        self.commit(&Change::ProducersForgotten { before_ms: now_ms - PRODUCER_MEMORY_MS }, &[])
    }

    fn retain(&mut self, now_ms: i64) -> Result<Vec<TopicPartition>> {
        let mut starts = Vec::new();
        for (id, topic) in &self.state.topics {
            let (bytes, ms) = (topic.settings.retention_bytes, topic.settings.retention_ms);
            if bytes.is_none() && ms.is_none() {
                continue;
            }
            for (partition, found) in (0..).zip(&topic.partitions) {
                let start = found.retained_from(bytes, ms.map(|ms| now_ms.saturating_sub(ms)));
                let start = start.min(found.stable_offset());
                if start > found.start_offset {
                    starts.push((TopicPartition { topic: *id, partition }, start));
                }
            }
        }
        self.move_starts(starts)
    }

    /// Moves log start offsets; returns the partitions.
    pub(super) fn move_starts(
        &mut self,
        starts: Vec<(TopicPartition, i64)>,
    ) -> Result<Vec<TopicPartition>> {
        if starts.is_empty() {
            return Ok(Vec::new());
        }
        let moved = starts.iter().map(|(at, _)| *at).collect();
        self.commit(&Change::StartsMoved { starts }, &[])?;
        self.reclaim();
        Ok(moved)
    }

    pub(super) fn new_producer_id(&self) -> ProducerId {
        ProducerId(self.state.next_producer)
    }

    pub(super) fn first_epoch() -> ProducerEpoch {
        ProducerEpoch(0)
    }
}

fn replay(state: &mut State, found: &Replayed<'_>) -> Result<()> {
    let broken = |what: String| LogError::CorruptStorage {
        segment: found.position.segment,
        position: u64::from(found.position.at),
        what,
    };
    match found.kind {
        Kind::Snapshot => {
            *state = State::restore(found.body, std::mem::take(state))
                .map_err(|error| broken(error.to_string()))?;
            Ok(())
        }
        Kind::Batch => replay_batch(state, found).ok_or_else(|| broken("no batch".to_owned())),
        Kind::Change => {
            let (change, body) =
                split_change(found.body).ok_or_else(|| broken("no change".to_owned()))?;
            let change = serde_json::from_slice(change).map_err(|e| broken(e.to_string()))?;
            let body_at = entry::HEAD_BYTES + found.body.len() - body.len();
            let at = found.position.at + body_at as u32;
            state.apply(&change, body, Position { at, ..found.position })
        }
    }
}

fn replay_batch(state: &mut State, found: &Replayed<'_>) -> Option<()> {
    let (before, batch) = found.body.split_at_checked(entry::BATCH_AT_BYTES - entry::HEAD_BYTES)?;
    let at = TopicPartition {
        topic: TopicId(entry::u32_at(before, 0)),
        partition: entry::u32_at(before, 4),
    };
    let now_ms = i64::from_le_bytes(before[8..16].try_into().ok()?);
    let header = BatchHeader::read(batch).ok()?;
    let position =
        Position { at: found.position.at + entry::BATCH_AT_BYTES as u32, ..found.position };
    state.take_batch(at, &header, position, now_ms);
    Some(())
}

fn split_change(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_at_checked(JSON_LENGTH_BYTES)?;
    rest.split_at_checked(entry::u32_at(length, 0) as usize)
}
