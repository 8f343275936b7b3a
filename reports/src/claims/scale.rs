//! From values to places on a drawing, with round ticks.
//!
//! Invariant: every value within the range has a place between the two ends; a range without
//! extent is widened, so nothing divides by zero.

use super::Axis;
use crate::figures::{count, decimal};

/// One axis of a drawing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
    /// Where the lowest and the highest value are drawn.
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale over `values`, drawn between `from` and `to`; with `from_zero` it begins at 0.
    pub(super) fn over(
        axis: &Axis,
        values: impl Iterator<Item = f64>,
        from_zero: bool,
        (from, to): (f64, f64),
    ) -> Self {
        let usable = |value: &f64| value.is_finite() && (!axis.is_log || *value > 0.0);
        let (mut low, mut high) = values
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            (low, high) = if axis.is_log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        if axis.is_log {
            (low, high) = (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()));
            if low == high {
                high *= 10.0;
            }
        } else {
            if from_zero {
                (low, high) = (low.min(0.0), high.max(0.0));
            }
            if low == high {
                high = low + 1.0;
            }
            let step = step(high - low);
            (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        }
        Self { low, high, is_log: axis.is_log, from, to }
    }

    /// Where `value` is drawn.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            let value = value.max(self.low);
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values to mark, with their names.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let mut ticks = Vec::new();
        if self.is_log {
            let (first, last) = (self.low.log10().round() as i32, self.high.log10().round() as i32);
            let every = ((last - first) / 6 + 1) as usize;
            for power in (first..=last).step_by(every) {
                ticks.push((self.place(10_f64.powi(power)), name(10_f64.powi(power))));
            }
            return ticks;
        }
        let step = step(self.high - self.low);
        let steps = ((self.high - self.low) / step).round() as u32;
        for n in 0..=steps {
            let value = self.low + f64::from(n) * step;
            ticks.push((self.place(value), name(value)));
        }
        ticks
    }
}

/// A round step that divides `extent` into about five.
fn step(extent: f64) -> f64 {
    let rough = extent / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|n| n * power);
    *steps.iter().find(|step| **step >= rough * 0.999).unwrap_or(&steps[4])
}

/// A short name of a value: 1,500 or 0.25 or 2 M.
pub(super) fn name(value: f64) -> String {
    match value.abs() {
        a if a >= 1e6 => format!("{} M", decimal(value / 1e6, 1)),
        a if a >= 1e4 => format!("{} k", decimal(value / 1e3, 1)),
        a if a >= 10.0 && value > 0.0 => count(value.round() as u64),
        _ => decimal(value, 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_drawing() {
        let scale = Scale::over(&Axis::of("s"), [0.0, 93.0].into_iter(), true, (0.0, 100.0));
        let names: Vec<_> = scale.ticks().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["0", "20", "40", "60", "80", "100"]);
        assert!((scale.place(50.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_logarithmic_axis_marks_powers_of_ten() {
        let scale = Scale::over(&Axis::log("x"), [3.0, 4e6].into_iter(), false, (0.0, 70.0));
        assert_eq!(scale.ticks().first().map(|t| t.1.as_str()), Some("1"));
        assert_eq!(scale.place(0.0), 0.0, "what has no logarithm stands at the low end");
    }

    #[test]
    fn nothing_at_all_has_a_scale() {
        for axis in [Axis::of("x"), Axis::log("x")] {
            let scale = Scale::over(&axis, std::iter::empty(), true, (0.0, 1.0));
            assert!(scale.place(0.5).is_finite() && !scale.ticks().is_empty());
        }
    }
}
