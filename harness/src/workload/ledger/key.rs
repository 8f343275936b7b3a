//! Keys: hashes, versions, and which value must win in the end.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Ledger, Offset, PartitionId};

/// What stands for the hash of a null value (a tombstone).
const NULL_VALUE_HASH: u64 = 0x6e75_6c6c_5f76_616c;

/// xxh3-128 of a key; its big-endian bytes are the `key_hash` column.
pub fn hash_key(key: &[u8]) -> u128 {
    xxh3_128(key)
}

/// xxh3-64 of a value; a null value has a hash of its own.
pub fn hash_value(value: Option<&[u8]>) -> u64 {
    value.map_or(NULL_VALUE_HASH, xxh3_64)
}

/// The version of a record: `offset * 65536 + partition`, the log's own order for one partition.
pub fn version_of(partition: PartitionId, offset: Offset) -> u64 {
    offset.0.wrapping_mul(65_536).wrapping_add(u64::from(partition.0))
}

/// What the ledger says about one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFacts {
    /// Identifies the key among [`Ledger::keys`]: ascending with the hash.
    pub ordinal: u32,
    /// xxh3-128 of the key.
    pub hash: u128,
    /// The partition that holds the highest version.
    pub partition: PartitionId,
    /// The offset of the highest version.
    pub offset: Offset,
    /// The highest version.
    pub version: u64,
    /// The hash of the value of the highest version.
    pub value_hash: u64,
    /// The number of records with this key, in all partitions.
    pub records: u64,
    /// The number of partitions that hold this key.
    pub partitions: u32,
}

impl Ledger {
    /// What the ledger says about the key with this hash, or `None` when no record has it.
    pub fn key(&self, hash: u128) -> Option<KeyFacts> {
        let first = self.by_key.partition_point(|at| self.lane_hash(*at) < hash);
        self.key_at(first).filter(|facts| facts.hash == hash)
    }

    /// All keys, by ascending hash.
    pub fn keys(&self) -> impl Iterator<Item = KeyFacts> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let facts = self.key_at(next)?;
            next += facts.partitions as usize;
            Some(facts)
        })
    }

    /// The key whose lanes begin at `first` in the order of hashes.
    fn key_at(&self, first: usize) -> Option<KeyFacts> {
        let hash = self.lane_hash(*self.by_key.get(first)?);
        let mut facts: Option<KeyFacts> = None;
        for at in self.by_key[first..].iter().take_while(|at| self.lane_hash(**at) == hash) {
            let partition = &self.partitions[at.slot as usize];
            let lane = partition.lane(at.lane);
            let version = version_of(partition.id(), lane.last);
            let earlier = facts.map_or((0, 0), |f| (f.records, f.partitions));
            let (records, partitions) = (earlier.0 + lane.records, earlier.1 + 1);
            facts = match facts {
                Some(facts) if facts.version > version => {
                    Some(KeyFacts { records, partitions, ..facts })
                }
                _ => Some(KeyFacts {
                    ordinal: first as u32,
                    hash,
                    partition: partition.id(),
                    offset: lane.last,
                    version,
                    value_hash: lane.value_hash,
                    records,
                    partitions,
                }),
            };
        }
        facts
    }
}
