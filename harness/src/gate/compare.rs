//! Two baselines held against each other: the hard gate. Pure.
//!
//! Invariants: what is violated in head is a regression, whatever base was; counts of different
//! builds have no verdict, bytes do not depend on a build; a figure that head has lost has none.

use stormproof_reports::gate::{Answer, Finding};

use super::baseline::Baseline;
use super::config::{Counts, OnChange, Schedules};
use super::measure::schedules::Outcomes;

/// Allocations of a unit that are one for a thousand: chance, not a habit.
const ALLOCATION_SLACK: f64 = 0.001;
/// Seeds that are named.
const NAMED: usize = 5;

fn finding(part: &str, figure: &str, answer: Answer, because: String, remedy: &str) -> Finding {
    Finding {
        figure: figure.to_owned(),
        part: part.to_owned(),
        answer,
        base: None,
        head: None,
        worse_percent: None,
        interval_percent: None,
        because,
        remedy: if answer == Answer::Pass { String::new() } else { remedy.to_owned() },
    }
}

/// Findings about head where there is no base: what is wrong by itself, and that there is none.
pub(super) fn alone(head: &Baseline, base: &str) -> Vec<Finding> {
    let mut all = Vec::new();
    if let Some(schedules) = &head.schedules {
        all.extend([violated(schedules), stability(schedules)]);
    }
    all.push(finding(
        "counts",
        "baseline",
        Answer::NoVerdict,
        format!("there is no {base}: nothing to hold head against"),
        "write one: stormproof gate --update",
    ));
    all
}

/// Findings about simulated schedules.
pub(super) fn schedules(base: &Outcomes, head: &Outcomes, limits: &Schedules) -> Vec<Finding> {
    let mut all = vec![violated(head), stability(head)];
    let is_same_seeds =
        base.first_seed == head.first_seed && base.letters.len() == head.letters.len();
    if !is_same_seeds {
        all.push(finding(
            "schedules",
            "schedules.proven",
            Answer::NoVerdict,
            "base has other seeds".to_owned(),
            "write the baseline anew: stormproof gate --update",
        ));
        return all;
    }
    all.push(proven(base, head, limits.fewer_proven));
    all.push(course(base, head, limits.changed_course));
    all
}

