//! The oracle's answer in the words of the result, and the verdict on the whole run.

use std::collections::BTreeMap;

use serde_json::Value;
use stormproof_reports::schema::{CheckResult, Passage, RunResult, Verdict, Witness};

use super::nemesis::{Progress, Tracked};
use super::passage::Passages;
use super::result::{Account, attempt_end};
use super::session::Session;
use crate::oracle::{Check, Judgement, Site, Verdict as Answer};
use crate::workload::ledger::{Offset, PartitionId};

/// Puts the oracle's figures and checks into the result.
///
/// Of a run that was not drained there is no loss and no formula to tell.
pub(crate) fn apply_judgement(
    result: &mut RunResult,
    judged: &Judgement,
    is_drained: bool,
    cause: impl Fn(u32) -> String,
) {
    result.records = judged.records;
    result.effects = judged.effects;
    result.lost = judged.lost;
    result.duplicates = judged.duplicates;
    result.duplicates_expected = judged.duplicates_expected;
    result.duplicates_bound = judged.duplicates_bound;
    if !is_drained {
        // What has no effect may have been on its way, and what was on its way is in no formula.
        result.lost = None;
        result.duplicates_expected = None;
        result.duplicates_bound = None;
    }
    result.checks = judged.checks.iter().map(check).collect();
    let ends = judged.failures.iter();
    result.failures = ends.map(|end| attempt_end(end, cause(end.attempt.0))).collect();
}

/// The verdict in the result's words.
pub(crate) fn verdict(answer: Answer) -> Verdict {
    match answer {
        Answer::Proven => Verdict::Proven,
        Answer::Unknown => Verdict::Unknown,
        Answer::Violated => Verdict::Violated,
    }
}

fn check(check: &Check) -> CheckResult {
    let figure = |figure: &crate::oracle::Figure| (figure.name.clone(), figure.value as f64);
    CheckResult {
        id: check.id.clone(),
        title: check.title.clone(),
        verdict: verdict(check.verdict),
        summary: check.summary.clone(),
        figures: check.figures.iter().map(figure).collect(),
        witnesses: check.witnesses.iter().map(witness).collect(),
    }
}

fn witness(witness: &crate::oracle::Witness) -> Witness {
    let details = details(&witness.site);
    let attribution: Vec<String> =
        details.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let what = witness.text.clone();
    Witness { what, attribution: attribution.join(", "), details, passage: None }
}

/// Adds to each witness the way of its record, with the fault that ended the attempt before.
pub(super) fn add_passages(result: &mut RunResult, passages: &Passages) {
    let faults: BTreeMap<u32, Option<String>> =
        result.recoveries.iter().map(|one| (one.attempt, one.fault.clone())).collect();
    for witness in result.checks.iter_mut().flat_map(|check| &mut check.witnesses) {
        let number = |name: &str| witness.details.get(name).and_then(Value::as_u64);
        let (Some(partition), Some(offset)) = (number("partition"), number("offset")) else {
            continue;
        };
        let record = (PartitionId(partition as u32), Offset(offset));
        witness.passage = passages.get(&record).cloned().map(|passage| Passage {
            fault: passage.restored_by.and_then(|attempt| faults.get(&attempt).cloned().flatten()),
            ..passage
        });
    }
}

fn details(site: &Site) -> BTreeMap<String, Value> {
    let parts = [
        ("attempt", site.attempt.map(|id| u64::from(id.0))),
        ("checkpoint", site.checkpoint.map(|id| id.0)),
        ("partition", site.partition.map(|id| u64::from(id.0))),
        ("offset", site.offset.map(|offset| offset.0)),
    ];
    let known = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// The verdict of a judgement alone, with its reason.
pub(crate) fn judged_verdict(judged: &Judgement) -> (Verdict, String) {
    let verdict = verdict(judged.verdict);
    let worst = judged.checks.iter().find(|check| check.verdict == judged.verdict);
    let reason = match (verdict, worst) {
        (Verdict::Proven, _) => format!(
            "All {} checks hold: nothing was lost, and every duplicate is explained.",
            judged.checks.len()
        ),
        (Verdict::Violated, Some(check)) => {
            format!("The rule \u{201c}{}\u{201d} is broken: {}.", check.title, check.summary)
        }
        (_, Some(check)) => format!("{}: {}", check.title, check.summary),
        (_, None) => "There was nothing to check.".to_owned(),
    };
    (verdict, reason)
}

/// The verdict on the whole run: the worst of what the oracle and the harness know.
pub(super) fn verdict_of(
    result: &RunResult,
    account: &Account<'_>,
    session: &Session,
) -> (Verdict, String) {
    let judged = account.judged.as_ref().map(judged_verdict);
    if let Some((Verdict::Violated, reason)) = judged {
        return (Verdict::Violated, reason);
    }
    if let Some(why) = &account.halted {
        let why = format!("{}.", capitalised(why));
        let is_taken =
            |tracked: &&Tracked| tracked.has_landed() && tracked.fault.action.takes_records();
        // The records are lost, and the engine is not to blame: it did not skip them silently.
        return match session.nemesis.faults().iter().find(is_taken) {
            Some(tracked) => {
                let (id, what) = (tracked.fault.id, tracked.fault.describe());
                let blame = format!("{id} ({what}) took records away that nobody can replay.");
                (Verdict::Unknown, format!("{} {why}", capitalised(&blame)))
            }
            None => (Verdict::Unknown, why),
        };
    }
    let missed = session.nemesis.faults().iter().find_map(|tracked| match &tracked.progress {
        Progress::Missed(why) => Some((tracked, why)),
        _ => None,
    });
    if let Some((tracked, why)) = missed {
        let fault = &tracked.fault;
        let reason = format!("{} ({}) did not land: {why}.", fault.id, fault.describe());
        return (Verdict::Unknown, capitalised(&reason));
    }
    if let Some(why) = session.unplanned.first() {
        return (Verdict::Unknown, format!("{}.", capitalised(why)));
    }
    if result.faults_landed == 0 {
        let reason = "No fault landed: a run without a storm proves nothing about storms.";
        return (Verdict::Unknown, reason.to_owned());
    }
    judged.unwrap_or_else(|| (Verdict::Unknown, "The run was not judged.".to_owned()))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
