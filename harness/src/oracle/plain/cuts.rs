//! Rules about completed checkpoints: conservation, orphans, coverage.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ids::{AttemptId, CheckpointId};
use super::super::verdict::{Site, Verdict};
use super::Answer;
use super::run::{Cut, Row, Run};
use super::story::{Standing, Story};
use crate::workload::ledger::{Offset, PartitionId};

/// A record, and how often it is there.
type Multiset = BTreeMap<(PartitionId, Offset, u32), i64>;

/// At every checkpoint, surviving effects and held frames are the records below S, each once.
pub(super) fn conservation(run: &Run<'_>) -> Answer {
    if run.cuts.is_empty() {
        return Answer::unknown("conservation");
    }
    let mut cases = held_but_confirmed(run);
    let mut otherwise = Verdict::Proven;
    for (id, cut) in &run.cuts {
        match run.story_of(*id).filter(|story| story.whole) {
            Some(story) => unbalanced(run, *id, cut, &story, &mut cases),
            None => otherwise = Verdict::Unknown,
        }
    }
    if run.conditions.mode.has_exact_cuts() {
        cases.extend(orphan_effects(run));
    }
    Answer::from_cases("conservation", cases, otherwise)
}

/// Counts what is there before a cut, takes away what should be, and names the rest.
fn unbalanced(
    run: &Run<'_>,
    id: CheckpointId,
    cut: &Cut,
    story: &Story,
    cases: &mut BTreeSet<Site>,
) {
    let mut there = Multiset::new();
    for row in run.placed().filter(|row| story.keeps(row)) {
        let e = &row.effect;
        if story.standing_of(e, run) != Standing::Orphan {
            *there.entry((e.partition, e.offset, e.index)).or_default() += 1;
        }
    }
    for frame in &cut.frames {
        let (partition, offset) = (frame.partition, frame.offset);
        let maker = cut.manifest.attempt;
        let standing = story.standing(run, maker, frame.source_attempt, partition, offset);
        if standing != Standing::Orphan {
            *there.entry((partition, offset, frame.index)).or_default() += 1;
        }
    }
    for partition in run.ledger.partitions() {
        let next = cut.next(partition.id(), run.ledger);
        for offset in partition.offsets().take_while(|offset| *offset < next) {
            *there.entry((partition.id(), offset, 0)).or_default() -= 1;
        }
    }
    for ((partition, offset, _), _) in there.into_iter().filter(|(_, count)| *count != 0) {
        if run.ledger.slot(partition).is_some() && cut.covers(partition) {
            cases.insert(Site::record(partition, offset).at(id));
        }
    }
}

/// Rows that a cut's buffers still held although a later row of the same sink subtask counted
/// by then: transactions are confirmed in order, so the earlier one was, too.
fn held_but_confirmed(run: &Run<'_>) -> BTreeSet<Site> {
    // For each sink subtask: the last row whose first counting cut is the highest so far.
    let mut held: BTreeMap<(AttemptId, u32), Row> = BTreeMap::new();
    let mut cases = BTreeSet::new();
    let never = CheckpointId(u64::MAX);
    for row in run.placed().filter(|row| !row.retried) {
        let subtask = (row.effect.sink_attempt, row.effect.subtask);
        let counted = row.counted_from.unwrap_or(never);
        if row.counted_from != row.tagged_before {
            let last = held.entry(subtask).or_insert(*row);
            if last.counted_from.unwrap_or(never) <= counted {
                *last = *row;
            }
        } else if let Some(last) = held.get(&subtask)
            && counted < last.counted_from.unwrap_or(never)
        {
            let record = Site::record(last.effect.partition, last.effect.offset);
            cases.insert(record.at(counted));
        }
    }
    cases
}

/// Effects that a cut counts on although its source stood below them.
fn orphan_effects(run: &Run<'_>) -> BTreeSet<Site> {
    let mut cases = BTreeSet::new();
    for row in run.placed().filter(|row| row.effect.source_attempt == row.effect.sink_attempt) {
        let e = &row.effect;
        let Some(first) = row.counted_from else { continue };
        let next = run.cuts[&first].next(e.partition, run.ledger);
        if e.offset >= next && e.offset >= run.began_at(e.source_attempt, e.partition) {
            cases.insert(Site::record(e.partition, e.offset).at(first).of(e.sink_attempt));
        }
    }
    cases
}

/// No checkpoint holds, in effects or in state, a record at or above its S.
pub(super) fn no_orphans(run: &Run<'_>) -> Answer {
    let mut cases = orphan_effects(run);
    for (id, cut) in &run.cuts {
        for frame in &cut.frames {
            let foreign = run.ledger.slot(frame.partition).is_none();
            let own = frame.source_attempt == cut.manifest.attempt;
            if foreign || own && frame.offset >= cut.next(frame.partition, run.ledger) {
                let record = Site::record(frame.partition, frame.offset);
                cases.insert(record.at(*id).of(frame.source_attempt));
            }
        }
    }
    Answer::from_cases("no-orphans", cases, Verdict::Proven)
}

/// Every checkpoint owns each partition once, within the log, never going back, and all took part.
pub(super) fn coverage(run: &Run<'_>) -> Answer {
    if run.cuts.is_empty() {
        return Answer::unknown("offset-coverage");
    }
    let mut cases = BTreeSet::new();
    for (id, cut) in &run.cuts {
        let manifest = &cut.manifest;
        let subtasks: u64 = manifest.vertices.iter().map(|v| u64::from(v.parallelism)).sum();
        let (expected, acknowledged) = (manifest.subtasks_expected, manifest.subtasks_acknowledged);
        if expected != subtasks || acknowledged != subtasks {
            cases.insert(Site::default().at(*id).of(manifest.attempt));
        }
        let mut owners: BTreeMap<PartitionId, u32> = BTreeMap::new();
        cut.splits.iter().for_each(|split| *owners.entry(split.partition).or_default() += 1);
        for (partition, count) in &owners {
            if *count > 1 || run.ledger.slot(*partition).is_none() {
                cases.insert(Site::partition(*partition).at(*id));
            }
        }
        for partition in run.ledger.partitions() {
            let next = cut.next(partition.id(), run.ledger);
            if !owners.contains_key(&partition.id()) {
                cases.insert(Site::partition(partition.id()).at(*id));
            }
            if next < partition.start() || next > partition.end() {
                cases.insert(Site::record(partition.id(), next).at(*id));
            }
        }
    }
    for attempt in run.attempts.keys() {
        for partition in run.ledger.partitions() {
            went_back(run, *attempt, partition.id(), &mut cases);
        }
    }
    Answer::from_cases("offset-coverage", cases, Verdict::Proven)
}

fn went_back(
    run: &Run<'_>,
    attempt: AttemptId,
    partition: PartitionId,
    cases: &mut BTreeSet<Site>,
) {
    let mut before = run.began_at(attempt, partition);
    for (id, cut) in run.cuts.iter().filter(|(_, cut)| cut.manifest.attempt == attempt) {
        if !cut.covers(partition) {
            continue;
        }
        let next = cut.next(partition, run.ledger);
        if next < before {
            cases.insert(Site::record(partition, next).at(*id).of(attempt));
        }
        before = next;
    }
}
