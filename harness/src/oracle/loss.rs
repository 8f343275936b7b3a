//! Loss and phantoms: every record has an effect, and every effect has a record.
//!
//! A lost record is attributed: which restore it vanished in, and what held it last.

use super::case::{Case, Finding, NotJudged};
use super::cut::describe;
use super::details::RecordId;
use super::history::History;
use super::lineage::Start;
use super::sweep::Sweep;
use super::verdict::{Site, Verdict, WITNESS_LIMIT, Witnesses};
use crate::workload::ledger::{Ledger, Offset};

/// The smallest records without an effect.
pub(super) fn smallest(sweep: &Sweep, ledger: &Ledger) -> Vec<RecordId> {
    let (seen, partitions) = (sweep.seen.any(), ledger.partitions().iter().enumerate());
    let lost = partitions.flat_map(|(slot, partition)| {
        let missing = seen.missing(slot, partition.records());
        missing.map(|position| (partition.id(), partition.offset_at(position)))
    });
    lost.take(WITNESS_LIMIT).collect()
}

/// The rule `no-loss`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let (sweep, lost) = (case.sweep()?, case.lost()?);
    let records = case.ledger.records();
    let mut finding = if lost == 0 {
        Finding::new(Verdict::Proven, format!("each of {records} records has an effect"))
    } else if case.conditions.drained {
        Finding::new(Verdict::Violated, format!("{lost} of {records} records have no effect"))
    } else {
        let summary = format!("{lost} of {records} records have no effect yet: not drained");
        Finding::new(Verdict::Unknown, summary)
    };
    let mut witnesses = Witnesses::default();
    for record in smallest(sweep, case.ledger) {
        witnesses.add(Site::record(record.0, record.1), || attribute(case, record));
    }
    finding.witnesses = witnesses.smallest().cloned().collect();
    Ok(finding.figure("records", records).figure("lost", lost))
}

/// Tells in one sentence where a lost record was last.
fn attribute(case: &Case<'_>, record: RecordId) -> String {
    let (partition, offset) = record;
    let name = format!("offset {offset} of partition {partition}");
    let (Ok(history), Ok(sweep)) = (case.history(), case.sweep()) else {
        return format!("{name} has no effect");
    };
    let Some(slot) = case.ledger.slot(partition) else {
        return format!("{name} has no effect");
    };
    let mut text = format!("{name} {}", last_seen(case, history, record, slot));
    if let Some(at) = case.balance().ok().and_then(|balance| {
        balance.imbalances.iter().find(|at| at.slot == slot && at.found < at.expected)
    }) {
        text += &format!(
            "; its partition first did not add up at checkpoint {}",
            history.cuts[at.cut].id()
        );
    }
    text + &neighbours(case.ledger, sweep, history, slot, offset)
}

/// Walks the restores of the final history, oldest first.
fn last_seen(case: &Case<'_>, history: &History, record: RecordId, slot: usize) -> String {
    let offset = record.1;
    let lineage = &history.lineage;
    let mut chain: Vec<usize> = lineage.final_chain().collect();
    chain.reverse();
    let held = case.details.frames.get(&record).map_or(&[][..], Vec::as_slice);
    let mut absent = None;
    let mut last_held = None;
    for at in chain {
        let Start::Restored { cut, .. } = lineage.attempts[at].start else {
            continue;
        };
        let cut = &history.cuts[cut];
        if let Some((_, frame)) = held.iter().find(|(id, _)| *id == cut.id()) {
            last_held = Some((cut, frame, at));
        } else if offset < cut.next[slot] {
            absent = absent.or(Some((cut, at)));
        }
    }
    match (last_held, absent) {
        (Some((cut, frame, at)), _) => format!(
            "was in {} at checkpoint {} (read by attempt {}): absent after its restore by \
             attempt {}",
            describe(frame.place),
            cut.id(),
            frame.source_attempt,
            lineage.attempts[at].id
        ),
        (None, Some((cut, at))) => format!(
            "was below S = {} of checkpoint {}, not in its buffers or channel state, no effect \
             tagged before it: absent after restore of {} by attempt {}",
            cut.next[slot],
            cut.id(),
            cut.id(),
            lineage.attempts[at].id
        ),
        (None, None) => {
            let last = lineage.attempts.last();
            let from = last
                .map(|_| lineage.attempts.len() - 1)
                .map(|at| lineage.first_offset(at, slot, &history.cuts, case.ledger));
            format!(
                "was for attempt {} to read, which began at offset {}, and has no effect",
                last.map_or_else(|| "none".to_owned(), |attempt| attempt.id.to_string()),
                from.unwrap_or_default()
            )
        }
    }
}

fn neighbours(
    ledger: &Ledger,
    sweep: &Sweep,
    history: &History,
    slot: usize,
    offset: Offset,
) -> String {
    let partition = &ledger.partitions()[slot];
    let Some(position) = partition.position(offset) else {
        return String::new();
    };
    let near = sweep.seen.neighbours((slot, position), history);
    let told = |(at, attempt)| format!("{} by attempt {attempt}", partition.offset_at(at));
    let near: Vec<String> = near.into_iter().flatten().map(told).collect();
    if near.is_empty() {
        return String::new();
    }
    format!("; the nearest effects are of {}", near.join(" and "))
}

/// The rule `no-phantom`.
pub(super) fn check_phantoms(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let sweep = case.sweep()?;
    Ok(Finding::from_cases(
        [&sweep.phantoms],
        format!("each of {} effects has its record in the input", sweep.effects),
        |cases| format!("{cases} effects have no record in the input"),
    ))
}
