//! The way of a record that a witness speaks of: what the topic, the restored checkpoints and the
//! audit table show of it, place by place.
//!
//! Only taken when something was violated, and only of records that witnesses name. It judges
//! nothing: where nothing tells, it says so.

use std::collections::{BTreeMap, BTreeSet};

use stormproof_reports::schema::{Hop, Passage, Seen};

use crate::oracle::checkpoint_reader::{CheckpointSource, Frame, Manifest, Mode, Place, Split};
use crate::oracle::evidence::{Effect, EvidenceError};
use crate::oracle::{AuditSource, Judgement};
use crate::workload::ledger::{Ledger, Offset, PartitionId};

/// A record of the input.
pub(super) type Record = (PartitionId, Offset);
/// Records that are traced at most.
const RECORDS: usize = 24;
/// Rows that are kept of one record.
const ROWS: usize = 4;

/// The passages of a run's violations.
pub(super) type Passages = BTreeMap<Record, Passage>;

/// What a restored checkpoint says of one record.
struct Stand {
    manifest: Manifest,
    restored_by: u32,
    split: Option<Split>,
    frame: Option<Frame>,
}

impl Stand {
    /// Whether the sources of the checkpoint stand beyond the record.
    fn is_past(&self, record: Record) -> bool {
        self.split.is_some_and(|split| split.next_offset > record.1)
    }
}

/// Traces the records of a judgement's witnesses.
///
/// # Errors
/// When the tables cannot be read.
pub(super) fn trace(
    judged: &Judgement,
    ledger: &Ledger,
    checkpoints: &mut dyn CheckpointSource,
    audit: &mut dyn AuditSource,
) -> Result<Passages, EvidenceError> {
    let sites = judged.checks.iter().flat_map(|check| &check.witnesses).map(|found| found.site);
    let records = sites.filter_map(|site| Some((site.partition?, site.offset?)));
    let records: BTreeSet<Record> = records.take(RECORDS).collect();
    if records.is_empty() {
        return Ok(Passages::new());
    }
    let mut stands = stands(&records, checkpoints, audit)?;
    let (rows, sinks) = rows(&records, ledger, audit)?;
    let told = |record: Record| {
        let stands = stands.remove(&record).unwrap_or_default();
        let rows = rows.get(&record).map_or(&[][..], Vec::as_slice);
        (record, passage(record, &stands, rows, sinks.get(&record).copied()))
    };
    Ok(records.iter().copied().map(told).collect())
}

/// What each restored checkpoint says of each record, in the order of restores.
fn stands(
    records: &BTreeSet<Record>,
    checkpoints: &mut dyn CheckpointSource,
    audit: &mut dyn AuditSource,
) -> Result<BTreeMap<Record, Vec<Stand>>, EvidenceError> {
    let manifests: BTreeMap<_, _> =
        checkpoints.list()?.into_iter().filter_map(|l| Some((l.id, l.manifest.ok()?))).collect();
    let mut stands: BTreeMap<Record, Vec<Stand>> = BTreeMap::new();
    for fence in audit.fences()? {
        let Some(manifest) = manifests.get(&fence.restored) else { continue };
        let Ok(state) = checkpoints.state(manifest) else { continue };
        for record in records {
            let is_it = |frame: &&Frame| (frame.partition, frame.offset) == *record;
            stands.entry(*record).or_default().push(Stand {
                manifest: manifest.clone(),
                restored_by: fence.attempt.0,
                split: state.splits.iter().find(|split| split.partition == record.0).copied(),
                frame: state.frames.iter().find(is_it).copied(),
            });
        }
    }
    Ok(stands)
}

type Rows = BTreeMap<Record, Vec<Effect>>;

/// The rows of each record, and the sink subtask that its key belongs to, if a row shows it.
fn rows(
    records: &BTreeSet<Record>,
    ledger: &Ledger,
    audit: &mut dyn AuditSource,
) -> Result<(Rows, BTreeMap<Record, u32>), EvidenceError> {
    let key =
        |(partition, offset): Record| ledger.partitions()[ledger.slot(partition)?].key_hash(offset);
    let keys: BTreeMap<u128, Record> =
        records.iter().filter_map(|record| Some((key(*record)?, *record))).collect();
    let partitions: BTreeSet<PartitionId> = records.iter().map(|record| record.0).collect();
    let (mut rows, mut sinks) = (Rows::new(), BTreeMap::new());
    audit.effects(&mut |effect| {
        let record = (effect.partition, effect.offset);
        if !partitions.contains(&effect.partition) {
            return;
        }
        if records.contains(&record) {
            let rows = rows.entry(record).or_default();
            if rows.len() < ROWS {
                rows.push(*effect);
            }
        }
        if let Some(same) = key(record).and_then(|key| keys.get(&key)) {
            sinks.entry(*same).or_insert(effect.subtask);
        }
    })?;
    Ok((rows, sinks))
}

