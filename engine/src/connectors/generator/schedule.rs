//! When a record is due: an open-loop schedule without drift.
//!
//! Record `n` of split `s` of `S` is number `n * S + s` of the whole stream, and number `i` is due
//! `i / rate` after the origin. Integers throughout: the schedule is exact over any length.

use crate::connectors::Split;
use crate::seam::TimeUs;

const US_PER_SEC: u128 = 1_000_000;

/// The intended schedule of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    records_per_sec: u64,
    splits: u64,
    origin_us: TimeUs,
}

impl Schedule {
    /// `records_per_sec` over `splits` splits, the first record due at `origin_us`; a rate of 0
    /// has everything due at once.
    pub fn new(records_per_sec: u64, splits: u32, origin_us: TimeUs) -> Self {
        Self { records_per_sec, splits: u64::from(splits.max(1)), origin_us }
    }

    /// Whether everything is due at once.
    pub fn is_unlimited(&self) -> bool {
        self.records_per_sec == 0
    }

    /// The number in the whole stream of the next record of `split`.
    #[inline]
    pub fn number(&self, split: Split) -> u64 {
        split.next.0 * self.splits + u64::from(split.partition.0)
    }

    /// When the next record of `split` is due.
    #[inline]
    pub fn due_us(&self, split: Split) -> TimeUs {
        if self.is_unlimited() {
            return self.origin_us;
        }
        let after_us = u128::from(self.number(split)) * US_PER_SEC;
        self.origin_us + (after_us / u128::from(self.records_per_sec)) as u64
    }

    /// How many records of the whole stream are due at `now_us`.
    pub fn due_records(&self, now_us: TimeUs) -> u64 {
        if self.is_unlimited() {
            return u64::MAX;
        }
        let Some(elapsed_us) = now_us.checked_sub(self.origin_us) else { return 0 };
        // Number i is due when i / rate has passed, rounded down as in `due_us`.
        let whole = (u128::from(elapsed_us) + 1) * u128::from(self.records_per_sec);
        whole.div_ceil(US_PER_SEC) as u64
    }

    /// How many records fall on split `partition` among the first `records` of the stream.
    #[inline]
    pub fn share(&self, partition: u32, records: u64) -> u64 {
        records.saturating_sub(u64::from(partition)).div_ceil(self.splits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Offset, PartitionId};

    fn split(partition: u32, next: u64) -> Split {
        Split { partition: PartitionId(partition), next: Offset(next) }
    }

    #[test]
    fn interleaves_splits_at_the_total_rate() {
        let schedule = Schedule::new(1000, 4, 5_000);
        let due: Vec<_> =
            (0..2).flat_map(|n| (0..4).map(move |p| schedule.due_us(split(p, n)))).collect();
        assert_eq!(due, [5_000, 6_000, 7_000, 8_000, 9_000, 10_000, 11_000, 12_000]);
    }

    #[test]
    fn due_records_and_due_time_agree() {
        for rate in [1, 3, 7, 1000, 333_333, 1_000_000, 7_000_001] {
            let schedule = Schedule::new(rate, 1, 17);
            for number in [0_u64, 1, 2, 3, 10, 999, 1000, 123_456] {
                let due_us = schedule.due_us(split(0, number));
                assert!(schedule.due_records(due_us) > number, "rate {rate}, record {number}");
                assert!(
                    due_us == 17 || schedule.due_records(due_us - 1) <= number,
                    "rate {rate}: record {number} is due too early"
                );
            }
        }
    }

    #[test]
    fn shares_add_up() {
        let schedule = Schedule::new(0, 7, 0);
        for records in 0..30 {
            let shares: u64 = (0..7).map(|p| schedule.share(p, records)).sum();
            assert_eq!(shares, records);
        }
    }
}
