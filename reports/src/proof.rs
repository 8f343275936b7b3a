//! The evidence behind a verdict, in plain words and as relations between figures.
//!
//! Invariants: a sentence says only what the figures say; a relation's sign is computed from its
//! figures, so `=` and `≤` never stand where they do not hold. Shared by all renderers.

use crate::figures::{
    NOT_COUNTED, NOT_MEASURED, bytes, count, counted, counted_or_not, decimal, micros, seconds,
};
use crate::schema::{BesideBare, Quantiles, RunResult, Verdict};
use crate::text;

/// `duplicates = expected ≤ bound`, with the signs that hold.
pub(crate) struct Duplicates {
    /// Between the duplicates and the expectation: `=` or `≠`; `?` when one is not known.
    pub(crate) exact: &'static str,
    /// Between the duplicates and the bound: `≤` or `>`; `?` when one is not known.
    pub(crate) bounded: &'static str,
    /// Whether both hold.
    pub(crate) holds: bool,
    /// Whether one is known not to hold.
    pub(crate) is_broken: bool,
}

/// Compares the duplicates with their expectation and their bound.
pub(crate) fn duplicates(result: &RunResult) -> Duplicates {
    let sign =
        |holds: Option<bool>, yes, no| holds.map_or("?", |holds| if holds { yes } else { no });
    let seen = result.duplicates;
    let exact = seen.zip(result.duplicates_expected).map(|(seen, expected)| seen == expected);
    let bounded = seen.zip(result.duplicates_bound).map(|(seen, bound)| seen <= bound);
    Duplicates {
        exact: sign(exact, "=", "≠"),
        bounded: sign(bounded, "≤", ">"),
        holds: exact == Some(true) && bounded == Some(true),
        is_broken: exact == Some(false) || bounded == Some(false),
    }
}

/// The sign between `records − lost + duplicates` and `effects`; `?` when one was not counted.
pub(crate) fn balance(result: &RunResult) -> &'static str {
    let (Some(lost), Some(duplicates), Some(effects)) =
        (result.lost, result.duplicates, result.effects)
    else {
        return "?";
    };
    let [records, lost, duplicates, effects] =
        [result.records, lost, duplicates, effects].map(i128::from);
    if records - lost + duplicates == effects { "=" } else { "≠" }
}

/// The evidence in plain words: loss, duplicates, storm.
pub(crate) fn sentences(result: &RunResult) -> Vec<String> {
    let mut said = Vec::with_capacity(4);
    if result.shown_verdict() == Verdict::Unknown {
        said.push("What follows was observed, and proves nothing.".to_owned());
    }
    said.push(loss(result));
    said.push(duplication(result));
    said.push(storm(result));
    said
}

fn loss(result: &RunResult) -> String {
    let (lost, records) = (result.lost, result.records);
    let Some(lost) = lost else {
        return format!(
            "Nobody counted the effects: whether any of {} records is lost is not known.",
            count(records)
        );
    };
    match lost {
        0 => format!("No record was lost: {} went in, and each has an effect.", count(records)),
        1 => format!("1 record of {} has no effect: it is lost.", count(records)),
        _ => {
            format!("{} of {} records have no effect: they are lost.", count(lost), count(records))
        }
    }
}

fn duplication(result: &RunResult) -> String {
    let Some(duplicates_seen) = result.duplicates else {
        return "Duplicates were not counted.".to_owned();
    };
    let [seen, expected, bound] =
        [result.duplicates, result.duplicates_expected, result.duplicates_bound]
            .map(counted_or_not);
    if !duplicates(result).holds {
        return format!(
            "{} where the restored checkpoints predict {expected} and allow at most {bound}.",
            counted(duplicates_seen, "duplicate")
        );
    }
    if duplicates_seen == 0 {
        return format!("No effect is a duplicate, as predicted; up to {bound} were allowed.");
    }
    format!(
        "{seen} effects are duplicates: exactly as many as the restored checkpoints predict, \
         within the bound of {bound}."
    )
}

