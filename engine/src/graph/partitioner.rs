//! Partitioners: which downstream subtask a record goes to.
//!
//! Pure and deterministic: the choice depends on the record and on a counter of its upstream
//! subtask, never on time or ambient randomness.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{KeyGroup, SubtaskIndex};
use crate::record::{EVERY_SUBTASK, Payload};

/// How records are spread over the downstream subtasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partitioner {
    /// To the subtask with the same index; both sides have the same parallelism.
    Forward,
    /// Round robin over all downstream subtasks.
    Rebalance,
    /// Round robin over this subtask's share of the downstream subtasks.
    Rescale,
    /// By the key's group: the same key always meets the same subtask.
    KeyBy,
    /// To every downstream subtask.
    Broadcast,
    /// Uniformly at random, by a generator seeded with the upstream subtask.
    Shuffle,
}

impl Partitioner {
    /// Whether every upstream subtask may reach every downstream subtask.
    pub fn is_all_to_all(self) -> bool {
        matches!(self, Self::Rebalance | Self::KeyBy | Self::Broadcast | Self::Shuffle)
    }
}

/// The key group of a record. A record without a key is spread by its provenance: it has no
/// identity that others could share.
#[inline]
pub fn key_group_of(payload: &Payload<'_>, max_parallelism: u16) -> KeyGroup {
    let hash = match payload.key {
        Some(key) => xxh3_64(key),
        None => {
            mix(payload.provenance.offset.0 ^ (u64::from(payload.provenance.partition.0) << 40))
        }
    };
    let groups = u64::from(max_parallelism);
    // The usual number of groups is a power of two, and a division costs as much as the hash.
    let group = if groups.is_power_of_two() { hash & (groups - 1) } else { hash % groups };
    KeyGroup(group as u16)
}

/// The subtask that owns a key group (Flink's `computeOperatorIndexForKeyGroup`).
#[inline]
pub fn subtask_of_key_group(
    group: KeyGroup,
    parallelism: u16,
    max_parallelism: u16,
) -> SubtaskIndex {
    let index = u64::from(group.0) * u64::from(parallelism) / u64::from(max_parallelism);
    SubtaskIndex(index as u16)
}

/// The choosing side of one edge on one worker: a partitioner and the counters of its upstream
/// subtasks.
#[derive(Debug)]
pub struct Selector {
    partitioner: Partitioner,
    upstream: u16,
    downstream: u16,
    max_parallelism: u16,
    first: u16,
    counters: Vec<u64>,
    /// By key group; empty unless records go by key.
    owners: Vec<SubtaskIndex>,
}

impl Selector {
    /// A selector for upstream subtasks `local`, out of `upstream`, towards `downstream`.
    pub fn new(
        partitioner: Partitioner,
        local: std::ops::Range<u16>,
        upstream: u16,
        downstream: u16,
        max_parallelism: u16,
    ) -> Self {
        // Each subtask starts its round at another place: the first records do not all meet
        // subtask 0.
        let counters = local.clone().map(u64::from).collect();
        let groups = if partitioner == Partitioner::KeyBy { max_parallelism } else { 0 };
        let owner = |group| subtask_of_key_group(KeyGroup(group), downstream, max_parallelism);
        let owners = (0..groups).map(owner).collect();
        let first = local.start;
        Self { partitioner, upstream, downstream, max_parallelism, first, counters, owners }
    }

    /// The target of a record that `subtask` emits.
    #[inline]
    pub fn select(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>) -> SubtaskIndex {
        match self.partitioner {
            Partitioner::KeyBy => self.owners[key_group_of(payload, self.max_parallelism).index()],
            Partitioner::Forward => subtask,
            Partitioner::Broadcast => EVERY_SUBTASK,
            Partitioner::Rebalance => {
                let n = self.count(subtask);
                SubtaskIndex((n % u64::from(self.downstream)) as u16)
            }
            Partitioner::Rescale => {
                let share = rescale_share(subtask, self.upstream, self.downstream);
                let n = self.count(subtask) % u64::from(share.end - share.start);
                SubtaskIndex(share.start + n as u16)
            }
            Partitioner::Shuffle => {
                let n = self.count(subtask);
                let draw = mix(n ^ (u64::from(subtask.0) << 48));
                SubtaskIndex((draw % u64::from(self.downstream)) as u16)
            }
        }
    }

    #[inline]
    fn count(&mut self, subtask: SubtaskIndex) -> u64 {
        let counter = &mut self.counters[(subtask.0 - self.first) as usize];
        let n = *counter;
        *counter += 1;
        n
    }
}

/// The downstream subtasks that `subtask` feeds under [`Partitioner::Rescale`]: never empty.
fn rescale_share(subtask: SubtaskIndex, upstream: u16, downstream: u16) -> std::ops::Range<u16> {
    let bound = |i: u32| (i * u32::from(downstream) / u32::from(upstream)) as u16;
    let start = bound(u32::from(subtask.0));
    let end = bound(u32::from(subtask.0) + 1).max(start + 1);
    start..end
}

/// SplitMix64's finaliser: spreads a counter over 64 bits (Steele, Lea, Flood 2014).
#[inline]
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
