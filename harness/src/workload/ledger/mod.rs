//! The input ledger: what the topic really holds, read back from the topic itself.
//!
//! One [`Ledger`] knows, for each partition, its bounds, which offsets exist (compaction and
//! transaction markers leave gaps), which key each record has, and for each key the value that
//! must win in the end. It is compact, about 20 bytes a record plus 32 a distinct key, because
//! the oracle holds it in memory while tens of millions of effects stream past.
//!
//! *Slots.* Partitions are held in ascending order; a partition's place in that order is its slot.
//! *Lanes.* The records of one key in one partition form a lane: the unit of order in a log.
//!
//! It does not judge anything, and it does not keep keys or values, only their hashes.

mod build;
mod error;
mod file;
mod key;
mod partition;
mod topic;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use build::LedgerBuilder;
pub use error::LedgerError;
pub use key::{KeyFacts, hash_key, hash_value, version_of};
pub use partition::{PartitionLedger, SendTimes};
pub use topic::{ReadProgress, read_on, read_topic};

/// A partition of the input topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A record's place in its partition.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A lane by its slot and its index among the lanes of that slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LaneRef {
    slot: u32,
    lane: u32,
}

/// Everything the input topic held between its start offsets and its log end offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    partitions: Vec<PartitionLedger>,
    /// All lanes by key hash, so that the lanes of one key are neighbours.
    by_key: Vec<LaneRef>,
}

impl Ledger {
    fn new(partitions: Vec<PartitionLedger>) -> Self {
        debug_assert!(partitions.is_sorted_by_key(PartitionLedger::id));
        let mut by_key = Vec::with_capacity(partitions.iter().map(PartitionLedger::lanes).sum());
        for (slot, partition) in (0u32..).zip(&partitions) {
            let lanes = 0..partition.lanes() as u32;
            by_key.extend(lanes.map(|lane| LaneRef { slot, lane }));
        }
        let hash = |at: &LaneRef| partitions[at.slot as usize].lane_key(at.lane);
        by_key.sort_unstable_by_key(|at| (hash(at), at.slot));
        Self { partitions, by_key }
    }

    /// The partitions in slot order.
    pub fn partitions(&self) -> &[PartitionLedger] {
        &self.partitions
    }

    /// The slot of a partition, or `None` when the topic has no such partition.
    pub fn slot(&self, partition: PartitionId) -> Option<usize> {
        let at = partition.0 as usize;
        if self.partitions.get(at).is_some_and(|p| p.id() == partition) {
            return Some(at);
        }
        self.partitions.binary_search_by_key(&partition, PartitionLedger::id).ok()
    }

    /// The number of records of all partitions.
    pub fn records(&self) -> u64 {
        self.partitions.iter().map(PartitionLedger::records).sum()
    }

    fn lane_hash(&self, at: LaneRef) -> u128 {
        self.partitions[at.slot as usize].lane_key(at.lane)
    }
}
