//! Rules about single records and their rows.

use std::collections::{BTreeMap, BTreeSet};

use super::super::verdict::{Site, Verdict};
use super::Answer;
use super::run::Run;
use crate::workload::ledger::{Offset, PartitionId};

/// Every record of the input has an effect.
pub(super) fn no_loss(run: &Run<'_>) -> Answer {
    let cases: BTreeSet<Site> = lost(run).into_iter().map(|(p, o)| Site::record(p, o)).collect();
    let verdict = match (cases.is_empty(), run.conditions.drained) {
        (true, _) => Verdict::Proven,
        (false, true) => Verdict::Violated,
        (false, false) => Verdict::Unknown,
    };
    Answer { id: "no-loss", verdict, cases }
}

/// The records without an effect.
pub(super) fn lost(run: &Run<'_>) -> BTreeSet<(PartitionId, Offset)> {
    let mut left: BTreeSet<(PartitionId, Offset)> = BTreeSet::new();
    for partition in run.ledger.partitions() {
        left.extend(partition.offsets().map(|offset| (partition.id(), offset)));
    }
    for row in run.placed().filter(|row| row.effect.index == 0) {
        left.remove(&(row.effect.partition, row.effect.offset));
    }
    left
}

/// Every effect has a record of the input.
pub(super) fn no_phantom(run: &Run<'_>) -> Answer {
    let rows = run.rows.iter().filter(|row| !row.copy && !run.is_record(&row.effect));
    let site =
        |e: &super::super::evidence::Effect| Site::record(e.partition, e.offset).of(e.sink_attempt);
    let cases = rows.map(|row| site(&row.effect)).collect();
    Answer::from_cases("no-phantom", cases, Verdict::Proven)
}

/// Within one sink attempt, a record that one source attempt read has one effect.
pub(super) fn single_effect(run: &Run<'_>) -> Answer {
    let mut counts: BTreeMap<_, u32> = BTreeMap::new();
    for row in run.placed().filter(|row| run.is_record(&row.effect)) {
        let e = &row.effect;
        let source = Some(e.source_attempt).filter(|id| run.attempts.contains_key(id));
        *counts.entry((e.sink_attempt, source, e.partition, e.offset)).or_default() += 1;
    }
    let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
    let mut cases: BTreeSet<Site> =
        repeated.map(|((sink, _, p, o), _)| Site::record(p, o).of(sink)).collect();
    if run.conditions.resolves_doubt {
        let copies = run.rows.iter().filter(|row| row.copy).map(|row| &row.effect);
        cases.extend(copies.map(|e| Site::record(e.partition, e.offset).of(e.sink_attempt)));
    }
    Answer::from_cases("single-effect-per-attempt", cases, Verdict::Proven)
}

/// No row of an attempt lies behind the fence of a later one, every attempt has a fence, and no tag
/// lies below what the row's attempt restored.
pub(super) fn fencing(run: &Run<'_>) -> Answer {
    let mut cases = BTreeSet::new();
    for row in &run.rows {
        let e = &row.effect;
        let later = run.attempts.values().filter(|fence| fence.attempt > e.sink_attempt);
        let late = later.into_iter().any(|fence| e.seq > fence.after_seq);
        let own = run.attempts.get(&e.sink_attempt);
        if late || own.is_none_or(|fence| e.tag < fence.restored) {
            cases.insert(Site::record(e.partition, e.offset).of(e.sink_attempt));
        }
    }
    Answer::from_cases("fencing", cases, Verdict::Proven)
}

/// Within one pair of attempts, what shares a key (or, without keys, a partition and a sink
/// subtask) takes effect in the order of the log.
pub(super) fn key_order(run: &Run<'_>) -> Answer {
    let mut last: BTreeMap<_, Offset> = BTreeMap::new();
    let mut cases = BTreeSet::new();
    for row in run.placed().filter(|row| !row.retried && run.is_record(&row.effect)) {
        let e = &row.effect;
        if !run.attempts.contains_key(&e.source_attempt) {
            continue;
        }
        let slot = run.ledger.slot(e.partition);
        let key = slot.and_then(|slot| run.ledger.partitions()[slot].key_hash(e.offset));
        let unit = match (run.conditions.keyed, key) {
            (true, Some(key)) => key,
            (true, None) => continue,
            (false, _) => u128::from(e.subtask),
        };
        let before = last.insert((e.sink_attempt, e.source_attempt, e.partition, unit), e.offset);
        if before.is_some_and(|before| before > e.offset) {
            cases.insert(Site::record(e.partition, e.offset).of(e.sink_attempt));
        }
    }
    Answer::from_cases("per-key-order", cases, Verdict::Proven)
}
