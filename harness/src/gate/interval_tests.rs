//! What an interval promises: coverage, order, indifference to scale and to single outliers.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

use super::*;

/// About normal, by the sum of twelve.
fn normal(random: &mut Pcg64Mcg) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

#[test]
fn the_points_are_those_of_the_tables() {
    assert!((normal_point(0.975) - 1.960).abs() < 1e-3);
    for (degrees, point) in [(4, 2.776), (9, 2.262), (19, 2.093)] {
        assert!((student(0.975, degrees) / point - 1.0).abs() < 0.004, "{degrees}");
    }
}

#[test]
fn few_values_and_absurd_ones_have_no_interval() {
    assert_eq!(bootstrap(&[1.0; 3], 0.95), None);
    assert_eq!(bootstrap(&[1.0, 1.0, 1.0, f64::NAN], 0.95), None);
    let same = bootstrap(&[1.0; 4], 0.95).expect("four values");
    assert_eq!((same.value, same.low, same.high), (1.0, 1.0, 1.0));
}

/// The share of intervals of `n` values around zero that hold the zero.
fn coverage(n: usize, draw: fn(&mut Pcg64Mcg) -> f64) -> f64 {
    const TIMES: usize = 400;
    let mut random = Pcg64Mcg::seed_from_u64(7);
    let holds = |_: &usize| {
        let values: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
        let found = bootstrap(&values, 0.95).expect("enough values");
        found.low <= 0.0 && 0.0 <= found.high
    };
    (0..TIMES).filter(holds).count() as f64 / TIMES as f64
}

#[test]
fn an_interval_covers_what_it_promises() {
    let contaminated = |random: &mut Pcg64Mcg| {
        let times = if random.random_range(0..5) == 0 { 8.0 } else { 1.0 };
        normal(random) * times
    };
    for n in [5, 8, 10, 20] {
        let (quiet, noisy) = (coverage(n, normal), coverage(n, contaminated));
        assert!(quiet > 0.915 && quiet < 0.995, "{n}: {quiet}");
        assert!(noisy > 0.90, "{n}: {noisy}");
    }
}

#[test]
fn one_wild_value_of_ten_hardly_moves_the_estimate() {
    let mut values: Vec<f64> = (0..10).map(|n| f64::from(n) * 0.001).collect();
    let before = trimmed_mean(&values);
    values[3] = 5.0;
    assert!((trimmed_mean(&values) - before).abs() < 0.001);
}

proptest! {
    #[test]
    fn the_interval_holds_its_estimate_and_moves_with_the_values(
        values in prop::collection::vec(-1.0f64..1.0, 4..25),
        shift in -10.0f64..10.0,
    ) {
        let found = bootstrap(&values, 0.95).expect("enough values");
        prop_assert!(found.low <= found.value && found.value <= found.high);
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(lowest <= found.low + 1e-12 && found.high <= highest + 1e-12);
        let moved: Vec<f64> = values.iter().map(|value| value + shift).collect();
        let moved = bootstrap(&moved, 0.95).expect("enough values");
        prop_assert!((moved.value - found.value - shift).abs() < 1e-9);
        prop_assert!((moved.low - found.low - shift).abs() < 1e-9);
        prop_assert!((moved.high - found.high - shift).abs() < 1e-9);
    }

    #[test]
    fn more_confidence_is_never_a_narrower_interval(
        values in prop::collection::vec(-1.0f64..1.0, 4..25),
    ) {
        let narrow = bootstrap(&values, 0.80).expect("enough values");
        let wide = bootstrap(&values, 0.99).expect("enough values");
        prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
    }
}
