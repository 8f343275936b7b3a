//! Vacuity: a run in which nothing happened proves nothing.

use super::bound;
use super::case::{Case, Finding, NotJudged};
use super::verdict::Verdict;

/// The rule `vacuity`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let required = case.conditions.required;
    let faults = case.conditions.faults_landed;
    let completed = case.history()?.cuts.len() as u64;
    let replayed: u64 = bound::failures(case)?.iter().map(|failure| failure.replayed).sum();
    let mut empty = Vec::new();
    if case.ledger.records() == 0 {
        empty.push("the input is empty");
    }
    if required.fault && faults == 0 {
        empty.push("no fault landed");
    }
    if required.checkpoint && completed == 0 {
        empty.push("no checkpoint was completed");
    }
    if required.replay && replayed == 0 {
        empty.push("nothing was replayed");
    }
    let finding = if empty.is_empty() {
        let summary = format!("{faults} faults, {completed} checkpoints, {replayed} replayed");
        Finding::new(Verdict::Proven, summary)
    } else {
        Finding::new(Verdict::Unknown, empty.join(", "))
    };
    Ok(finding
        .figure("faults_landed", faults)
        .figure("checkpoints", completed)
        .figure("replayed_records", replayed))
}