fn passage(record: Record, stands: &[Stand], rows: &[Effect], sink: Option<u32>) -> Passage {
    let held = stands.iter().rev().find(|stand| stand.frame.is_some());
    let lost = stands.iter().find(|stand| stand.is_past(record) && stand.frame.is_none());
    let at = if rows.is_empty() { held.or(lost) } else { held };
    let sink = sink.or_else(|| match held?.frame?.place {
        Place::Buffer { subtask } => Some(u32::from(subtask)),
        Place::Channel { target, .. } => Some(u32::from(target)),
        Place::Held { .. } => None,
    });
    let is_lost = rows.is_empty();
    let hops = vec![
        hop("partition", format!("partition {}", record.0), Seen::Passed, {
            format!("offset {} is in the topic", record.1)
        }),
        source(record, stands, rows),
        channel(at, sink, is_lost),
        operator(at, rows, sink),
        buffer(at, sink, is_lost),
        row(rows),
    ];
    Passage {
        hops,
        checkpoint: at.map(|stand| stand.manifest.checkpoint.0),
        restored_by: at.map(|stand| stand.restored_by),
        fault: None,
    }
}

fn hop(place: &str, name: String, seen: Seen, note: impl Into<String>) -> Hop {
    Hop { place: place.to_owned(), name, seen, note: note.into() }
}

/// `vertex[5]`, or the vertex alone where nobody knows which subtask.
fn subtask(vertex: &str, index: Option<u32>) -> String {
    index.map_or_else(|| format!("{vertex}[?]"), |index| format!("{vertex}[{index}]"))
}

fn source(record: Record, stands: &[Stand], rows: &[Effect]) -> Hop {
    let owner = stands.iter().find_map(|stand| stand.split).map(|split| u32::from(split.subtask));
    let name = subtask("source", owner);
    if let Some(row) = rows.first() {
        return hop(
            "source",
            name,
            Seen::Passed,
            format!("read by attempt {}", row.source_attempt),
        );
    }
    let past = stands.iter().find(|stand| stand.is_past(record));
    match past.and_then(|stand| Some((stand, stand.split?))) {
        Some((stand, split)) => hop("source", name, Seen::Passed, {
            let id = stand.manifest.checkpoint;
            format!("checkpoint {id} stands at offset {}: it was emitted", split.next_offset)
        }),
        None => hop("source", name, Seen::Unknown, "no restored checkpoint stands beyond it"),
    }
}

fn channel(at: Option<&Stand>, sink: Option<u32>, is_lost: bool) -> Hop {
    let target = subtask("count", sink);
    let Some(stand) = at else {
        let seen = if is_lost { Seen::Unknown } else { Seen::Passed };
        return hop("channel", format!("to {target}"), seen, "");
    };
    let id = stand.manifest.checkpoint;
    let owner = stand.split.map(|split| u32::from(split.subtask));
    let name = format!("{} to {target}", subtask("source", owner));
    let logs =
        matches!(stand.manifest.mode, Mode::ExactlyOnceUnaligned | Mode::AtLeastOnceFirstBarrier);
    match stand.frame.map(|frame| frame.place) {
        Some(Place::Channel { source, target, .. }) => {
            let name = format!("source[{source}] to count[{target}]");
            hop("channel", name, Seen::Held, format!("in the channel state of checkpoint {id}"))
        }
        None if is_lost && logs => {
            hop("channel", name, Seen::Missing, format!("not in the channel state of {id}"))
        }
        None if is_lost => {
            hop("channel", name, Seen::Unknown, "this mode keeps nothing that is in flight")
        }
        _ => hop("channel", name, Seen::Passed, ""),
    }
}

fn operator(at: Option<&Stand>, rows: &[Effect], sink: Option<u32>) -> Hop {
    let name = subtask("count", sink);
    let frame = at.and_then(|stand| stand.frame);
    // What a sink held has come through the operator.
    let is_past = frame.is_some_and(|frame| matches!(frame.place, Place::Buffer { .. }));
    match rows.is_empty() && !is_past {
        true => hop("operator", name, Seen::Unknown, "its state counts records, not which"),
        false => hop("operator", name, Seen::Passed, ""),
    }
}

fn buffer(at: Option<&Stand>, sink: Option<u32>, is_lost: bool) -> Hop {
    let name = subtask("sink", sink);
    let Some(stand) = at else {
        let seen = if is_lost { Seen::Unknown } else { Seen::Passed };
        return hop("sink", name, seen, "");
    };
    let id = stand.manifest.checkpoint;
    match stand.frame.map(|frame| frame.place) {
        Some(Place::Buffer { .. }) => {
            hop("sink", name, Seen::Held, format!("in the buffer of checkpoint {id}"))
        }
        _ if is_lost => {
            hop("sink", name, Seen::Missing, format!("not in the buffer of checkpoint {id}"))
        }
        _ => hop("sink", name, Seen::Passed, ""),
    }
}

fn row(rows: &[Effect]) -> Hop {
    let name = "database".to_owned();
    if rows.is_empty() {
        return hop("row", name, Seen::Missing, "no row of any attempt");
    }
    let told = rows.iter().map(|row| format!("row {} by attempt {}", row.seq, row.sink_attempt));
    hop("row", name, Seen::Passed, told.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
#[path = "passage_tests.rs"]
mod tests;
