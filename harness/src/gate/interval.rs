//! An estimate with its interval, from few and noisy values. Pure.
//!
//! The estimate is the mean without the fifth at each end: on a shared machine some pairs are hit
//! by a neighbour, and they should not decide. Its interval is the percentile bootstrap, with the
//! percentiles moved outwards as Hesterberg (2015, "What teachers should know about the bootstrap",
//! section 3.3.1) says, because with 5 values the plain one covers 83 % where it promises 95 %.
//!
//! Invariant: the same values give the same interval; resampling is seeded by their number.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;
/// Below this there is no interval.
pub(super) const LEAST: usize = 4;

/// A value and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The middle.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The mean without the lowest and the highest fifth; NaN of nothing.
pub fn trimmed_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    trimmed_mean_of(&mut sorted)
}

fn trimmed_mean_of(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let cut = values.len() / 5;
    let kept = &values[cut..values.len() - cut];
    kept.iter().sum::<f64>() / kept.len() as f64
}

/// Estimate and two-sided interval at `confidence` (0.95 = 95 %); `None` below four values.
pub fn bootstrap(values: &[f64], confidence: f64) -> Option<Estimate> {
    if values.len() < LEAST || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let n = values.len();
    let mut random = Pcg64Mcg::seed_from_u64(n as u64);
    let mut resample = vec![0.0; n];
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            resample.fill_with(|| values[random.random_range(0..n)]);
            trimmed_mean_of(&mut resample)
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = expanded_tail(confidence, n);
    let at = |share: f64| means[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
    let value = trimmed_mean(values);
    // The estimate is inside of its own interval, also when resamples lean.
    Some(Estimate { value, low: at(tail).min(value), high: at(1.0 - tail).max(value) })
}

/// The share of resamples outside of the interval at each end.
fn expanded_tail(confidence: f64, n: usize) -> f64 {
    let t = student(1.0 - (1.0 - confidence) / 2.0, n - 1);
    let n = n as f64;
    normal_below(-(n / (n - 1.0)).sqrt() * t)
}

/// The share of the standard normal distribution below `z`; Abramowitz and Stegun 7.1.26.
fn normal_below(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial =
        ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736) * t
            + 0.254_829_592)
            * t;
    let above = polynomial * (-x * x).exp() / 2.0;
    if z < 0.0 { above } else { 1.0 - above }
}

/// The point of the standard normal distribution with `share` below it.
fn normal_point(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_below(middle) < share { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The point of Student's t with `share` below it (Cornish and Fisher; 0.3 % off at 4 degrees).
fn student(share: f64, degrees: usize) -> f64 {
    let (z, v) = (normal_point(share), degrees as f64);
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * v)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * v.powi(3))
}

#[cfg(test)]
#[path = "interval_tests.rs"]
mod tests;
