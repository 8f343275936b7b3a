//! Statistics of comparisons: medians, spreads, and differences with bootstrapped intervals.
//!
//! Invariants: the same values give the same interval (resampling is seeded by their numbers);
//! where too few values make an interval worthless there is none. Series whose neighbours resemble
//! each other are resampled in blocks, or the interval would be far too narrow.
//!
//! What it does not do: decide. Whoever shows an interval says what it covers.

/// Resamples of a bootstrap.
const RESAMPLES: usize = 1_000;
/// Below this on either side there is no interval.
pub(crate) const LEAST: usize = 3;
/// Values of a series that are resampled together at most.
const LONGEST_BLOCK: usize = 40;

/// A difference and the interval that covers it in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

impl Interval {
    /// Whether no difference at all is outside of it.
    pub(crate) fn excludes_zero(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The median; `None` of nothing finite.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// A quantile, the nearest value below; `None` of nothing finite.
pub(crate) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer values")]
    let at = (q * last as f64).floor();
    sorted.get(at as usize).copied()
}

/// The interval of `median(b) - median(a)`; `blocks` for values in order of time.
pub(crate) fn difference(a: &[f64], b: &[f64], blocks: bool) -> Option<Interval> {
    let is_usable = |of: &[f64]| of.len() >= LEAST && of.iter().all(|value| value.is_finite());
    if !is_usable(a) || !is_usable(b) {
        return None;
    }
    let mut random = SplitMix(0x9e37_79b9 ^ ((a.len() as u64) << 32) ^ b.len() as u64);
    let mut differences: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let [a, b] = [a, b].map(|of| median(&resample(of, blocks, &mut random)));
            Some(b? - a?)
        })
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    Some(Interval { low: *differences.get(tail)?, high: *differences.get(RESAMPLES - 1 - tail)? })
}

fn resample(of: &[f64], blocks: bool, random: &mut SplitMix) -> Vec<f64> {
    let block = if blocks { block_of(of.len()) } else { 1 };
    let mut drawn = Vec::with_capacity(of.len() + block);
    while drawn.len() < of.len() {
        let from = random.below(of.len());
        // Around the end, so that every value is as likely as any other.
        drawn.extend((0..block).map(|step| of[(from + step) % of.len()]));
    }
    drawn.truncate(of.len());
    drawn
}

/// The length of a block: about the square root, so that blocks are long and many.
#[expect(clippy::cast_precision_loss, reason = "a length of a block")]
fn block_of(values: usize) -> usize {
    ((values as f64).sqrt().ceil() as usize).clamp(1, LONGEST_BLOCK)
}

/// Sebastiano Vigna's SplitMix64: enough to resample with, and the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values around `middle`, in an order that no neighbour depends on.
    fn around(middle: f64, values: usize, seed: u64) -> Vec<f64> {
        let mut random = SplitMix(seed);
        (0..values).map(|_| middle + random.below(1_000) as f64 / 1_000.0 - 0.5).collect()
    }

    #[test]
    fn a_shift_is_seen_and_none_is_not() {
        let (a, b) = (around(10.0, 30, 1), around(11.0, 30, 2));
        let shifted = difference(&a, &b, false).unwrap();
        assert!(shifted.excludes_zero() && shifted.low < 1.0 && shifted.high > 1.0, "{shifted:?}");
        let same = difference(&a, &around(10.0, 30, 3), false).unwrap();
        assert!(!same.excludes_zero(), "{same:?}");
        assert_eq!(difference(&a, &b, false), Some(shifted), "the same each time");
    }

    #[test]
    fn of_two_alike_one_in_twenty_seems_different() {
        let seems = (0..200_u64)
            .filter(|n| {
                let (a, b) = (around(5.0, 20, n * 2 + 100), around(5.0, 20, n * 2 + 101));
                difference(&a, &b, false).unwrap().excludes_zero()
            })
            .count();
        assert!(seems <= 20, "{seems} of 200");
    }

    #[test]
    fn neighbours_that_resemble_each_other_widen_the_interval() {
        let steps = |seed| -> Vec<f64> {
            around(0.0, 20, seed).into_iter().flat_map(|v| std::iter::repeat_n(v, 10)).collect()
        };
        let (a, b) = (steps(7), steps(8));
        let width = |blocks| difference(&a, &b, blocks).map(|i| i.high - i.low).unwrap();
        assert!(width(true) > 1.5 * width(false), "{} {}", width(true), width(false));
    }

    #[test]
    fn too_little_gives_nothing() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.0, 3.0], false), None);
        assert_eq!(difference(&[1.0, f64::NAN, 2.0], &[1.0, 2.0, 3.0], false), None);
        assert_eq!((median(&[]), median(&[3.0, 1.0, 2.0])), (None, Some(2.0)));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
    }
}
