//! The wall-clock gate: base and head take turns on one host until every figure has its answer.
//!
//! *Follow a pair:* base then head, the next time head then base -> for each figure the logarithm
//! of how much worse head was -> its [`Trial`]. Measuring goes on as long as any trial wants more.
//!
//! Invariants: both sides run once before anything counts; the order within pairs alternates; a
//! figure that ends in `_per_s` is better when higher, every other one when lower.

use std::collections::BTreeMap;

use stormproof_reports::gate::{self, Finding};

use super::config::Wall;
use super::interval::trimmed_mean;
use super::measure::Figures;
use super::trial::{Answer, Rule, Trial};
use crate::error::{Result, evidence};
use crate::output::Console;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What head is held against.
    Base,
    /// What is looked at.
    Head,
}

/// One figure of a comparison.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its decision.
    pub trial: Trial,
    /// What base had, pair by pair.
    pub base: Vec<f64>,
    /// What head had.
    pub head: Vec<f64>,
}

/// Whether more of `figure` is better.
pub fn is_better_higher(figure: &str) -> bool {
    figure.ends_with("_per_s")
}

/// The logarithm of how much worse `head` is than `base`.
pub fn log_worse(figure: &str, base: f64, head: f64) -> f64 {
    let log = (head / base).ln();
    if is_better_higher(figure) { -log } else { log }
}

/// Measures pairs until every figure is decided.
///
/// # Errors
/// When a measurement fails, or the two have no figure in common.
pub fn compare(
    rule: Rule,
    measure: &mut dyn FnMut(Side) -> Result<Figures>,
    told: &mut dyn FnMut(usize, &BTreeMap<String, Compared>),
) -> Result<BTreeMap<String, Compared>> {
    let (base, head) = (measure(Side::Base)?, measure(Side::Head)?);
    let names: Vec<String> = base.keys().filter(|name| head.contains_key(*name)).cloned().collect();
    if names.is_empty() {
        return Err(evidence("base and head have no figure in common")
            .at("wall.arguments")
            .remedy("let both print the same names"));
    }
    let fresh = || Compared { trial: Trial::new(rule), base: Vec::new(), head: Vec::new() };
    let mut all: BTreeMap<String, Compared> =
        names.into_iter().map(|name| (name, fresh())).collect();
    let mut pairs = 0;
    while all.values().any(|figure| figure.trial.answer().is_none()) {
        let (base, head) = match pairs % 2 {
            0 => {
                let base = measure(Side::Base)?;
                (base, measure(Side::Head)?)
            }
            _ => {
                let head = measure(Side::Head)?;
                (measure(Side::Base)?, head)
            }
        };
        pairs += 1;
        for (name, figure) in &mut all {
            let (Some(base), Some(head)) = (base.get(name), head.get(name)) else {
                return Err(evidence(format!("{name} was not measured every time"))
                    .at("wall.arguments")
                    .remedy("let both print the same names at each run"));
            };
            figure.base.push(*base);
            figure.head.push(*head);
            figure.trial.told(log_worse(name, *base, *head));
        }
        told(pairs, &all);
    }
    Ok(all)
}

/// A line for each look of [`compare`].
pub fn tell(console: Console, pairs: usize, all: &BTreeMap<String, Compared>) {
    let percent = |log: f64| log.exp_m1() * 100.0;
    let one = |(name, figure): (&String, &Compared)| {
        let word = match figure.trial.answer() {
            Some(Answer::Pass) => "pass",
            Some(Answer::Regression) => "regression",
            Some(Answer::NoVerdict) => "no verdict",
            None if figure.trial.is_confirmation() => "to be confirmed",
            None => "open",
        };
        match figure.trial.estimate() {
            Some(e) => format!(
                "{name} {:+.1} % [{:+.1}, {:+.1}] {word}",
                percent(e.value),
                percent(e.low),
                percent(e.high)
            ),
            None => format!("{name} {word}"),
        }
    };
    let figures: Vec<String> = all.iter().map(one).collect();
    console.remark(&format!("pair {pairs:>2}: {}", figures.join("; ")));
}

/// What a comparison means.
pub fn findings(wall: &Wall, all: &BTreeMap<String, Compared>) -> Vec<Finding> {
    all.iter().map(|(name, figure)| finding(wall, name, figure)).collect()
}