fn storm(result: &RunResult) -> String {
    format!(
        "{} of {} landed, {} of them while a checkpoint was in progress; {} completed, {} aborted; \
         {} in all.",
        count(result.faults_landed),
        counted(result.faults_scheduled, "scheduled fault"),
        count(result.faults_landed_mid_checkpoint),
        counted(result.checkpoints_completed, "checkpoint"),
        count(result.checkpoints_aborted),
        counted(result.attempts, "execution attempt"),
    )
}

/// Why the verdict is what is shown: the result's own reason, unless its figures deny it.
pub(crate) fn reason(result: &RunResult) -> &str {
    if result.shown_verdict() == result.verdict {
        &result.verdict_reason
    } else {
        "The run was called proven, and its own figures do not support that."
    }
}

/// A verdict's headline.
pub(crate) fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proven => "Proven",
        Verdict::Violated => "Violated",
        Verdict::Unknown => "Unknown",
    }
}

/// The figures that every summary shows, by name.
pub(crate) fn rows(result: &RunResult) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("Records", count(result.records)),
        ("Effects", counted_or_not(result.effects)),
        ("Lost", counted_or_not(result.lost)),
        ("Duplicates", duplicates_row(result)),
        (
            "Checkpoints",
            format!(
                "{} completed, {} aborted",
                count(result.checkpoints_completed),
                count(result.checkpoints_aborted)
            ),
        ),
        (
            "Faults landed",
            format!(
                "{} of {} ({} mid-checkpoint)",
                count(result.faults_landed),
                count(result.faults_scheduled),
                count(result.faults_landed_mid_checkpoint)
            ),
        ),
        (
            "Parallelism",
            format!(
                "{} on {} workers, {}",
                count(result.parallelism.into()),
                count(result.workers.into()),
                text::line(&result.mode, text::NAME)
            ),
        ),
        ("Throughput", throughput(result)),
        ("Peak memory", bytes(result.peak_rss_bytes)),
        ("Wall time", seconds(result.wall_s)),
    ];
    if let Some(latency) = &result.latency {
        let shown = |q: &Quantiles| {
            let [p50, p99, max] = [q.p50_us, q.p99_us, q.max_us].map(micros);
            format!("p50 {p50}, p99 {p99}, max {max}")
        };
        rows.push(("Latency", format!("{}, from intended send time", shown(&latency.intended))));
        rows.push(("Actual latency", format!("{}, from actual send time", shown(&latency.actual))));
    }
    if let Some(bare) = &result.beside_bare {
        rows.push(("Beside bare", beside(bare)));
    }
    rows
}

/// The job's rate without a fault beside those of bare clients.
fn beside(bare: &BesideBare) -> String {
    let [job, consumer, loader, upserts] = [
        bare.job_records_per_s,
        bare.consumer_records_per_s,
        bare.loader_records_per_s,
        bare.upserts_records_per_s,
    ]
    .map(|rate| decimal(rate, 0));
    format!(
        "{job} records/s without faults, {} of the slower of a bare consumer ({consumer}) and a \
         bare loader of the same rows ({loader}); upserts alone {upserts}",
        decimal(bare.share_of_bare, 2)
    )
}

/// The rate; a run that was stopped before its load was through has none.
fn throughput(result: &RunResult) -> String {
    if result.records_per_s > 0.0 {
        return format!("{} records/s", decimal(result.records_per_s, 0));
    }
    NOT_MEASURED.to_owned()
}

fn duplicates_row(result: &RunResult) -> String {
    if result.duplicates.is_none() {
        return NOT_COUNTED.to_owned();
    }
    let signs = duplicates(result);
    let [seen, expected, bound] =
        [result.duplicates, result.duplicates_expected, result.duplicates_bound]
            .map(counted_or_not);
    format!("{seen} {} {expected} expected {} {bound} bound", signs.exact, signs.bounded)
}
