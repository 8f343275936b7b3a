//! Batches go out; offsets are looked up.

use super::batch::BatchHeader;
use super::error::{LogError, Result};
use super::ids::{Isolation, ProducerId, TopicPartition};
use super::log::Log;
use super::partition::{BatchAt, Partition};
use super::record;
use super::storage::Storage;

/// Bounds of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The log start offset.
    pub start_offset: i64,
    /// The high watermark, which is the log end offset: there are no replicas.
    pub high_watermark: i64,
    /// Everything before it is decided.
    pub stable_offset: i64,
}

/// A transaction whose records a reader must skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer: ProducerId,
    /// The first offset that it wrote.
    pub first_offset: i64,
}

/// What a read found; the bytes are still in the storage.
#[derive(Clone, Debug)]
pub struct Found {
    /// Bounds of the partition.
    pub bounds: Bounds,
    /// For [`Isolation::ReadCommitted`]: those that touch what was found.
    pub aborted: Vec<AbortedTransaction>,
    /// Bytes in all batches found.
    pub bytes: usize,
    batches: Vec<BatchAt>,
}

/// When an offset is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetAt {
    /// The log start offset.
    Earliest,
    /// The high watermark, or the last stable offset.
    Latest,
    /// The first record that is not older, in milliseconds.
    Since(i64),
    /// The record with the latest time.
    MaxTimestamp,
}

impl<S: Storage> Log<S> {
    /// Bounds of a partition.
    ///
    /// # Errors
    /// When there is none.
    pub fn bounds(&self, at: TopicPartition) -> Result<Bounds> {
        self.state.partition(at).map(bounds)
    }

    /// Finds batches from the one that holds `offset` on: at most `max_bytes` of them, but one at
    /// least if `even_one_too_large`.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`]; when there is no such partition.
    pub fn read(
        &self,
        at: TopicPartition,
        offset: i64,
        max_bytes: usize,
        even_one_too_large: bool,
        isolation: Isolation,
    ) -> Result<Found> {
        let partition = self.state.partition(at)?;
        let (start, end) = (partition.start_offset, partition.end_offset);
        if offset < start || offset > end {
            return Err(LogError::OffsetOutOfRange { offset, start, end });
        }
        let bounds = bounds(partition);
        let limit = visible_end(&bounds, isolation);
        let mut found = Found { bounds, aborted: Vec::new(), bytes: 0, batches: Vec::new() };
        if offset >= limit {
            return Ok(found);
        }
        for batch in partition.batches_from(offset) {
            let bytes = batch.bytes as usize;
            let fits = found.bytes + bytes <= max_bytes;
            let is_excused = even_one_too_large && found.batches.is_empty();
            if batch.base_offset >= limit || !(fits || is_excused) {
                break;
            }
            found.bytes += bytes;
            found.batches.push(*batch);
        }
        if isolation == Isolation::ReadCommitted {
            found.aborted = aborted(partition, offset, &found.batches);
        }
        Ok(found)
    }

    /// Appends the bytes of what was found to `to`.
    ///
    /// # Errors
    /// When the storage fails, or lost them to a deletion since.
    pub fn load(&self, found: &Found, to: &mut Vec<u8>) -> Result<()> {
        for batch in &found.batches {
            let from = to.len();
            to.resize(from + batch.bytes as usize, 0);
            self.journal.read(batch.position, &mut to[from..])?;
        }
        Ok(())
    }

    /// Looks up an offset; returns it with its record's time, if it is that of a record.
    ///
    /// # Errors
    /// When there is no such partition, or the storage fails.
    pub fn offset_at(
        &self,
        at: TopicPartition,
        when: OffsetAt,
        isolation: Isolation,
    ) -> Result<Option<(i64, Option<i64>)>> {
        let partition = self.state.partition(at)?;
        let bounds = bounds(partition);
        let limit = visible_end(&bounds, isolation);
        let visible = || partition.batches().filter(move |batch| batch.base_offset < limit);
        match when {
            OffsetAt::Earliest => Ok(Some((bounds.start_offset, None))),
            OffsetAt::Latest => Ok(Some((limit, None))),
            OffsetAt::Since(timestamp_ms) => {
                self.first_since(visible(), timestamp_ms, bounds.start_offset)
            }
            OffsetAt::MaxTimestamp => {
                let latest = visible().map(|batch| batch.max_timestamp_ms).max();
                let Some(latest) = latest else { return Ok(None) };
                self.first_since(visible(), latest, bounds.start_offset)
            }
        }
    }

    fn first_since<'a>(
        &self,
        batches: impl Iterator<Item = &'a BatchAt>,
        timestamp_ms: i64,
        start_offset: i64,
    ) -> Result<Option<(i64, Option<i64>)>> {
        for batch in batches.filter(|batch| batch.max_timestamp_ms >= timestamp_ms) {
            let mut bytes = vec![0; batch.bytes as usize];
            self.journal.read(batch.position, &mut bytes)?;
            let header = BatchHeader::read(&bytes)?;
            if header.is_control() {
                continue;
            }
            if let Some((offset, at_ms)) = record::first_since(&header, &bytes, timestamp_ms) {
                return Ok(Some((offset.max(start_offset), Some(at_ms))));
            }
        }
        Ok(None)
    }
}

fn bounds(partition: &Partition) -> Bounds {
    Bounds {
        start_offset: partition.start_offset,
        high_watermark: partition.end_offset,
        stable_offset: partition.stable_offset(),
    }
}

fn visible_end(bounds: &Bounds, isolation: Isolation) -> i64 {
    match isolation {
        Isolation::ReadUncommitted => bounds.high_watermark,
        Isolation::ReadCommitted => bounds.stable_offset,
    }
}

fn aborted(partition: &Partition, offset: i64, found: &[BatchAt]) -> Vec<AbortedTransaction> {
    let Some(last) = found.last() else { return Vec::new() };
    let to = last.base_offset + i64::from(last.last_offset_delta) + 1;
    let mut aborted: Vec<AbortedTransaction> = partition
        .aborted_within(offset, to)
        .map(|aborted| AbortedTransaction {
            producer: aborted.producer,
            first_offset: aborted.first_offset,
        })
        .collect();
    // Clients begin to skip a producer when they pass the first offset: oldest first.
    aborted.sort_by_key(|aborted| aborted.first_offset);
    aborted
}
