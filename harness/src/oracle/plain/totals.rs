//! Duplicates: how many there are, how many theory explains, how many it allows.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ids::{AttemptId, CheckpointId};
use super::super::verdict::{Site, Verdict};
use super::Answer;
use super::records::lost;
use super::run::Run;
use super::story::{Standing, Story};
use crate::workload::ledger::{Offset, PartitionId};

/// The counts, and what the exact rule found on the way.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) lost: u64,
    pub(super) duplicates: u64,
    pub(super) expected: Option<u64>,
    pub(super) bound: Option<u64>,
    replayed: Option<u64>,
    /// Surviving effects that nothing explains.
    over: BTreeSet<Site>,
    /// Records and restored orphans without a surviving effect.
    under: BTreeSet<Site>,
}

/// A restored orphan: the record and who had read it.
type Orphan = (PartitionId, Offset, u32, AttemptId);

/// Counts everything once.
pub(super) fn count(run: &Run<'_>) -> Totals {
    let phantoms = run.rows.iter().filter(|row| !row.copy && !run.is_record(&row.effect)).count();
    let lost = lost(run).len() as u64;
    let effects = (run.rows.len() - phantoms) as u64;
    let with_effect = run.ledger.records() - lost;
    let mut totals =
        Totals { lost, duplicates: effects.saturating_sub(with_effect), ..Totals::default() };
    let copies = run.rows.iter().filter(|row| row.copy).count() as u64;
    if let Some(story) = run.final_story().filter(|story| story.whole) {
        totals.expected = Some(explain(run, &story, &mut totals) + copies);
        let (replayed, bound) = allowed(run);
        totals.replayed = Some(replayed);
        totals.bound = Some(bound + copies);
    }
    totals
}

/// Walks all effects: each survives as its record's one, or is explained, or is over.
fn explain(run: &Run<'_>, story: &Story, totals: &mut Totals) -> u64 {
    let mut explained = 0;
    let mut kept: BTreeSet<(PartitionId, Offset)> = BTreeSet::new();
    let mut orphans: BTreeMap<Orphan, i64> = BTreeMap::new();
    for (checkpoint, maker) in story.restored() {
        let cut = &run.cuts[&checkpoint];
        for frame in cut.frames.iter().filter(|frame| frame.source_attempt == maker) {
            let known = run.ledger.slot(frame.partition).is_some();
            if known && frame.offset >= cut.next(frame.partition, run.ledger) {
                explained += 1;
                let orphan = (frame.partition, frame.offset, frame.index, frame.source_attempt);
                *orphans.entry(orphan).or_default() += 1;
            }
        }
    }
    for row in run.placed() {
        let e = &row.effect;
        let site = Site::record(e.partition, e.offset).of(e.sink_attempt);
        if !story.keeps(row) {
            explained += 1;
            continue;
        }
        match story.standing_of(e, run) {
            Standing::Share if run.is_record(e) && kept.insert((e.partition, e.offset)) => {}
            Standing::Share | Standing::Stray => _ = totals.over.insert(site),
            Standing::Orphan if e.source_attempt == e.sink_attempt => explained += 1,
            Standing::Orphan => {
                let orphan = (e.partition, e.offset, e.index, e.source_attempt);
                *orphans.entry(orphan).or_default() -= 1;
            }
        }
    }
    for row in run.unplaced() {
        let e = &row.effect;
        totals.over.insert(Site::record(e.partition, e.offset).of(e.sink_attempt));
    }
    for partition in run.ledger.partitions() {
        let missing = partition.offsets().filter(|o| !kept.contains(&(partition.id(), *o)));
        totals.under.extend(missing.map(|offset| Site::record(partition.id(), offset)));
    }
    for ((partition, offset, _, read_by), missing) in orphans {
        let site = Site::record(partition, offset).of(read_by);
        match missing {
            0 => {}
            1.. => _ = totals.under.insert(site),
            _ => _ = totals.over.insert(site),
        }
    }
    explained
}

/// What the failures made the job read again, and how many duplicates that allows.
fn allowed(run: &Run<'_>) -> (u64, u64) {
    let mut heights: BTreeMap<(AttemptId, PartitionId), Offset> = BTreeMap::new();
    for row in run.placed().filter(|row| run.is_record(&row.effect)) {
        let e = &row.effect;
        let height = heights.entry((e.source_attempt, e.partition)).or_default();
        *height = (*height).max(Offset(e.offset.0 + 1));
    }
    let ids: Vec<AttemptId> = run.attempts.keys().copied().collect();
    let mut replayed = 0;
    for pair in ids.windows(2) {
        let (failed, next) = (pair[0], pair[1]);
        for partition in run.ledger.partitions() {
            let began = run.began_at(failed, partition.id());
            let read = heights.get(&(failed, partition.id())).copied().unwrap_or_default();
            let again = run.began_at(next, partition.id());
            replayed += read.max(began).0.saturating_sub(again.0);
        }
        let restored: CheckpointId = run.attempts[&next].restored;
        if run.maker_before(restored, next).is_some() {
            replayed += run.cuts[&restored].frames.len() as u64;
        }
    }
    // Orphans of at-least-once cuts are committed like everything else.
    let conditions = &run.conditions;
    let transactional = conditions.transactional_sink && conditions.mode.has_exact_cuts();
    (replayed, if transactional { 0 } else { replayed })
}

/// Effects minus records equal what the lineage explains; what remains is every record once.
pub(super) fn exact(run: &Run<'_>, totals: &Totals) -> Answer {
    let id = "duplicates-exact";
    if totals.expected.is_none() {
        return Answer::unknown(id);
    }
    if totals.over.is_empty() && !totals.under.is_empty() && !run.conditions.drained {
        return Answer { cases: totals.under.clone(), ..Answer::unknown(id) };
    }
    let cases = totals.over.union(&totals.under).copied().collect();
    Answer::from_cases(id, cases, Verdict::Proven)
}

/// Duplicates do not exceed what the failures allow.
pub(super) fn bound(totals: &Totals) -> Answer {
    let verdict = match totals.bound {
        None => Verdict::Unknown,
        Some(bound) if totals.duplicates <= bound => Verdict::Proven,
        Some(_) => Verdict::Violated,
    };
    Answer { id: "duplicates-bound", verdict, cases: BTreeSet::new() }
}

/// A fault landed, a checkpoint was completed, something was replayed.
pub(super) fn vacuity(run: &Run<'_>, totals: &Totals) -> Answer {
    let required = run.conditions.required;
    let enough = run.ledger.records() > 0
        && !(required.fault && run.conditions.faults_landed == 0)
        && !(required.checkpoint && run.cuts.is_empty())
        && !(required.replay && totals.replayed == Some(0));
    let verdict = match totals.replayed {
        Some(_) if enough => Verdict::Proven,
        _ => Verdict::Unknown,
    };
    Answer { id: "vacuity", verdict, cases: BTreeSet::new() }
}
