//! Results as Prometheus text (exposition format 0.0.4), for a textfile collector or a push
//! gateway.
//!
//! Invariants: each name has one `HELP` and one `TYPE` before its values; label values are escaped;
//! a figure that does not exist is left out.

use std::fmt::Write as _;

use crate::measures::{Measure, measures};
use crate::schema::{RunResult, Verdict};
use crate::text;

/// Renders the results.
#[must_use]
pub fn render(results: &[RunResult]) -> String {
    let all: Vec<(String, Vec<Measure>)> =
        results.iter().map(|result| (labels(result), measures(result))).collect();
    let mut out = String::new();
    verdicts(&mut out, results, &all);
    checks(&mut out, results, &all);
    let mut told: Vec<&str> = Vec::new();
    for measure in all.iter().flat_map(|(_, measures)| measures) {
        if told.contains(&measure.id) {
            continue;
        }
        told.push(measure.id);
        head(&mut out, measure.id, measure.name);
        for (labels, measures) in &all {
            if let Some(found) = measures.iter().find(|other| other.id == measure.id) {
                let _ = writeln!(out, "stormproof_{}{{{labels}}} {}", found.id, found.value);
            }
        }
    }
    out
}

fn head(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP stormproof_{name} {help}\n# TYPE stormproof_{name} gauge");
}

fn verdicts(out: &mut String, results: &[RunResult], all: &[(String, Vec<Measure>)]) {
    head(out, "verdict", "1 for the verdict of the run, 0 for the two others.");
    for (result, (labels, _)) in results.iter().zip(all) {
        for verdict in [Verdict::Proven, Verdict::Violated, Verdict::Unknown] {
            let value = u8::from(result.shown_verdict() == verdict);
            let _ = writeln!(out, "stormproof_verdict{{{labels},verdict=\"{verdict}\"}} {value}");
        }
    }
}

fn checks(out: &mut String, results: &[RunResult], all: &[(String, Vec<Measure>)]) {
    head(out, "check_proven", "1 if the check is proven, 0 if it is violated or unknown.");
    for (result, (labels, _)) in results.iter().zip(all) {
        for check in &result.checks {
            let (id, value) = (label(&check.id), u8::from(check.verdict == Verdict::Proven));
            let _ = writeln!(out, "stormproof_check_proven{{{labels},check=\"{id}\"}} {value}");
        }
    }
}

fn labels(result: &RunResult) -> String {
    format!(
        "scenario=\"{}\",mode=\"{}\",parallelism=\"{}\",seed=\"{}\",git_commit=\"{}\",\
         started_at=\"{}\"",
        label(&result.scenario),
        label(&result.mode),
        result.parallelism,
        result.seed,
        label(result.environment.git_commit.as_deref().unwrap_or("")),
        label(&result.started_at),
    )
}

fn label(foreign: &str) -> String {
    text::line(foreign, text::NAME).replace('\\', r"\\").replace('"', "\\\"")
}
