//! Two results, or two sets of repetitions, side by side: differences with intervals.
//!
//! Invariants: no difference is called better or worse without an interval that excludes zero; each
//! interval says what it covers: the spread between repetitions (from [`ENOUGH`] on each side), or
//! only the spread within two single runs, which two other runs may well leave. Where no spread is
//! known, that is said instead of an interval.
//!
//! This compares; it does not gate.

mod markdown;

pub use markdown::render as markdown;
pub(crate) use markdown::{change, interval};

use crate::measures::{Better, Measure, Unit, Within, measures};
use crate::schema::RunResult;
use crate::stats::{self, Interval};

/// Repetitions on each side from which on a difference between them is called one.
const ENOUGH: usize = 5;

/// One side of a comparison.
#[derive(Debug, Clone)]
pub struct Side {
    /// What it is called, for example the folder's name.
    pub name: String,
    /// One result, or repetitions of the same.
    pub results: Vec<RunResult>,
}

/// What an interval covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The spread between repetitions.
    Repetitions,
    /// The spread within two single runs.
    Within,
    /// Nothing: there is no interval.
    Nothing,
}

/// What may be said of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// B is better.
    Better,
    /// B is worse.
    Worse,
    /// B differs, and neither is better.
    Differs,
    /// Both intervals are there, and no difference is shown.
    Alike,
    /// Nothing may be said.
    Unjudged,
}

/// A value of one side, with its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) value: f64,
    /// Lower and upper quartile, from [`stats::LEAST`] values on.
    pub(crate) quartiles: Option<(f64, f64)>,
    /// Values behind it.
    pub(crate) values: usize,
}

/// One figure on both sides.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its stable name.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests find rows by it"))]
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) a: Spread,
    pub(crate) b: Spread,
    pub(crate) interval: Option<Interval>,
    pub(crate) basis: Basis,
    pub(crate) finding: Finding,
}

impl Row {
    /// B minus A.
    pub(crate) fn difference(&self) -> f64 {
        self.b.value - self.a.value
    }

    /// B minus A in percent of A; `None` where A is zero.
    pub(crate) fn percent(&self, of: f64) -> Option<f64> {
        (self.a.value != 0.0).then(|| of / self.a.value.abs() * 100.0)
    }
}

impl Basis {
    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Repetitions => "between repetitions",
            Self::Within => "within the runs",
            Self::Nothing => "no spread known",
        }
    }
}

impl Finding {
    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Better => "B better",
            Self::Worse => "B worse",
            Self::Differs => "differs",
            Self::Alike => "no difference shown",
            Self::Unjudged => "not judged",
        }
    }
}

/// Every figure that both sides have.
pub(crate) fn rows(a: &Side, b: &Side) -> Vec<Row> {
    let all = |side: &Side| side.results.iter().map(measures).collect::<Vec<_>>();
    let (of_a, of_b) = (all(a), all(b));
    let Some(first) = of_a.first() else { return Vec::new() };
    first.iter().filter_map(|measure| row(measure, &of_a, &of_b)).collect()
}

fn row(measure: &Measure, a: &[Vec<Measure>], b: &[Vec<Measure>]) -> Option<Row> {
    let find = |side: &[Vec<Measure>]| -> Vec<Measure> {
        side.iter().filter_map(|m| m.iter().find(|m| m.id == measure.id)).cloned().collect()
    };
    let (a, b) = (find(a), find(b));
    let values = |side: &[Measure]| side.iter().map(|m| m.value).collect::<Vec<f64>>();
    let (of_a, of_b) = (values(&a), values(&b));
    let repeated = of_a.len() >= stats::LEAST && of_b.len() >= stats::LEAST;
    let (basis, interval, spread_a, spread_b) = match (a.as_slice(), b.as_slice()) {
        ([], _) | (_, []) => return None,
        _ if repeated => {
            let interval = stats::difference(&of_a, &of_b, false);
            (Basis::Repetitions, interval, spread(&of_a)?, spread(&of_b)?)
        }
        ([a], [b]) => match within(&a.within).zip(within(&b.within)) {
            Some(((of_a, blocks), (of_b, _))) => {
                let interval = stats::difference(of_a, of_b, blocks);
                (Basis::Within, interval, spread(of_a)?, spread(of_b)?)
            }
            None => (Basis::Nothing, None, alone(a.value), alone(b.value)),
        },
        _ => (Basis::Nothing, None, spread(&of_a)?, spread(&of_b)?),
    };
    let enough = basis == Basis::Within || of_a.len().min(of_b.len()) >= ENOUGH;
    let better = measure.better;
    Some(Row {
        id: measure.id,
        name: measure.name,
        unit: measure.unit,
        a: spread_a,
        b: spread_b,
        basis: if interval.is_some() { basis } else { Basis::Nothing },
        finding: finding(interval.filter(|_| enough), better),
        interval,
    })
}

fn within(within: &Within) -> Option<(&[f64], bool)> {
    match within {
        Within::Nothing => None,
        Within::Each(values) => Some((values, false)),
        Within::Series(values) => Some((values, true)),
    }
}

fn alone(value: f64) -> Spread {
    Spread { value, quartiles: None, values: 1 }
}

fn spread(values: &[f64]) -> Option<Spread> {
    let quartile = |q| stats::quantile(values, q);
    let quartiles = quartile(0.25).zip(quartile(0.75)).filter(|_| values.len() >= stats::LEAST);
    Some(Spread { value: stats::median(values)?, quartiles, values: values.len() })
}

fn finding(interval: Option<Interval>, better: Better) -> Finding {
    let Some(interval) = interval else { return Finding::Unjudged };
    match (interval.excludes_zero(), better) {
        (false, _) => Finding::Alike,
        (true, Better::Neither) => Finding::Differs,
        (true, Better::More) if interval.low > 0.0 => Finding::Better,
        (true, Better::Less) if interval.high < 0.0 => Finding::Better,
        (true, _) => Finding::Worse,
    }
}

/// What the two sides do not have in common, by name: circumstances that explain differences.
pub(crate) fn circumstances(a: &Side, b: &Side) -> Vec<(&'static str, String, String)> {
    let (Some(a), Some(b)) = (a.results.first(), b.results.first()) else { return Vec::new() };
    let commit = |r: &RunResult| r.environment.git_commit.clone().unwrap_or_default();
    let mutant = |r: &RunResult| r.origin.as_ref().and_then(|o| o.mutant.clone());
    let pairs = [
        ("scenario", a.scenario.clone(), b.scenario.clone()),
        ("mode", a.mode.clone(), b.mode.clone()),
        ("parallelism", a.parallelism.to_string(), b.parallelism.to_string()),
        ("workers", a.workers.to_string(), b.workers.to_string()),
        ("seed", a.seed.to_string(), b.seed.to_string()),
        ("records", a.records.to_string(), b.records.to_string()),
        ("planted bug", mutant(a).unwrap_or_default(), mutant(b).unwrap_or_default()),
        ("environment", a.environment.name.clone(), b.environment.name.clone()),
        ("processor", a.environment.cpu_model.clone(), b.environment.cpu_model.clone()),
        ("cores", a.environment.cores.to_string(), b.environment.cores.to_string()),
        ("commit", commit(a), commit(b)),
    ];
    pairs.into_iter().filter(|(_, a, b)| a != b).collect()
}

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
