//! Many results over time: each figure's course, and how the newest stands among the others.
//!
//! Invariants: results are in the order in which they began; the newest value is never shown
//! without the median and the quartiles of those before it, if there are [`stats::LEAST`]. Results
//! of other scenarios, modes or machines are not mixed: they are courses of their own.
//!
//! This shows a course; whether it drifted is a gate's question.

mod markdown;

pub use markdown::render as markdown;

use crate::measures::{Better, Measure, Unit, measures};
use crate::schema::{RunResult, Verdict};
use crate::stats;
use crate::text;

/// Figures that have a course, by id.
const SHOWN: [&str; 10] = [
    "records_per_s",
    "latency_p50_us",
    "latency_p99_us",
    "checkpoint_ms",
    "checkpoint_state_bytes",
    "outage_ms",
    "drained_ms",
    "duplicates_of_a_failure",
    "peak_rss_bytes",
    "lost",
];

/// Results that can be compared with each other, oldest first.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    /// What they have in common.
    pub(crate) name: String,
    /// The results.
    pub(crate) results: Vec<&'a RunResult>,
    /// The figures that at least two of them have.
    pub(crate) figures: Vec<Figure>,
}

/// One figure over time.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
    /// One value for each result.
    pub(crate) values: Vec<Option<f64>>,
    /// Median and quartiles of all but the newest.
    pub(crate) before: Option<(f64, f64, f64)>,
}

impl Figure {
    /// The newest value.
    pub(crate) fn newest(&self) -> Option<f64> {
        self.values.last().copied().flatten()
    }

    /// Where the newest value stands among those before it.
    pub(crate) fn standing(&self) -> &'static str {
        let (Some(newest), Some((_, low, high))) = (self.newest(), self.before) else {
            return "too few to tell";
        };
        match (newest < low, newest > high, self.better) {
            (false, false, _) => "as usual",
            (true, _, Better::Less) | (_, true, Better::More) => "better than most",
            (true, _, Better::More) | (_, true, Better::Less) => "worse than most",
            _ => "unusual",
        }
    }
}

/// Sorts results into courses, the one with the newest result first.
pub(crate) fn courses(results: &[RunResult]) -> Vec<Course<'_>> {
    let mut sorted: Vec<&RunResult> = results.iter().collect();
    sorted.sort_by(|a, b| a.started_at.cmp(&b.started_at));
    let mut courses: Vec<Course<'_>> = Vec::new();
    for result in sorted {
        let name = name(result);
        match courses.iter_mut().find(|course| course.name == name) {
            Some(course) => course.results.push(result),
            None => courses.push(Course { name, results: vec![result], figures: Vec::new() }),
        }
    }
    for course in &mut courses {
        course.figures = figures(&course.results);
    }
    courses.sort_by_key(|course| {
        std::cmp::Reverse(course.results.last().map(|result| result.started_at.clone()))
    });
    courses
}

fn name(result: &RunResult) -> String {
    let at = &result.environment;
    let whole = format!(
        "{}, {}, parallelism {}, {} records, {} on {} cores",
        result.scenario,
        result.mode,
        result.parallelism,
        crate::figures::count(result.records),
        at.name,
        at.cores
    );
    text::line(&whole, text::CELL)
}

fn figures(results: &[&RunResult]) -> Vec<Figure> {
    let all: Vec<Vec<Measure>> = results.iter().map(|result| measures(result)).collect();
    let course = |id: &&str| {
        let found: Vec<Option<&Measure>> =
            all.iter().map(|measures| measures.iter().find(|m| m.id == *id)).collect();
        let first = found.iter().flatten().next()?;
        let values: Vec<Option<f64>> = found.iter().map(|m| m.map(|m| m.value)).collect();
        (values.iter().flatten().count() >= 2).then(|| Figure {
            name: first.name,
            unit: first.unit,
            better: first.better,
            before: before(&values),
            values,
        })
    };
    SHOWN.iter().filter_map(course).collect()
}

fn before(values: &[Option<f64>]) -> Option<(f64, f64, f64)> {
    let earlier = values.split_last()?.1;
    let earlier: Vec<f64> = earlier.iter().flatten().copied().collect();
    if earlier.len() < stats::LEAST {
        return None;
    }
    let at = |q| stats::quantile(&earlier, q);
    Some((at(0.5)?, at(0.25)?, at(0.75)?))
}

/// How many results have which verdict.
pub(crate) fn tally(results: &[&RunResult]) -> [(Verdict, usize); 3] {
    [Verdict::Proven, Verdict::Violated, Verdict::Unknown]
        .map(|v| (v, results.iter().filter(|result| result.shown_verdict() == v).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(day: u32, mode: &str, rate: f64) -> RunResult {
        RunResult {
            started_at: format!("2026-01-{day:02}T00:00:00Z"),
            mode: mode.to_owned(),
            records_per_s: rate,
            ..RunResult::default()
        }
    }

    #[test]
    fn results_that_cannot_be_compared_are_courses_of_their_own() {
        let results = [
            result(3, "exactly-once", 100.0),
            result(1, "exactly-once", 98.0),
            result(9, "at-least-once", 5.0),
            result(2, "exactly-once", 99.0),
            result(4, "exactly-once", 101.0),
            result(5, "exactly-once", 60.0),
        ];
        let courses = courses(&results);
        let told: Vec<usize> = courses.iter().map(|course| course.results.len()).collect();
        assert_eq!(told, [1, 5], "the newest first");
        let rate = &courses[1].figures[0];
        let values: Vec<f64> = rate.values.iter().flatten().copied().collect();
        assert_eq!(values, [98.0, 99.0, 100.0, 101.0, 60.0], "in the order of time");
        assert_eq!((rate.newest(), rate.standing()), (Some(60.0), "worse than most"));
        assert_eq!(rate.before, Some((99.0, 98.0, 100.0)));
    }

    #[test]
    fn three_earlier_results_are_needed_for_a_standing() {
        let results: Vec<RunResult> =
            (1..=3).map(|day| result(day, "exactly-once", f64::from(day))).collect();
        assert_eq!(courses(&results)[0].figures[0].standing(), "too few to tell");
    }
}
