//! One partition of the ledger: bounds, existing offsets, lanes, intended times.

use roaring::RoaringBitmap;

use super::{Offset, PartitionId};

/// The lane of a record whose key is null.
const NO_LANE: u32 = u32::MAX;
/// The intended time of a record that the load generator did not write.
const NO_TIME: i64 = i64::MIN;

/// What the ledger holds of one partition. Offsets inside are relative to the start offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLedger {
    pub(super) id: PartitionId,
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) present: RoaringBitmap,
    /// The first relative offset when the existing offsets have no gap between them.
    pub(super) dense_from: Option<u32>,
    /// For each record in offset order, its lane.
    pub(super) lane_of: Vec<u32>,
    pub(super) lanes: Lanes,
    /// For each record in offset order, its intended time; empty when no record has one.
    pub(super) intended_us: Vec<i64>,
    /// For each record in offset order, how much later it was handed over; empty likewise.
    pub(super) late_us: Vec<u32>,
}

/// When the load generator sent a record, in microseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendTimes {
    /// When it should have.
    pub intended_us: i64,
    /// When it did: the hand-over to the producer.
    pub actual_us: i64,
}

/// The lanes of one partition, by ascending key hash; one entry a lane in each column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lanes {
    pub(super) key: Vec<u128>,
    pub(super) last: Vec<u32>,
    pub(super) value_hash: Vec<u64>,
    pub(super) records: Vec<u32>,
}

/// One lane: the records of one key in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) last: Offset,
    pub(super) value_hash: u64,
    pub(super) records: u64,
}

/// One record while a ledger is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingRecord {
    pub(super) key: Option<u128>,
    pub(super) value_hash: u64,
    pub(super) sent: Option<SendTimes>,
}

impl SendTimes {
    fn late_us(self) -> u32 {
        (self.actual_us - self.intended_us).clamp(0, i64::from(u32::MAX)) as u32
    }
}

impl PartitionLedger {
    /// Puts a partition together from its records in offset order.
    pub(super) fn build(
        id: PartitionId,
        (start, end): (Offset, Offset),
        present: RoaringBitmap,
        records: &[PendingRecord],
    ) -> Self {
        assert_eq!(present.len(), records.len() as u64, "one record for each existing offset");
        let (lane_of, lanes) = group(&present, records);
        let (mut intended_us, mut late_us) = (Vec::new(), Vec::new());
        if records.iter().any(|record| record.sent.is_some()) {
            let of = |record: &PendingRecord| record.sent.map_or(NO_TIME, |sent| sent.intended_us);
            intended_us = records.iter().map(of).collect();
            late_us =
                records.iter().map(|record| record.sent.map_or(0, SendTimes::late_us)).collect();
        }
        let dense_from = dense_from(&present);
        Self { id, start, end, present, dense_from, lane_of, lanes, intended_us, late_us }
    }

    /// Which partition this is.
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// The start offset: nothing below it is judged.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The log end offset: nothing at or above it is judged.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The number of records that exist between start and end.
    pub fn records(&self) -> u64 {
        self.lane_of.len() as u64
    }

    /// The existing offsets, relative to [`start`](Self::start).
    pub fn present(&self) -> &RoaringBitmap {
        &self.present
    }

    /// The existing offsets, ascending.
    pub fn offsets(&self) -> impl Iterator<Item = Offset> + '_ {
        self.present.iter().map(|relative| self.absolute(relative))
    }

    /// The offset relative to the start, if it lies between start and end.
    pub fn relative(&self, offset: Offset) -> Option<u32> {
        if offset < self.start || offset >= self.end {
            return None;
        }
        u32::try_from(offset.0 - self.start.0).ok()
    }

    /// The offset that a relative one stands for.
    pub fn absolute(&self, relative: u32) -> Offset {
        Offset(self.start.0 + u64::from(relative))
    }

    /// The place of an existing offset among the records of this partition.
    pub fn position(&self, offset: Offset) -> Option<usize> {
        let relative = self.relative(offset)?;
        if let Some(first) = self.dense_from {
            let position = relative.checked_sub(first)? as usize;
            return (position < self.lane_of.len()).then_some(position);
        }
        let known = self.present.contains(relative);
        known.then(|| self.present.rank(relative) as usize - 1)
    }

    /// The offset of the record at a position.
    pub fn offset_at(&self, position: usize) -> Offset {
        let relative = match self.dense_from {
            Some(first) => Some(first + position as u32),
            None => self.present.select(position as u32),
        };
        self.absolute(relative.expect("a position is less than the number of records"))
    }

    /// The lane of the record at a position, or `None` when its key is null.
    pub fn lane_at(&self, position: usize) -> Option<u32> {
        Some(self.lane_of[position]).filter(|lane| *lane != NO_LANE)
    }

    /// The number of lanes.
    pub fn lanes(&self) -> usize {
        self.lanes.key.len()
    }

    /// The key hash of a lane.
    pub fn lane_key(&self, lane: u32) -> u128 {
        self.lanes.key[lane as usize]
    }

    /// The key hash of an existing record, or `None` when its key is null or it does not exist.
    pub fn key_hash(&self, offset: Offset) -> Option<u128> {
        Some(self.lane_key(self.lane_at(self.position(offset)?)?))
    }

    /// When the load generator sent the record; `None` when somebody else wrote it.
    pub fn send_times(&self, offset: Offset) -> Option<SendTimes> {
        let position = self.position(offset)?;
        let intended_us = self.intended_us.get(position).copied().filter(|t| *t != NO_TIME)?;
        let late_us = i64::from(*self.late_us.get(position)?);
        Some(SendTimes { intended_us, actual_us: intended_us + late_us })
    }

    pub(super) fn lane(&self, lane: u32) -> Lane {
        let at = lane as usize;
        Lane {
            last: self.absolute(self.lanes.last[at]),
            value_hash: self.lanes.value_hash[at],
            records: u64::from(self.lanes.records[at]),
        }
    }
}

pub(super) fn dense_from(present: &RoaringBitmap) -> Option<u32> {
    let (first, last) = (present.min()?, present.max()?);
    (u64::from(last - first) + 1 == present.len()).then_some(first)
}

/// Sorts records into lanes: for each record its lane, and the lanes by ascending key hash.
fn group(present: &RoaringBitmap, records: &[PendingRecord]) -> (Vec<u32>, Lanes) {
    let offsets: Vec<u32> = present.iter().collect();
    let mut order: Vec<u32> = (0..records.len() as u32)
        .filter(|position| records[*position as usize].key.is_some())
        .collect();
    order.sort_unstable_by_key(|position| (records[*position as usize].key, *position));

    let mut lane_of = vec![NO_LANE; records.len()];
    let mut lanes = Lanes::default();
    for position in order.into_iter().map(|position| position as usize) {
        let Some(key) = records[position].key else {
            continue;
        };
        if lanes.key.last() != Some(&key) {
            lanes.key.push(key);
            lanes.last.push(0);
            lanes.value_hash.push(0);
            lanes.records.push(0);
        }
        let lane = lanes.key.len() - 1;
        lanes.last[lane] = offsets[position];
        lanes.value_hash[lane] = records[position].value_hash;
        lanes.records[lane] += 1;
        lane_of[position] = lane as u32;
    }
    for column in [&mut lanes.last, &mut lanes.records] {
        column.shrink_to_fit();
    }
    lanes.key.shrink_to_fit();
    lanes.value_hash.shrink_to_fit();
    (lane_of, lanes)
}