fn finding(wall: &Wall, name: &str, figure: &Compared) -> Finding {
    let trial = &figure.trial;
    let answer = trial.answer().unwrap_or(Answer::NoVerdict);
    let rounds = match trial.is_confirmation() {
        true => "in two rounds, the second from nothing",
        false => "in one round",
    };
    let sure = format!(
        "{} pairs {rounds}; {} % interval, more than {} % matters",
        trial.pairs(),
        wall.confidence_percent,
        wall.worse_percent
    );
    let (answer, because, remedy) = match answer {
        Answer::Pass if trial.is_confirmation() => {
            (gate::Answer::Pass, format!("a suspicion that was not confirmed: {sure}"), "")
        }
        Answer::Pass => (gate::Answer::Pass, sure, ""),
        Answer::Regression => (
            gate::Answer::Regression,
            format!("confirmed: {sure}"),
            "see where: perf record stormproof measure rate SCENARIO, of both; if the price is \
             wanted, say so in the change and raise wall.worse_percent",
        ),
        Answer::NoVerdict => (
            gate::Answer::NoVerdict,
            format!("noisy: {sure}"),
            "quiet the machine, or raise wall.records or wall.max_pairs; the counts do not depend \
             on it",
        ),
    };
    let percent = |log: f64| log.exp_m1() * 100.0;
    let estimate = trial.estimate();
    Finding {
        figure: name.to_owned(),
        part: "wall".to_owned(),
        answer,
        base: Some(trimmed_mean(&figure.base)),
        head: Some(trimmed_mean(&figure.head)),
        worse_percent: estimate.map(|e| percent(e.value)),
        interval_percent: estimate.map(|e| (percent(e.low), percent(e.high))),
        because,
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { first_pairs: 5, max_pairs: 10, worse: 0.02, confidence: 0.95 };

    fn figures(rate: f64, cpu: f64) -> Figures {
        Figures::from([("records_per_s".to_owned(), rate), ("cpu_ns_per_record".to_owned(), cpu)])
    }

    fn answers(mut measure: impl FnMut(Side) -> Figures) -> Vec<(String, gate::Answer)> {
        let mut measure = |side| Ok(measure(side));
        let all = compare(RULE, &mut measure, &mut |_, _| ()).expect("it measures");
        let found = findings(&Wall::default(), &all);
        found.into_iter().map(|f| (f.figure, f.answer)).collect()
    }

    #[test]
    fn higher_rates_and_lower_costs_are_better() {
        let is = |base: (f64, f64), head: (f64, f64)| {
            let found = answers(|side| match side {
                Side::Base => figures(base.0, base.1),
                Side::Head => figures(head.0, head.1),
            });
            found.into_iter().map(|(_, answer)| answer).collect::<Vec<_>>()
        };
        use gate::Answer::{Pass, Regression};
        // By name: cpu_ns_per_record, records_per_s.
        assert_eq!(is((100.0, 10.0), (100.0, 10.0)), [Pass, Pass]);
        assert_eq!(is((100.0, 10.0), (90.0, 10.0)), [Pass, Regression]);
        assert_eq!(is((100.0, 10.0), (110.0, 11.0)), [Regression, Pass]);
    }

    #[test]
    fn the_two_take_turns_and_the_order_alternates() {
        let mut order = Vec::new();
        answers(|side| {
            order.push(side);
            figures(1.0, 1.0)
        });
        use Side::{Base, Head};
        assert_eq!(order[..8], [Base, Head, Base, Head, Head, Base, Base, Head]);
    }

    #[test]
    fn a_machine_that_gets_slower_and_slower_is_no_regression() {
        let mut n = 0.0;
        let found = answers(|_| {
            n += 1.0;
            figures(1000.0 * 0.99_f64.powf(n), 10.0 * 1.01_f64.powf(n))
        });
        assert!(found.iter().all(|(_, answer)| *answer != gate::Answer::Regression), "{found:?}");
    }

    #[test]
    fn nothing_in_common_is_an_error() {
        let mut measure = |side| {
            let name = if side == Side::Base { "a" } else { "b" };
            Ok(Figures::from([(name.to_owned(), 1.0)]))
        };
        assert!(compare(RULE, &mut measure, &mut |_, _| ()).is_err());
    }
}
