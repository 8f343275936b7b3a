//! Building a ledger record by record.
//!
//! Each partition's records come in offset order; partitions may interleave in any way.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::partition::{PartitionLedger, PendingRecord, SendTimes};
use super::{Ledger, LedgerError, Offset, PartitionId, hash_key, hash_value};

/// Collects records until [`finish`](Self::finish) makes a [`Ledger`] of them.
#[derive(Debug, Default)]
pub struct LedgerBuilder {
    partitions: BTreeMap<PartitionId, Pending>,
    records: u64,
}

#[derive(Debug, Default)]
struct Pending {
    bounds: Option<(Offset, Offset)>,
    /// Offsets in `present` are relative to this: the first offset that was pushed.
    base: Offset,
    present: RoaringBitmap,
    records: Vec<PendingRecord>,
}

impl LedgerBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a partition exists and which offsets it spans, also when it holds no record.
    /// Without it a partition spans what was pushed.
    pub fn set_bounds(&mut self, partition: PartitionId, start: Offset, end: Offset) {
        self.partitions.entry(partition).or_default().bounds = Some((start, end.max(start)));
    }

    /// Up to where a partition is known: its records below were pushed, or never were there.
    pub fn known_to(&self, partition: PartitionId) -> Option<Offset> {
        Some(self.partitions.get(&partition)?.bounds?.1)
    }

    /// Says that a partition goes on to `end`; it begins where it began before.
    pub fn extend_bounds(&mut self, partition: PartitionId, start: Offset, end: Offset) {
        let known = self.partitions.get(&partition).and_then(|pending| pending.bounds);
        self.set_bounds(partition, known.map_or(start, |(start, _)| start), end);
    }

    /// The partitions that were named so far, and up to where each is known.
    pub fn known(&self) -> impl Iterator<Item = (PartitionId, Offset)> + '_ {
        let known = |(id, pending): (&PartitionId, &Pending)| Some((*id, pending.bounds?.1));
        self.partitions.iter().filter_map(known)
    }

    /// Adds one record.
    pub fn push(
        &mut self,
        partition: PartitionId,
        offset: Offset,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), LedgerError> {
        let pending = self.partitions.entry(partition).or_default();
        if pending.records.is_empty() {
            pending.base = offset;
        }
        let last = pending.present.max().map(|at| Offset(pending.base.0 + u64::from(at)));
        if let Some(last) = last.filter(|last| *last >= offset) {
            return Err(LedgerError::NotIncreasing { partition, offset, last });
        }
        let span = offset.0 - pending.base.0 + 1;
        let Ok(relative) = u32::try_from(span - 1) else {
            return Err(LedgerError::TooLong { partition, span });
        };
        pending.present.insert(relative);
        pending.records.push(PendingRecord {
            key: key.map(hash_key),
            value_hash: hash_value(value),
            sent: send_times(partition, key, value),
        });
        self.records += 1;
        Ok(())
    }

    /// Ends a partition before `from`: the log lost what it had there, and offsets from there on were
    /// given out again. Keys of the partition are forgotten: their last values lie beyond.
    pub fn cut(&mut self, partition: PartitionId, from: Offset) {
        let Some(pending) = self.partitions.get_mut(&partition) else { return };
        let kept = u32::try_from(from.0.saturating_sub(pending.base.0)).unwrap_or(u32::MAX);
        pending.present.remove_range(kept..);
        let left = pending.present.len();
        self.records -= pending.records.len() as u64 - left;
        pending.records.truncate(left as usize);
        for record in &mut pending.records {
            record.key = None;
        }
        if let Some((start, end)) = pending.bounds {
            pending.bounds = Some((start, end.min(from).max(start)));
        }
    }

    /// The number of records pushed so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Makes the ledger; each partition's scratch memory is released as soon as it is done.
    pub fn finish(self) -> Result<Ledger, LedgerError> {
        let partitions = self.partitions.into_iter().map(|(id, pending)| pending.finish(id));
        Ok(Ledger::new(partitions.collect::<Result<_, _>>()?))
    }
}

impl Pending {
    fn finish(self, id: PartitionId) -> Result<PartitionLedger, LedgerError> {
        let last = self.present.max().map(|at| Offset(self.base.0 + u64::from(at)));
        let pushed_end = last.map_or(self.base, |last| Offset(last.0 + 1));
        let (start, end) = self.bounds.unwrap_or((self.base, pushed_end));
        if let Some(last) = last.filter(|last| self.base < start || *last >= end) {
            let offset = if self.base < start { self.base } else { last };
            return Err(LedgerError::OutOfBounds { partition: id, offset, start, end });
        }
        let span = end.0 - start.0;
        if span > u64::from(u32::MAX) {
            return Err(LedgerError::TooLong { partition: id, span });
        }
        let shift = if last.is_some() { (self.base.0 - start.0) as u32 } else { 0 };
        let present = match shift {
            0 => self.present,
            shift => self.present.iter().map(|relative| relative + shift).collect(),
        };
        Ok(PartitionLedger::build(id, (start, end), present, &self.records))
    }
}

/// The send times of a record that the built-in load generator wrote: its key is
/// `k<partition>-<n>`, its value starts with `u64 id, i64 intended_us, u32 late_us`.
fn send_times(
    partition: PartitionId,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Option<SendTimes> {
    let rest = std::str::from_utf8(key?).ok()?.strip_prefix('k')?;
    let (owner, serial) = rest.split_once('-')?;
    if owner.parse() != Ok(partition.0) || serial.parse::<u64>().is_err() {
        return None;
    }
    let times = value?.get(8..20)?;
    let (intended, late) = times.split_at(8);
    let intended_us = i64::from_le_bytes(intended.try_into().ok()?);
    let late_us = i64::from(u32::from_le_bytes(late.try_into().ok()?));
    Some(SendTimes { intended_us, actual_us: intended_us.checked_add(late_us)? })
}
