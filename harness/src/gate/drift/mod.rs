//! Slow drift: a figure that got worse over many runs, each step too small for a gate to see.
//!
//! *Follow a figure:* [`history`] has its values by time -> those of the newest machine and build
//! -> [`energy::change_points`] of their logarithms cut them into segments -> the last segment is
//! held against the best one before it.
//!
//! Invariant: a difference that no change point shows is no drift, however large; a drift says
//! since which run.

pub mod energy;
pub mod history;

use stormproof_reports::gate::{Answer, Finding};

use super::config::Drift;
use super::wall::is_better_higher;
use energy::{SHORTEST, change_points};
use history::Entry;

/// Findings of every figure that the newest entry has.
pub fn judge(entries: &[Entry], limits: &Drift) -> Vec<Finding> {
    let Some(newest) = entries.last() else { return Vec::new() };
    let is_comparable =
        |entry: &&Entry| entry.machine == newest.machine && entry.at >= limits.accepted_until;
    let alike: Vec<&Entry> = entries.iter().filter(is_comparable).collect();
    let alike = &alike[alike.len().saturating_sub(limits.window)..];
    newest.figures.keys().map(|figure| one(figure, alike, limits)).collect()
}

/// A stretch without a change point.
struct Segment<'e> {
    first: &'e Entry,
    runs: usize,
    /// Mean of the logarithms; higher = worse.
    level: f64,
    p_value: f64,
}

fn one(figure: &str, entries: &[&Entry], limits: &Drift) -> Finding {
    let having = |entry: &&&Entry| entry.figures.get(figure).is_some_and(|v| *v > 0.0);
    let entries: Vec<&Entry> = entries.iter().filter(having).copied().collect();
    let sign = if is_better_higher(figure) { -1.0 } else { 1.0 };
    let series: Vec<f64> = entries.iter().map(|entry| sign * entry.figures[figure].ln()).collect();
    if series.len() < 2 * SHORTEST {
        return finding(
            figure,
            Answer::NoVerdict,
            format!("{} comparable runs; {} are needed", series.len(), 2 * SHORTEST),
            "let the gate record more runs on this machine",
        );
    }
    let segments = segments(&entries, &series, limits.significance);
    let last = segments.last().expect("there is always one segment");
    let before = &segments[..segments.len() - 1];
    let Some(best) = before.iter().min_by(|a, b| a.level.total_cmp(&b.level)) else {
        let because = format!("no change point in {} runs", series.len());
        return finding(figure, Answer::Pass, because, "");
    };
    let worse_percent = (last.level - best.level).exp_m1() * 100.0;
    let is_worse = worse_percent >= limits.worse_percent;
    let word = if worse_percent < 0.0 { "better" } else { "worse" };
    let because = format!(
        "{} change points in {} runs; the last {} runs, since {} of {}, are {word} than the {} runs \
         from {} of {} on; chance does that {:.1} % of the time at most",
        before.len(),
        series.len(),
        last.runs,
        last.first.commit,
        last.first.at,
        best.runs,
        best.first.commit,
        best.first.at,
        last.p_value * 100.0
    );
    let mut found = finding(
        figure,
        if is_worse { Answer::Regression } else { Answer::Pass },
        because,
        "look at what came between the two; if it is wanted, set drift.accepted_until to the \
         newer time",
    );
    found.base = Some((sign * best.level).exp());
    found.head = Some((sign * last.level).exp());
    found.worse_percent = Some(worse_percent);
    found
}

fn segments<'e>(entries: &[&'e Entry], series: &[f64], significance: f64) -> Vec<Segment<'e>> {
    let points = change_points(series, significance);
    let starts = std::iter::once((0, 1.0)).chain(points.iter().map(|p| (p.at, p.p_value)));
    let ends = points.iter().map(|p| p.at).chain([series.len()]);
    let segment = |((from, p_value), to): ((usize, f64), usize)| Segment {
        first: entries[from],
        runs: to - from,
        level: series[from..to].iter().sum::<f64>() / (to - from) as f64,
        p_value,
    };
    starts.zip(ends).map(segment).collect()
}

fn finding(figure: &str, answer: Answer, because: String, remedy: &str) -> Finding {
    Finding {
        figure: figure.to_owned(),
        part: "drift".to_owned(),
        answer,
        base: None,
        head: None,
        worse_percent: None,
        interval_percent: None,
        because,
        remedy: if answer == Answer::Pass { String::new() } else { remedy.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_pcg::Pcg64Mcg;

    use super::super::measure::Figures;
    use super::*;

    /// A history of a rate whose mean is `level` of the run.
    fn history(runs: usize, level: impl Fn(usize) -> f64) -> Vec<Entry> {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        let entry = |n: usize| Entry {
            at: format!("2026-01-01T00:{n:02}:00Z"),
            commit: format!("c{n}"),
            machine: "m".to_owned(),
            figures: Figures::from([(
                "records_per_s".to_owned(),
                level(n) * (1.0 + random.random_range(-0.01..0.01)),
            )]),
        };
        (0..runs).map(entry).collect()
    }

    fn only(entries: &[Entry], limits: &Drift) -> Finding {
        let mut found = judge(entries, limits);
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[test]
    fn a_slow_decline_is_found_that_no_single_step_shows() {
        // 0.3 % a run, in noise of 1 %.
        let declining = history(40, |n| 1e6 * 0.997_f64.powf(n as f64));
        let found = only(&declining, &Drift::default());
        assert_eq!(found.answer, Answer::Regression, "{found:?}");
        assert!(found.worse_percent.expect("a size") > 5.0, "{found:?}");
        assert!(!found.remedy.is_empty());
    }

    #[test]
    fn a_step_is_dated_and_a_gain_passes() {
        let found = only(&history(30, |n| if n < 18 { 1e6 } else { 0.9e6 }), &Drift::default());
        assert_eq!(found.answer, Answer::Regression);
        assert!(found.because.contains("since c18 of"), "{}", found.because);
        assert!((found.worse_percent.expect("a size") - 11.0).abs() < 1.5, "{found:?}");
        let found = only(&history(30, |n| if n < 18 { 1e6 } else { 1.2e6 }), &Drift::default());
        assert_eq!(found.answer, Answer::Pass, "{found:?}");
    }

    #[test]
    fn what_was_accepted_and_what_is_too_small_or_steady_passes() {
        let step = history(30, |n| if n < 18 { 1e6 } else { 0.9e6 });
        let accepted_until = "2026-01-01T00:18:00Z".to_owned();
        let accepted = Drift { accepted_until, ..Drift::default() };
        assert_eq!(only(&step, &accepted).answer, Answer::Pass);
        let tolerant = Drift { worse_percent: 20.0, ..Drift::default() };
        assert_eq!(only(&step, &tolerant).answer, Answer::Pass);
        assert_eq!(only(&history(30, |_| 1e6), &Drift::default()).answer, Answer::Pass);
    }

    #[test]
    fn other_machines_do_not_count_and_few_runs_are_no_verdict() {
        let mut mixed = history(30, |n| if n % 2 == 0 { 1e6 } else { 0.5e6 });
        for (n, entry) in mixed.iter_mut().enumerate() {
            entry.machine = format!("m{}", n % 2);
        }
        assert_eq!(only(&mixed, &Drift::default()).answer, Answer::Pass);
        let found = only(&history(7, |_| 1e6), &Drift::default());
        assert_eq!(found.answer, Answer::NoVerdict);
        assert_eq!(judge(&[], &Drift::default()), []);
    }
}
