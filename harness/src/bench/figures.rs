//! Statistics of a trial: where its warm-up ends, and how its lag grows. Pure.

/// A value and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slope {
    /// Per second.
    pub(super) value: f64,
    /// Half the width of the interval.
    pub(super) half_width: f64,
}

/// Least squares over (seconds, lag), with the interval of the slope; from three points on.
///
/// Neighbouring points of a lag depend on each other, so the interval is taken as if only every
/// fourth were there.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<Slope> {
    const DEPENDENT: f64 = 4.0;
    if points.len() < 3 {
        return None;
    }
    let n = points.len() as f64;
    let mean_t = points.iter().map(|p| p.0).sum::<f64>() / n;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / n;
    let spread = points.iter().map(|p| (p.0 - mean_t).powi(2)).sum::<f64>();
    if spread <= 0.0 {
        return None;
    }
    let value = points.iter().map(|p| (p.0 - mean_t) * (p.1 - mean_y)).sum::<f64>() / spread;
    let residual = |p: &(f64, f64)| (p.1 - mean_y - value * (p.0 - mean_t)).powi(2);
    let variance = points.iter().map(residual).sum::<f64>() / (n - 2.0);
    let half_width = 2.0 * (variance / spread * DEPENDENT).sqrt();
    Some(Slope { value, half_width })
}

/// How many intervals at the start are warm-up: the cut after which the mean of what follows is
/// known best (MSER, White 1997); never more than half of them.
pub(super) fn warm_up(values: &[f64]) -> usize {
    let error_after = |cut: usize| {
        let rest = &values[cut..];
        let n = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / n;
        rest.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n * n)
    };
    let cuts = 0..=values.len() / 2;
    cuts.filter(|cut| *cut < values.len())
        .min_by(|a, b| error_after(*a).total_cmp(&error_after(*b)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_lag_has_a_slope_and_a_noisy_one_none() {
        let growing: Vec<_> = (0..40).map(|i| (f64::from(i) * 0.1, f64::from(i) * 50.0)).collect();
        let found = slope(&growing).expect("many points");
        assert!((found.value - 500.0).abs() < 1e-6 && found.half_width < 1e-3, "{found:?}");
        let noisy: Vec<_> =
            (0..40).map(|i| (f64::from(i) * 0.1, f64::from(i * 7919 % 100))).collect();
        let found = slope(&noisy).expect("many points");
        assert!(found.value.abs() < found.half_width, "{found:?}");
        assert_eq!(slope(&growing[..2]), None);
    }

    #[test]
    fn the_warm_up_is_what_differs_at_the_start() {
        let mut values = vec![900.0, 500.0, 200.0];
        values.extend((0..30).map(|i| 100.0 + f64::from(i % 3)));
        assert_eq!(warm_up(&values), 3);
        assert_eq!(warm_up(&[100.0; 20]), 0);
        assert_eq!(warm_up(&[]), 0);
    }
}
