//! Fingerprints of multisets of records.
//!
//! A [`Sum`] is the number of records and the wrapping sum of a 128-bit mix of each. Sums of
//! parts add up to the sum of the whole, in any order, so that a cut of 10 million records is
//! compared with a handful of additions. Two different multisets agree with a chance of about
//! 2^-128; a disagreement is always real, and is then expanded record by record.

use crate::workload::ledger::{Offset, PartitionId};

/// The fingerprint of a multiset of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    mix: u128,
    pub(super) count: u64,
}

impl Sum {
    /// Adds one record.
    pub(super) fn add(&mut self, partition: PartitionId, offset: Offset, index: u32) {
        let record = scramble(u64::from(partition.0) << 32 | u64::from(index));
        let low = scramble(offset.0 ^ record);
        let high = scramble(low.rotate_left(32) ^ offset.0.wrapping_add(record));
        self.mix = self.mix.wrapping_add(u128::from(high) << 64 | u128::from(low));
        self.count += 1;
    }

    /// Adds a whole multiset.
    pub(super) fn merge(&mut self, other: Self) {
        self.mix = self.mix.wrapping_add(other.mix);
        self.count += other.count;
    }
}

/// The finalizer of splitmix64: a bijection in which every bit depends on every bit.
fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
