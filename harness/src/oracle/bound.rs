//! The bound on duplicates, and each failure's share of them.

use super::case::{Case, Finding, NotJudged};
use super::cut::Cut;
use super::heights::Heights;
use super::history::History;
use super::lineage::Start;
use super::verdict::{Failure, Verdict};
use crate::workload::ledger::Ledger;

/// The failures of a run, each with its duplicates and the most that theory allows.
pub(super) fn failures(case: &Case<'_>) -> Result<Vec<Failure>, NotJudged> {
    let (history, sweep) = (case.history()?, case.sweep()?);
    case.unbroken()?;
    // Orphans of at-least-once cuts are committed like everything else.
    let conditions = case.conditions;
    let transactional = conditions.transactional_sink && conditions.mode.has_exact_cuts();
    let attempts = &history.lineage.attempts;
    let failures = attempts.windows(2).enumerate().map(|(at, pair)| {
        let replayed = replayed(case.ledger, history, &sweep.heights, at);
        Failure {
            attempt: pair[0].id,
            restored: pair[1].restored,
            duplicates: sweep.fate.explained_by(at),
            bound: if transactional { 0 } else { replayed },
            replayed,
        }
    });
    Ok(failures.collect())
}

/// What the attempt had read above the cut that was restored after it, plus what that cut held.
fn replayed(ledger: &Ledger, history: &History, heights: &Heights, attempt: usize) -> u64 {
    let cut = match history.lineage.attempts[attempt + 1].start {
        Start::Restored { cut, .. } => Some(&history.cuts[cut]),
        Start::Fresh | Start::Broken(_) => None,
    };
    let read_again = ledger.partitions().iter().enumerate().map(|(slot, partition)| {
        let next = cut.map_or(partition.start(), |cut| cut.next[slot]);
        heights.get(attempt, slot).0.saturating_sub(next.0)
    });
    read_again.sum::<u64>() + cut.map_or(0, Cut::frames)
}

/// The most duplicates that the failures and in-doubt retries allow.
pub(super) fn total(case: &Case<'_>) -> Result<u64, NotJudged> {
    let failures = failures(case)?;
    let in_doubt = case.sweep()?.in_doubt_copies;
    Ok(failures.iter().map(|failure| failure.bound).sum::<u64>() + in_doubt)
}

/// The rule `duplicates-bound`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let (duplicates, bound) = (case.duplicates()?, total(case)?);
    let summary = format!("{duplicates} duplicates, at most {bound} are allowed");
    let verdict = if duplicates <= bound { Verdict::Proven } else { Verdict::Violated };
    Ok(Finding::new(verdict, summary).figure("duplicates", duplicates).figure("bound", bound))
}
