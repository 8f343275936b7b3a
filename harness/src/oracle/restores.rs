//! Attempts and what they restored.

use super::case::{Case, Finding, NotJudged};
use super::cut::Cut;
use super::history::History;
use super::ids::CheckpointId;
use super::lineage::{Attempt, Start};
use super::verdict::{Site, Verdict, Witnesses};

/// The rule `attempt-order`: attempts begin one after the other, each once.
pub(super) fn check_order(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let history = case.history()?;
    if history.fences.is_empty() {
        return Err(NotJudged::because("the fence table is empty: no attempt ever began"));
    }
    let mut faults = Witnesses::default();
    for pair in history.fences.windows(2) {
        if pair[1].attempt <= pair[0].attempt {
            faults.add(Site::default().of(pair[1].attempt), || {
                format!("attempt {} has a fence after attempt {}", pair[1].attempt, pair[0].attempt)
            });
        }
        if pair[1].after_seq < pair[0].after_seq {
            faults.add(Site::default().of(pair[1].attempt), || {
                format!(
                    "attempt {} took its fence at row {}, before that of attempt {} at row {}",
                    pair[1].attempt, pair[1].after_seq, pair[0].attempt, pair[0].after_seq
                )
            });
        }
    }
    for cut in &history.cuts {
        if history.lineage.index(cut.attempt()).is_none() {
            faults.add(Site::default().at(cut.id()).of(cut.attempt()), || {
                format!(
                    "checkpoint {} was made by attempt {}, which never took a fence",
                    cut.id(),
                    cut.attempt()
                )
            });
        }
    }
    let attempts = history.fences.len() as u64;
    let finding = Finding::from_cases(
        [&faults],
        format!("{attempts} attempts began one after the other"),
        |cases| format!("{cases} attempts or checkpoints are out of order"),
    );
    Ok(finding.figure("attempts", attempts))
}

/// The rule `restore-newest`: what is restored exists and is the newest completed checkpoint.
pub(super) fn check_newest(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let history = case.history()?;
    if history.fences.is_empty() {
        return Err(NotJudged::because("the fence table is empty: no attempt ever began"));
    }
    let mut faults = Witnesses::default();
    let (mut one_behind, mut retired) = (0, Vec::new());
    for (at, attempt) in history.lineage.attempts.iter().enumerate() {
        let site = Site::default().at(attempt.restored).of(attempt.id);
        if let Start::Broken(reason) = &attempt.start {
            if is_retired(case, history, attempt.restored) {
                retired.push(attempt);
                continue;
            }
            faults.add(site, || match torn_reason(history, attempt.restored) {
                Some(torn) => format!("{reason}: {torn}"),
                None => reason.clone(),
            });
            continue;
        }
        let newer = newer_than_restored(history, at, attempt);
        // Where an earlier attempt may have looked later, only one that has completed something has
        // surely looked before: nobody completes anything once a later attempt is claimed.
        let earlier = history.lineage.attempts[..at].iter();
        let before = earlier.filter(|of| case.conditions.restores_alone || !of.cuts.is_empty());
        let highest = before.map(|of| of.restored).max();
        if let Some(back) = highest.filter(|highest| newer.contains(highest)) {
            faults.add(site, || {
                format!(
                    "attempt {} went back to checkpoint {} although checkpoint {back}, restored \
                     before, is whole",
                    attempt.id, attempt.restored
                )
            });
        } else if let Some(gone) = highest.filter(|id| has_vanished(history, attempt, *id)) {
            faults.add(site, || {
                format!(
                    "attempt {} went back to checkpoint {}: checkpoint {gone}, restored before, \
                     has vanished",
                    attempt.id, attempt.restored
                )
            });
        } else if let Some((first, last)) =
            too_many_of_one(history, &newer, case.conditions.concurrent_checkpoints)
        {
            faults.add(site, || {
                format!(
                    "attempt {} restored checkpoint {} although {first} and up to {last} were \
                     completed before",
                    attempt.id, attempt.restored
                )
            });
        } else {
            one_behind += newer.len() as u64;
        }
    }
    let restores = history.lineage.attempts.iter().filter(|a| a.restored != CheckpointId::NONE);
    let mut finding = Finding::from_cases(
        [&faults],
        "every attempt restored the newest completed checkpoint".to_owned(),
        |cases| format!("{cases} attempts restored something else than the newest checkpoint"),
    );
    if let Some(first) = retired.first().filter(|_| finding.verdict == Verdict::Proven) {
        finding = finding.turned(Verdict::Unknown, gone(first, retired.len()));
    }
    Ok(finding
        .figure("restores", restores.count() as u64)
        .figure("torn_checkpoints", history.torn.len() as u64)
        .figure("completed_around_the_restore", one_behind))
}

/// The first and last of more newer checkpoints of one attempt than may have been under way while
/// the next attempt already read the folder.
fn too_many_of_one(
    history: &History,
    newer: &[CheckpointId],
    forgiven: usize,
) -> Option<(CheckpointId, CheckpointId)> {
    let attempts = history.lineage.attempts.iter();
    let mut of_each = attempts.map(|attempt| {
        let own = attempt.cuts.iter().map(|cut| history.cuts[*cut].id());
        own.filter(|id| newer.contains(id)).collect::<Vec<_>>()
    });
    let own = of_each.find(|own| own.len() > forgiven)?;
    Some((*own.first()?, *own.last()?))
}

/// Whole checkpoints of earlier attempts with a higher id than the restored one.
fn newer_than_restored(history: &History, at: usize, attempt: &Attempt) -> Vec<CheckpointId> {
    let earlier = history.lineage.attempts[..at].iter().flat_map(|earlier| &earlier.cuts);
    let ids = earlier.map(|cut| history.cuts[*cut].id());
    let mut newer: Vec<CheckpointId> = ids.filter(|id| *id > attempt.restored).collect();
    newer.sort_unstable();
    newer
}

/// Whether a checkpoint is gone because the job kept younger ones only. What is left of one whose
/// deletion was cut short has no manifest.
fn is_retired(case: &Case<'_>, history: &History, id: CheckpointId) -> bool {
    let younger = history.cuts.iter().filter(|cut| cut.id() > id).count();
    let retained = case.conditions.retained_checkpoints;
    let is_complete = history.cuts.binary_search_by_key(&id, Cut::id).is_ok();
    let has_manifest = history.torn.iter().any(|(torn, why)| *torn == id && why.has_manifest);
    !is_complete && !has_manifest && retained.is_some_and(|kept| younger >= kept.max(1))
}

/// Whether there is anything of a checkpoint, whole or not.
fn is_left(history: &History, id: CheckpointId) -> bool {
    history.cuts.binary_search_by_key(&id, Cut::id).is_ok()
        || history.torn.iter().any(|(torn, _)| *torn == id)
}

fn gone(first: &Attempt, attempts: usize) -> String {
    format!(
        "checkpoint {}, which attempt {} restored, was deleted since, for only so many are \
         retained ({attempts} attempts in all): keep more of them",
        first.restored, first.id
    )
}

/// Whether `id`, restored before, lies above what the attempt restored, and nothing is left of it.
/// One that is there and damaged may have been damaged since.
fn has_vanished(history: &History, attempt: &Attempt, id: CheckpointId) -> bool {
    id > attempt.restored && !is_left(history, id)
}

fn torn_reason(history: &History, checkpoint: CheckpointId) -> Option<&str> {
    let torn = history.torn.iter().find(|(id, _)| *id == checkpoint)?;
    Some(&torn.1.reason)
}
