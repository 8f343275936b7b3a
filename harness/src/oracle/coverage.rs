//! Offset coverage: each checkpoint owns each partition once, and positions only go forward.

use super::case::{Case, Finding, NotJudged};
use super::cut::Cut;
use super::history::History;
use super::verdict::{Site, Witnesses};
use crate::workload::ledger::{Ledger, Offset};

/// The rule `offset-coverage`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let history = case.history()?;
    if history.cuts.is_empty() {
        return Err(NotJudged::because("no checkpoint was completed"));
    }
    let mut faults = Witnesses::default();
    for cut in &history.cuts {
        participation(cut, &mut faults);
        within_the_log(cut, case.ledger, &mut faults);
    }
    forward_only(history, case.ledger, &mut faults);
    let cases: Vec<&Witnesses> = history.cuts.iter().map(|cut| &cut.split_faults).collect();
    for witness in cases.iter().flat_map(|cases| cases.smallest()) {
        faults.add(witness.site, || witness.text.clone());
    }
    let split_faults: u64 = cases.iter().map(|cases| cases.count()).sum();
    let checkpoints = history.cuts.len() as u64;
    let finding = Finding::from_cases(
        [&faults],
        format!("{checkpoints} checkpoints own every partition once, positions go forward only"),
        |cases| format!("{cases} positions or acknowledgements are wrong"),
    );
    Ok(finding.figure("checkpoints", checkpoints).figure("split_faults", split_faults))
}

/// All subtasks must have acknowledged.
fn participation(cut: &Cut, faults: &mut Witnesses) {
    let manifest = &cut.manifest;
    let (expected, acknowledged) = (manifest.subtasks_expected, manifest.subtasks_acknowledged);
    if acknowledged != expected || expected != manifest.subtasks() {
        faults.add(Site::default().at(cut.id()).of(cut.attempt()), || {
            format!(
                "checkpoint {} was completed with {acknowledged} of {expected} acknowledgements; \
                 its vertices have {} subtasks",
                cut.id(),
                manifest.subtasks()
            )
        });
    }
}

fn within_the_log(cut: &Cut, ledger: &Ledger, faults: &mut Witnesses) {
    for (slot, partition) in ledger.partitions().iter().enumerate() {
        let next = cut.next[slot];
        if next < partition.start() || next > partition.end() {
            faults.add(Site::record(partition.id(), next).at(cut.id()), || {
                format!(
                    "S = {next} of checkpoint {} lies outside of partition {}, [{}, {}]",
                    cut.id(),
                    partition.id(),
                    partition.start(),
                    partition.end()
                )
            });
        }
    }
}

/// Along each attempt, from where it began, no partition's position goes back.
fn forward_only(history: &History, ledger: &Ledger, faults: &mut Witnesses) {
    for (at, attempt) in history.lineage.attempts.iter().enumerate() {
        for (slot, partition) in ledger.partitions().iter().enumerate() {
            let mut before: Offset = history.lineage.first_offset(at, slot, &history.cuts, ledger);
            for cut in attempt.cuts.iter().map(|cut| &history.cuts[*cut]) {
                if !cut.covered[slot] {
                    continue;
                }
                let next = cut.next[slot];
                if next < before {
                    let site = Site::record(partition.id(), next).at(cut.id());
                    faults.add(site.of(attempt.id), || {
                        format!(
                            "attempt {} went back from offset {before} to {next} of partition {} \
                             at checkpoint {}",
                            attempt.id,
                            partition.id(),
                            cut.id()
                        )
                    });
                }
                before = next;
            }
        }
    }
}
