//! Change points in a series: E-divisive means. Pure.
//!
//! Matteson and James (2014), "A nonparametric approach for multiple change point analysis of
//! multivariate data", with exponent 1, as used on benchmarks by Daly et al. (2020, MongoDB) and by
//! Apache Otava. A split is worth the energy distance between its sides; the best one counts if
//! hardly any shuffle of the series has a better one; both sides are then split again.
//!
//! Invariants: the same series gives the same change points (shuffles are seeded); a change point
//! is the index of the first value after it, and no side of it is shorter than [`SHORTEST`].

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64Mcg;

/// Values that a side needs.
pub const SHORTEST: usize = 4;
/// Shuffles of a test.
const SHUFFLES: u32 = 499;

/// A place where the series changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The first value after it.
    pub at: usize,
    /// How often chance does as well.
    pub p_value: f64,
}

/// All change points with a p-value of at most `significance`, in order.
pub fn change_points(series: &[f64], significance: f64) -> Vec<ChangePoint> {
    let mut found = Vec::new();
    let mut open = vec![(0, series.len())];
    let mut random = Pcg64Mcg::seed_from_u64(series.len() as u64);
    while let Some((from, to)) = open.pop() {
        let part = &series[from..to];
        let Some((split, worth)) = best_split(part) else { continue };
        // Sums in another order are not the same to the last bit.
        let bar = worth - 1e-9 * worth.abs();
        let mut shuffled = part.to_vec();
        let mut as_good = 0;
        for _ in 0..SHUFFLES {
            shuffled.shuffle(&mut random);
            as_good += u32::from(best_split(&shuffled).is_some_and(|(_, other)| other >= bar));
        }
        let p_value = f64::from(as_good + 1) / f64::from(SHUFFLES + 1);
        if p_value <= significance && worth > 0.0 {
            found.push(ChangePoint { at: from + split, p_value });
            open.extend([(from, from + split), (from + split, to)]);
        }
    }
    found.sort_by_key(|point| point.at);
    found
}

/// The split with the largest energy distance between its sides, and that distance.
fn best_split(part: &[f64]) -> Option<(usize, f64)> {
    let n = part.len();
    if n < 2 * SHORTEST {
        return None;
    }
    let distance = |i: usize, j: usize| (part[i] - part[j]).abs();
    // Sums of distances: across, among the left, among the right; one value after the other
    // changes sides.
    let (mut across, mut left, mut right) = (0.0, 0.0, 0.0);
    for i in 0..n {
        right += (0..i).map(|j| distance(i, j)).sum::<f64>();
    }
    let mut best: Option<(usize, f64)> = None;
    for split in 1..=n - SHORTEST {
        let moved = split - 1;
        let to_left: f64 = (0..moved).map(|j| distance(moved, j)).sum();
        let to_right: f64 = (split..n).map(|j| distance(moved, j)).sum();
        across += to_right - to_left;
        left += to_left;
        right -= to_right;
        if split < SHORTEST {
            continue;
        }
        let (m, k) = (split as f64, (n - split) as f64);
        let pairs = |count: f64| count * (count - 1.0) / 2.0;
        let energy = 2.0 * across / (m * k) - left / pairs(m) - right / pairs(k);
        let worth = m * k / (m + k) * energy;
        if best.is_none_or(|(_, so_far)| worth > so_far) {
            best = Some((split, worth));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_pcg::Pcg64Mcg;

    use super::*;

    fn noise(seed: u64, n: usize) -> Vec<f64> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        (0..n).map(|_| random.random_range(-1.0..1.0)).collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let mut series = noise(1, 40);
        series[25..].iter_mut().for_each(|value| *value += 3.0);
        let found = change_points(&series, 0.01);
        assert_eq!(found.iter().map(|point| point.at).collect::<Vec<_>>(), [25]);
        assert!(found[0].p_value <= 0.002 + 1e-9, "{found:?}");
    }

    #[test]
    fn two_steps_are_two_change_points() {
        let mut series = noise(2, 60);
        series[20..].iter_mut().for_each(|value| *value += 3.0);
        series[45..].iter_mut().for_each(|value| *value += 3.0);
        let found: Vec<_> = change_points(&series, 0.01).iter().map(|point| point.at).collect();
        assert_eq!(found, [20, 45]);
    }

    #[test]
    fn noise_alone_rarely_changes() {
        let with = (0..100).filter(|seed| !change_points(&noise(*seed, 30), 0.01).is_empty());
        assert!(with.count() <= 4);
    }

    #[test]
    fn one_outlier_is_no_change() {
        let mut series = noise(3, 30);
        series[12] = 40.0;
        assert_eq!(change_points(&series, 0.01), []);
    }

    #[test]
    fn a_constant_or_short_series_has_none() {
        assert_eq!(change_points(&[1.0; 30], 0.05), []);
        assert_eq!(change_points(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0], 0.5), []);
        assert_eq!(change_points(&[], 0.05), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn scale_and_place_of_the_series_do_not_matter(
            seed in 0u64..1000, step in 0.0f64..4.0, times in 0.01f64..1000.0, shift in -1e3f64..1e3,
        ) {
            let mut series = noise(seed, 24);
            series[10..].iter_mut().for_each(|value| *value += step);
            let other: Vec<f64> = series.iter().map(|value| value * times + shift).collect();
            let at = |series: &[f64]| -> Vec<usize> {
                change_points(series, 0.01).iter().map(|point| point.at).collect()
            };
            prop_assert_eq!(at(&series), at(&other));
        }

        #[test]
        fn the_sums_that_move_are_those_of_the_definition(
            series in prop::collection::vec(-9.0f64..9.0, 8..30),
        ) {
            let (split, worth) = best_split(&series).expect("long enough");
            let (a, b) = series.split_at(split);
            let across: f64 = a.iter().flat_map(|x| b.iter().map(move |y| (x - y).abs())).sum();
            let within = |side: &[f64]| {
                let all: f64 =
                    side.iter().flat_map(|x| side.iter().map(move |y| (x - y).abs())).sum();
                all / (side.len() * (side.len() - 1)) as f64
            };
            let (m, k) = (a.len() as f64, b.len() as f64);
            let energy = 2.0 * across / (m * k) - within(a) - within(b);
            prop_assert!((worth - m * k / (m + k) * energy).abs() < 1e-6);
        }
    }
}
