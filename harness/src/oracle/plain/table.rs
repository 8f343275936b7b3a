//! The results table: each key once, with its highest version, that version's value, its count.

use std::collections::{BTreeMap, BTreeSet};

use super::super::verdict::{Site, Verdict};
use super::Answer;
use super::run::{Run, Stored};
use crate::workload::ledger::{Offset, PartitionId, version_of};

/// What the input says about one key.
#[derive(Debug)]
struct Key {
    version: u64,
    record: (PartitionId, Offset),
    records: u64,
    partitions: BTreeSet<PartitionId>,
}

/// The rule `final-values`.
pub(super) fn final_values(run: &Run<'_>) -> Answer {
    let keys = keys(run);
    let mut wrong = BTreeSet::new();
    let mut behind = BTreeSet::new();
    let mut without_row: BTreeSet<u128> = keys.keys().copied().collect();
    for row in &run.results {
        let Some(key) = keys.get(&row.key).filter(|_| row.key_matches) else {
            wrong.insert(Site::default());
            continue;
        };
        let site = Site::record(key.record.0, key.record.1);
        if !without_row.remove(&row.key) {
            wrong.insert(site);
        } else if row.version < key.version {
            behind.insert(site);
        } else if row.version > key.version || !value_and_count_are_right(run, row, key) {
            wrong.insert(site);
        }
    }
    for (_, key) in keys.iter().filter(|(hash, _)| without_row.contains(hash)) {
        behind.insert(Site::record(key.record.0, key.record.1));
    }
    if wrong.is_empty() && !behind.is_empty() && !run.conditions.drained {
        return Answer { cases: behind, ..Answer::unknown("final-values") };
    }
    wrong.extend(behind);
    Answer::from_cases("final-values", wrong, Verdict::Proven)
}

fn keys(run: &Run<'_>) -> BTreeMap<u128, Key> {
    let mut keys: BTreeMap<u128, Key> = BTreeMap::new();
    for partition in run.ledger.partitions() {
        for offset in partition.offsets() {
            let Some(hash) = partition.key_hash(offset) else { continue };
            let version = version_of(partition.id(), offset);
            let record = (partition.id(), offset);
            let key = keys.entry(hash).or_insert_with(|| Key {
                version,
                record,
                records: 0,
                partitions: BTreeSet::new(),
            });
            if version > key.version {
                (key.version, key.record) = (version, record);
            }
            key.records += 1;
            key.partitions.insert(partition.id());
        }
    }
    keys
}

fn value_and_count_are_right(run: &Run<'_>, row: &Stored, key: &Key) -> bool {
    let value = run.ledger.key(row.key).map(|facts| facts.value_hash);
    if value != Some(row.value) {
        return false;
    }
    if !run.conditions.keyed {
        return true;
    }
    let one_home = key.partitions.len() == 1;
    let not_too_low = row.count >= if one_home { key.records } else { 1 };
    let not_too_high = !run.conditions.mode.has_exact_cuts() || row.count <= key.records;
    not_too_low && not_too_high
}
