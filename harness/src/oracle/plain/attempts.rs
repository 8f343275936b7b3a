//! Rules about attempts: their order, what they restored, what they committed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ids::{AttemptId, CheckpointId};
use super::super::verdict::{Site, Verdict};
use super::Answer;
use super::run::Run;
use crate::workload::ledger::{Offset, PartitionId};

/// Attempts take their fences one after the other, and only those that did make checkpoints.
pub(super) fn order(run: &Run<'_>) -> Answer {
    if run.fences.is_empty() {
        return Answer::unknown("attempt-order");
    }
    let mut cases = BTreeSet::new();
    for pair in run.fences.windows(2) {
        if pair[1].attempt <= pair[0].attempt || pair[1].after_seq < pair[0].after_seq {
            cases.insert(Site::default().of(pair[1].attempt));
        }
    }
    for (id, cut) in &run.cuts {
        let maker = cut.manifest.attempt;
        if !run.attempts.contains_key(&maker) {
            cases.insert(Site::default().at(*id).of(maker));
        }
    }
    Answer::from_cases("attempt-order", cases, Verdict::Proven)
}

/// What is restored is whole, and the newest there is; those that a dying attempt completed while
/// the next one already looked are forgiven, unless one had surely been restored before: where
/// attempts may begin side by side, by one that has completed a checkpoint of its own.
pub(super) fn newest(run: &Run<'_>) -> Answer {
    if run.fences.is_empty() {
        return Answer::unknown("restore-newest");
    }
    let (mut cases, mut verdict) = (BTreeSet::new(), Verdict::Proven);
    for (attempt, fence) in &run.attempts {
        let restored = fence.restored;
        let site = Site::default().at(restored).of(*attempt);
        let fresh = restored == CheckpointId::NONE;
        if !fresh && run.maker_before(restored, *attempt).is_none() {
            let is_torn = run.torn.contains(&restored) && !run.without_manifest.contains(&restored);
            let is_left = run.cuts.contains_key(&restored) || is_torn;
            let younger = run.cuts.keys().filter(|id| **id > restored).count();
            let kept = run.conditions.retained_checkpoints;
            if !is_left && kept.is_some_and(|kept| younger >= kept.max(1)) {
                verdict = Verdict::Unknown;
            } else {
                cases.insert(site);
            }
            continue;
        }
        let newer: Vec<CheckpointId> = run
            .cuts
            .iter()
            .filter(|(id, cut)| {
                let maker = cut.manifest.attempt;
                **id > restored && maker < *attempt && run.attempts.contains_key(&maker)
            })
            .map(|(id, _)| *id)
            .collect();
        let has_made = |of: &AttemptId| run.cuts.values().any(|cut| cut.manifest.attempt == *of);
        let before = run.attempts.range(..*attempt);
        let before = before.filter(|(of, _)| run.conditions.restores_alone || has_made(of));
        let before = before.map(|(_, fence)| fence.restored).max();
        let went_back = before.is_some_and(|highest| {
            let is_left = run.cuts.contains_key(&highest) || run.torn.contains(&highest);
            newer.contains(&highest) || highest > restored && !is_left
        });
        let mut by_maker: BTreeMap<AttemptId, usize> = BTreeMap::new();
        for id in &newer {
            *by_maker.entry(run.cuts[id].manifest.attempt).or_default() += 1;
        }
        let forgiven = run.conditions.concurrent_checkpoints;
        if went_back || by_maker.values().any(|count| *count > forgiven) {
            cases.insert(site);
        }
    }
    Answer::from_cases("restore-newest", cases, verdict)
}