fn named(seeds: impl Iterator<Item = u64>) -> String {
    let seeds: Vec<String> = seeds.map(|seed| seed.to_string()).collect();
    let more = seeds.len().saturating_sub(NAMED);
    let named = seeds[..seeds.len().min(NAMED)].join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn violated(head: &Outcomes) -> Finding {
    let count = head.count('X');
    let (answer, because) = match count {
        0 => (Answer::Pass, format!("none of {} schedules, certain", head.letters.len())),
        _ => (Answer::Regression, format!("violated, certain: seed {}", named(head.seeds('X')))),
    };
    let mut found = finding(
        "schedules",
        "schedules.violated",
        answer,
        because,
        "see what broke: stormproof sim --seed SEED; make it small: stormproof shrink",
    );
    found.head = Some(count as f64);
    found
}

fn stability(head: &Outcomes) -> Finding {
    let (answer, because) = match head.unstable.is_empty() {
        true => (Answer::Pass, "the seeds that were run twice had the same course".to_owned()),
        false => (
            Answer::Regression,
            format!(
                "two runs of the same seed differ: seed {}",
                named(head.unstable.iter().copied())
            ),
        ),
    };
    finding(
        "schedules",
        "schedules.determinism",
        answer,
        because,
        "the engine core must take time, chance and order only from its seams",
    )
}

fn proven(base: &Outcomes, head: &Outcomes, fewer: u64) -> Finding {
    let (was, is) = (base.count('p'), head.count('p'));
    let is_worse = is + fewer < was;
    let pairs = || (base.first_seed..).zip(base.letters.chars().zip(head.letters.chars()));
    let lost = pairs().filter(|(_, (was, is))| *was == 'p' && *is != 'p').map(|(seed, _)| seed);
    let lost = named(lost);
    let mut found = finding(
        "schedules",
        "schedules.proven",
        if is_worse { Answer::Regression } else { Answer::Pass },
        match lost.is_empty() {
            true => "no seed lost its proof, certain".to_owned(),
            false => format!("no longer proven, certain: seed {lost} ({fewer} are allowed)"),
        },
        "see why: stormproof sim --seed SEED; if the simulation was changed on purpose: stormproof \
         gate --update",
    );
    (found.base, found.head) = (Some(was as f64), Some(is as f64));
    found
}

fn course(base: &Outcomes, head: &Outcomes, on_change: OnChange) -> Finding {
    let is_same = base.digest == head.digest;
    let answer = match (is_same, on_change) {
        (true, _) | (false, OnChange::Report) => Answer::Pass,
        (false, OnChange::Fail) => Answer::Regression,
    };
    let because = match is_same {
        true => format!("digest {}: the same course in every event", head.digest),
        false => format!(
            "digest {} -> {}: the same seeds take another course, with the verdicts above",
            base.digest, head.digest
        ),
    };
    finding(
        "schedules",
        "schedules.course",
        answer,
        because,
        "if that was the purpose: stormproof gate --update",
    )
}

/// Findings about counts.
pub(super) fn counts(base: &Baseline, head: &Baseline, limits: &Counts) -> Vec<Finding> {
    let differences = base.build.differences(&head.build);
    let names: std::collections::BTreeSet<&String> =
        base.counts.keys().chain(head.counts.keys()).collect();
    let one = |name: &&String| {
        let (was, is) = (base.counts.get(*name).copied(), head.counts.get(*name).copied());
        count(name, was, is, &differences, limits)
    };
    let mut all: Vec<Finding> = names.iter().map(one).collect();
    if all.is_empty() {
        all.push(no_valgrind());
    }
    all
}

fn no_valgrind() -> Finding {
    finding(
        "counts",
        "counts",
        Answer::NoVerdict,
        "valgrind is not installed: nothing was counted".to_owned(),
        "apt-get install valgrind",
    )
}

fn count(
    name: &str,
    base: Option<f64>,
    head: Option<f64>,
    differences: &[String],
    limits: &Counts,
) -> Finding {
    let is_bytes = name.contains(".bytes_per_");
    let (percent, slack) = match () {
        () if is_bytes => (limits.bytes_percent, 0.0),
        () if name.contains(".allocations_per_") => (limits.allocations_percent, ALLOCATION_SLACK),
        () => (limits.instructions_percent, 0.0),
    };
    let (answer, because, remedy) = match (base, head) {
        (None, _) => (
            Answer::NoVerdict,
            "base does not have it".to_owned(),
            "write the baseline anew: stormproof gate --update",
        ),
        (_, None) => (
            Answer::NoVerdict,
            "head does not have it: valgrind is not installed, or the figure is gone".to_owned(),
            "apt-get install valgrind; for a figure that is gone: stormproof gate --update",
        ),
        (Some(_), Some(_)) if !is_bytes && !differences.is_empty() => (
            Answer::NoVerdict,
            format!("another build does not count the same: {}", differences.join("; ")),
            "compare two binaries of one compiler with --base and --head, or write the baseline \
             anew: stormproof gate --update",
        ),
        (Some(was), Some(is)) => {
            let is_worse = is > was * (1.0 + percent / 100.0) + slack;
            let because = format!("counted, certain; {percent} % more are allowed");
            let answer = if is_worse { Answer::Regression } else { Answer::Pass };
            (answer, because, remedy_of(name))
        }
    };
    let mut found = finding("counts", name, answer, because, remedy);
    (found.base, found.head) = (base, head);
    found.worse_percent = base.zip(head).and_then(|(was, is)| {
        // Of next to nothing, a percentage says nothing.
        (was > ALLOCATION_SLACK).then(|| (is / was - 1.0) * 100.0)
    });
    found
}

fn remedy_of(name: &str) -> &'static str {
    if name.contains(".bytes_per_") {
        "see docs/formats.md; a format that grew on purpose: stormproof gate --update"
    } else if name.contains(".allocations_per_") {
        "see who allocates: valgrind --tool=dhat stormproof measure subject NAME --size N"
    } else {
        "see where: valgrind --tool=callgrind stormproof measure subject NAME --size N, then \
         callgrind_annotate; on purpose: stormproof gate --update"
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
