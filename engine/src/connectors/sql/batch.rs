//! A batch: the effects that one transaction holds.
//!
//! Invariants: effects of a subtask are in the order in which they were written; a batch keeps its
//! number and its effects over all its tries.

use xxhash_rust::xxh3::xxh3_128;

use super::row::RowMapper;
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex};
use crate::mutants;
use crate::record::Record;
use crate::seam::TimeUs;

/// One record on its way into the database.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The record.
    pub record: Record,
    /// The sink subtask that wrote it.
    pub subtask: SubtaskIndex,
    /// The tag: the last checkpoint that the subtask had snapshotted when the row was handed over.
    pub checkpoint: CheckpointId,
}

/// Counts the transactions of a sink attempt; the high 16 bits are the writer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNumber(pub u64);

impl BatchNumber {
    /// The `n`-th batch of `writer`, which is unique over all workers.
    pub fn new(writer: u16, n: u64) -> Self {
        assert!(n < 1 << 48, "a writer has fewer than 2^48 batches");
        Self(u64::from(writer) << 48 | n)
    }
}

/// One try of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTry {
    /// 0 unless the outcome of an earlier try was in doubt.
    pub number: u32,
    /// When the transaction was begun.
    pub sent_us: TimeUs,
}

/// The effects of one transaction.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The sink's attempt.
    pub attempt: AttemptId,
    /// The batch.
    pub number: BatchNumber,
    /// The effects.
    pub effects: Vec<Effect>,
}

/// One row of `results`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upsert<'a> {
    /// `key_hash`.
    pub key_hash: [u8; 16],
    /// `record_key`.
    pub key: &'a [u8],
    /// `record_value`.
    pub value: Option<&'a [u8]>,
    /// `version`.
    pub version: u64,
    /// `record_count`.
    pub record_count: u64,
}

impl Batch {
    /// The upserts, sorted by key hash: writers then take row locks in one order, and the index is
    /// walked once. Of several rows of a key one is left, the one that would win if they were
    /// written one after the other: the highest version if `versions_guarded`, else the last.
    pub fn upserts(&self, mapper: &dyn RowMapper, versions_guarded: bool) -> Vec<Upsert<'_>> {
        let keyed = self.effects.iter().filter_map(|effect| {
            let record = effect.record.view();
            let (key, row) = (record.key()?, mapper.map(record));
            let provenance = record.provenance();
            Some(Upsert {
                key_hash: xxh3_128(key).to_be_bytes(),
                key,
                value: row.value,
                version: provenance.offset.0 * 65_536 + u64::from(provenance.partition.0),
                record_count: row.record_count,
            })
        });
        let mut upserts: Vec<_> = keyed.collect();
        match mutants::is_active(mutants::UPSERTS_UNSTABLE) {
            true => upserts.sort_unstable_by_key(|upsert| upsert.key_hash),
            false => upserts.sort_by_key(|upsert| upsert.key_hash),
        }
        upserts.dedup_by(|later, kept| {
            let is_same_key = later.key_hash == kept.key_hash;
            if is_same_key && (!versions_guarded || later.version >= kept.version) {
                *kept = *later;
            }
            is_same_key
        });
        upserts
    }

    /// Bytes of the largest frame.
    pub fn largest_row_bytes(&self) -> usize {
        self.effects.iter().map(|e| e.record.frame().len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::row::WholeValue;
    use super::*;
    use crate::ids::{Offset, PartitionId};
    use crate::record::{Payload, Provenance, Route};

    fn effect(key: Option<&str>, offset: u64, value: &str) -> Effect {
        let payload = Payload {
            provenance: Provenance {
                partition: PartitionId(3),
                offset: Offset(offset),
                index: 0,
                source_attempt: AttemptId(1),
            },
            event_time_us: 0,
            key: key.map(str::as_bytes),
            value: Some(value.as_bytes()),
        };
        let (source, target) = (SubtaskIndex(0), SubtaskIndex(0));
        let mut frame = BytesMut::new();
        payload.encode(Route { source, target }, &mut frame);
        let record = Record::at(&frame.freeze(), 0);
        Effect { record, subtask: SubtaskIndex(0), checkpoint: CheckpointId(0) }
    }

    fn batch(effects: Vec<Effect>) -> Batch {
        Batch { attempt: AttemptId(1), number: BatchNumber::new(0, 0), effects }
    }

    #[test]
    fn of_a_key_the_winner_is_left() {
        let effects = vec![
            effect(Some("a"), 5, "a5"),
            effect(Some("b"), 1, "b1"),
            effect(None, 9, "no key"),
            effect(Some("a"), 9, "a9"),
            effect(Some("a"), 7, "a7"),
        ];
        let batch = batch(effects);
        let values = |guarded| {
            let upserts = batch.upserts(&WholeValue, guarded);
            assert!(upserts.is_sorted_by_key(|u| u.key_hash));
            let mut values: Vec<_> = upserts
                .iter()
                .map(|u| String::from_utf8_lossy(u.value.unwrap()).into_owned())
                .collect();
            values.sort();
            values
        };
        assert_eq!(values(true), ["a9", "b1"], "the highest version wins");
        assert_eq!(values(false), ["a7", "b1"], "the last one wins");
    }

    #[test]
    fn version_and_hash_are_as_documented() {
        let batch = batch(vec![effect(Some("a"), 2, "v")]);
        let upsert = batch.upserts(&WholeValue, true)[0];
        assert_eq!(upsert.version, 2 * 65_536 + 3);
        // xxhsum -H128 of "a".
        let hash = 0xa96f_af70_5af1_6834_e6c6_32b6_1e96_4e1f_u128;
        assert_eq!(u128::from_be_bytes(upsert.key_hash), hash);
        assert_eq!(BatchNumber::new(3, 5).0, 3 << 48 | 5);
    }
}
