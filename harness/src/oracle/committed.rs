//! Committed offsets: the group's offsets are those of a completed checkpoint, never ahead.

use super::case::{Case, Finding, NotJudged};
use super::conditions::Commits;
use super::cut::Cut;
use super::history::History;
use super::verdict::{Site, Verdict, Witnesses};
use crate::workload::ledger::Offset;

/// The rule `committed-offsets`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let history = case.history()?;
    let committed =
        case.conditions.committed.as_ref().ok_or_else(|| {
            NotJudged::because("the group's committed offsets were not looked up")
        })?;
    let chain: Vec<usize> = history.lineage.final_chain().collect();
    let last = history
        .cuts
        .iter()
        .rev()
        .find(|cut| history.lineage.index(cut.attempt()).is_some_and(|at| chain.contains(&at)));
    let last: &Cut = last.ok_or_else(|| NotJudged::because("no checkpoint was completed"))?;
    let mut unexplained = Witnesses::default();
    let mut behind = 0;
    for (partition, offset) in committed {
        let Some(slot) = case.ledger.slot(*partition) else {
            continue;
        };
        let next = last.next[slot];
        if *offset == next {
            continue;
        }
        let cuts = || history.cuts.iter().map(|cut| cut.next[slot]);
        let highest = cuts().max().unwrap_or(next);
        let lowest = cuts().min().unwrap_or(next);
        let site = Site::record(*partition, *offset);
        if *offset > highest {
            unexplained.add(site.at(last.id()), || {
                format!(
                    "partition {partition} is committed at {offset}, ahead of every completed \
                     checkpoint: the highest S is {highest}"
                )
            });
        } else if *offset > lowest
            && is_told(case, history, slot, *offset)
            && !cuts().any(|next| next == *offset)
        {
            unexplained.add(site, || {
                format!("partition {partition} is committed at {offset}, the S of no checkpoint")
            });
        } else {
            behind += 1;
        }
    }
    let mut missing = Witnesses::default();
    if let Some(commits) = &case.conditions.commits {
        ever(case, history, commits, &mut unexplained);
        is_complete(case, last, commits, &mut missing);
    }
    // What cannot be read any more had offsets that nobody knows.
    let mut damaged = history.torn.iter().filter(|(_, why)| why.has_manifest);
    let unknown = damaged.next().filter(|_| !unexplained.is_empty()).map(|(id, _)| *id);
    let told = if unknown.is_some() { Witnesses::default() } else { unexplained };
    let finding = Finding::from_cases(
        [&told, &missing],
        format!(
            "{} partitions are committed at checkpoints; {behind} behind the last one, {}",
            committed.len(),
            last.id()
        ),
        |cases| format!("{cases} partitions are committed where no checkpoint is"),
    );
    let excused = behind == 0 || case.conditions.faults_landed > 0;
    let finding = match (finding.verdict, unknown) {
        (Verdict::Proven, Some(id)) => finding.turned(
            Verdict::Unknown,
            format!(
                "offsets were committed that may be those of checkpoint {id}, which is damaged"
            ),
        ),
        (Verdict::Proven, None) if !excused => finding.turned(
            Verdict::Unknown,
            format!("{behind} partitions are committed behind the last checkpoint"),
        ),
        _ => finding,
    };
    Ok(finding.figure("partitions", committed.len() as u64).figure("behind", behind))
}

/// Whether an offset would be that of a checkpoint that is left: below the oldest of those that
/// retention leaves, it may be of one that was deleted.
fn is_told(case: &Case<'_>, history: &History, slot: usize, offset: Offset) -> bool {
    let retained = case.conditions.retained_checkpoints;
    let oldest = retained.and_then(|kept| history.cuts.iter().rev().nth(kept.max(1) - 1));
    oldest.is_none_or(|cut| offset >= cut.next[slot])
}

/// What the group has ever seen: each commit is one of a completed checkpoint.
fn ever(case: &Case<'_>, history: &History, commits: &Commits, unexplained: &mut Witnesses) {
    for (partition, offset) in &commits.offsets {
        let Some(slot) = case.ledger.slot(*partition) else { continue };
        let is_cut = history.cuts.iter().any(|cut| cut.next[slot] == *offset);
        if !is_cut && is_told(case, history, slot, *offset) {
            unexplained.add(Site::record(*partition, *offset), || {
                format!(
                    "partition {partition} was committed at {offset}, the S of no completed \
                     checkpoint"
                )
            });
        }
    }
}

/// The last checkpoint's offsets came in the end, if nothing was lost since.
fn is_complete(case: &Case<'_>, last: &Cut, commits: &Commits, missing: &mut Witnesses) {
    for (slot, partition) in case.ledger.partitions().iter().enumerate() {
        let (id, next) = (partition.id(), last.next[slot]);
        if commits.is_settled && last.covered[slot] && !commits.offsets.contains(&(id, next)) {
            missing.add(Site::record(id, next).at(last.id()), || {
                format!(
                    "S = {next} of partition {id} was never committed, although checkpoint {} was \
                     the last one and nothing was lost since",
                    last.id()
                )
            });
        }
    }
}