/// The group's offsets are those of a completed checkpoint; `None` when nobody looked them up.
pub(super) fn committed(run: &Run<'_>) -> Option<Answer> {
    let id = "committed-offsets";
    let committed = run.conditions.committed.as_ref()?;
    let story = run.final_story();
    let told = run
        .cuts
        .iter()
        .rev()
        .find(|(_, cut)| story.as_ref().is_some_and(|story| story.has(cut.manifest.attempt)));
    let Some((last, cut)) = told else {
        return Some(Answer::unknown(id));
    };
    // What is older than the checkpoints that are kept was deleted, and cannot be looked for.
    let kept = run.conditions.retained_checkpoints.map_or(usize::MAX, |kept| kept.max(1) - 1);
    let oldest = run.cuts.values().rev().nth(kept);
    let is_told = |partition: PartitionId, offset: Offset| {
        oldest.is_none_or(|cut| offset >= cut.next(partition, run.ledger))
    };
    let mut cases = BTreeSet::new();
    // Offsets that no checkpoint explains.
    let mut strange = BTreeSet::new();
    let mut behind = false;
    for (partition, offset) in committed {
        if run.ledger.slot(*partition).is_none() || *offset == cut.next(*partition, run.ledger) {
            continue;
        }
        let all: BTreeSet<Offset> =
            run.cuts.values().map(|cut| cut.next(*partition, run.ledger)).collect();
        let site = Site::record(*partition, *offset);
        if all.last().is_some_and(|highest| offset > highest) {
            strange.insert(site.at(*last));
        } else if is_told(*partition, *offset)
            && all.first().is_some_and(|lowest| offset > lowest)
            && !all.contains(offset)
        {
            strange.insert(site);
        } else {
            behind = true;
        }
    }
    if let Some(commits) = &run.conditions.commits {
        for (partition, offset) in &commits.offsets {
            let known = run.ledger.slot(*partition).is_some();
            let any = run.cuts.values().any(|cut| cut.next(*partition, run.ledger) == *offset);
            if known && !any && is_told(*partition, *offset) {
                strange.insert(Site::record(*partition, *offset));
            }
        }
        for partition in run.ledger.partitions().iter().map(|partition| partition.id()) {
            let next = cut.next(partition, run.ledger);
            let missing = cut.covers(partition) && !commits.offsets.contains(&(partition, next));
            if commits.is_settled && missing {
                cases.insert(Site::record(partition, next).at(*last));
            }
        }
    }
    // A checkpoint with a manifest that cannot be read was complete once: they may be its own.
    let may_be_damaged = run.torn.difference(&run.without_manifest).next().is_some();
    let excused = (!behind || run.conditions.faults_landed > 0) && strange.is_empty();
    if !may_be_damaged {
        cases.append(&mut strange);
    }
    let otherwise = if excused { Verdict::Proven } else { Verdict::Unknown };
    Some(Answer::from_cases(id, cases, otherwise))
}

/// Checkpoints keep their interval, their pause and their timeout; `None` when nobody said what those are.
pub(super) fn pace(run: &Run<'_>) -> Option<Answer> {
    let pace = run.conditions.pace?;
    let mut cases = BTreeSet::new();
    // The last checkpoint of each attempt so far: when it was triggered, and when completed.
    let mut last: BTreeMap<AttemptId, (i64, i64)> = BTreeMap::new();
    let mut completed: BTreeMap<AttemptId, Vec<i64>> = BTreeMap::new();
    for (id, cut) in &run.cuts {
        let (manifest, maker) = (&cut.manifest, cut.manifest.attempt);
        let site = Site::default().at(*id).of(maker);
        let others = completed.entry(maker).or_default();
        let open = others.iter().filter(|at_us| **at_us > manifest.triggered_us).count();
        others.push(manifest.completed_us);
        let may = run.conditions.concurrent_checkpoints.max(1);
        if open >= may && run.attempts.contains_key(&maker) {
            cases.insert(site);
        }
        if manifest.completed_us > manifest.triggered_us + pace.timeout_us + pace.slack_us {
            cases.insert(site);
        }
        let before = last.insert(maker, (manifest.triggered_us, manifest.completed_us));
        let too_early = before.is_some_and(|(triggered_us, completed_us)| {
            let is_paced = manifest.triggered_us >= triggered_us + pace.interval_us;
            let is_rested = manifest.triggered_us >= completed_us + pace.min_pause_us;
            !is_paced || (pace.min_pause_us > 0 && !is_rested)
        });
        if too_early && manifest.kind == "checkpoint" && run.attempts.contains_key(&maker) {
            cases.insert(site);
        }
    }
    Some(Answer::from_cases("checkpoint-pace", cases, Verdict::Proven))
}
