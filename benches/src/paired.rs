//! Two contestants that take turns: the ratio of their rates, with its interval.
//!
//! On a machine that others use too, an absolute rate says little; the ratio of two runs that
//! follow each other says more, and the spread over the pairs says how much.

/// A value and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The middle.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} [{:.3}, {:.3}]", self.value, self.low, self.high)
    }
}

/// Rates of two contestants, pair by pair.
#[derive(Clone, Debug, Default)]
pub struct Paired {
    /// Pairs of rates: the one in question, and what it is held against.
    pub pairs: Vec<(f64, f64)>,
}

impl Paired {
    /// Adds a pair.
    pub fn push(&mut self, ours: f64, theirs: f64) {
        assert!(ours > 0.0 && theirs > 0.0, "a rate is positive");
        self.pairs.push((ours, theirs));
    }

    /// Geometric mean of the ratios, with the 95 % interval of Student's t over their logarithms;
    /// from two pairs on.
    pub fn ratio(&self) -> Option<Estimate> {
        let logs: Vec<f64> = self.pairs.iter().map(|(ours, theirs)| (ours / theirs).ln()).collect();
        if logs.len() < 2 {
            return None;
        }
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let variance = logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let half = student_t(logs.len() - 1) * (variance / n).sqrt();
        Some(Estimate { value: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
    }

    /// Medians of both rates.
    pub fn medians(&self) -> (f64, f64) {
        (median(self.pairs.iter().map(|p| p.0)), median(self.pairs.iter().map(|p| p.1)))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The two-sided 95 % point of Student's t.
fn student_t(degrees: usize) -> f64 {
    const POINTS: [f64; 20] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    ];
    POINTS.get(degrees - 1).copied().unwrap_or(2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_ratio_has_no_spread() {
        let mut paired = Paired::default();
        for rate in [1.0, 5.0, 9.0] {
            paired.push(3.0 * rate, rate);
        }
        let ratio = paired.ratio().expect("three pairs");
        assert!((ratio.value - 3.0).abs() < 1e-9 && (ratio.high - ratio.low).abs() < 1e-9);
        assert_eq!(paired.medians(), (15.0, 5.0));
    }

    #[test]
    fn a_spread_gives_an_interval_and_one_pair_none() {
        let mut paired = Paired::default();
        paired.push(2.0, 1.0);
        assert_eq!(paired.ratio(), None);
        paired.push(0.5, 1.0);
        let ratio = paired.ratio().expect("two pairs");
        assert!((ratio.value - 1.0).abs() < 1e-9);
        assert!(ratio.low < 0.01 && ratio.high > 100.0, "{ratio}");
    }
}
