//! Everything a run left behind, in memory: rows, attempts, cuts.

use std::collections::{BTreeMap, BTreeSet};

use super::super::checkpoint_reader::{Frame, Manifest, Place, Split};
use super::super::conditions::Conditions;
use super::super::evidence::{Effect, EvidenceError, Fence};
use super::super::ids::{AttemptId, CheckpointId};
use super::super::judge::Input;
use crate::workload::ledger::{Ledger, Offset, PartitionId, hash_key, hash_value};

/// A row of the audit table and what the other rows say about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) effect: Effect,
    /// Its batch was tried more than once.
    pub(super) retried: bool,
    /// A later try of its batch wrote the same record: it is a copy, not an effect.
    pub(super) copy: bool,
    /// The first checkpoint of its sink attempt that counts on it; `None` when there is none.
    pub(super) counted_from: Option<CheckpointId>,
    /// The first checkpoint of its sink attempt after its tag.
    pub(super) tagged_before: Option<CheckpointId>,
}

/// A completed checkpoint, as found.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) manifest: Manifest,
    /// Sorted by partition, offset, subtask.
    pub(super) splits: Vec<Split>,
    pub(super) frames: Vec<Frame>,
    /// The first split of each partition.
    next: BTreeMap<PartitionId, Offset>,
    /// The records of sink buffers.
    buffered: BTreeSet<(PartitionId, Offset, AttemptId)>,
}

/// A row of the results table, by its hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) key: u128,
    pub(super) key_matches: bool,
    pub(super) value: u64,
    pub(super) version: u64,
    pub(super) count: u64,
}

/// A run.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) conditions: Conditions,
    /// In the order of the table.
    pub(super) rows: Vec<Row>,
    /// As found.
    pub(super) fences: Vec<Fence>,
    /// The first fence of each attempt.
    pub(super) attempts: BTreeMap<AttemptId, Fence>,
    /// Checkpoints of which something is left that cannot be used.
    pub(super) torn: BTreeSet<CheckpointId>,
    /// Those of them that have no manifest.
    pub(super) without_manifest: BTreeSet<CheckpointId>,
    /// Whole checkpoints.
    pub(super) cuts: BTreeMap<CheckpointId, Cut>,
    pub(super) results: Vec<Stored>,
}

impl Cut {
    /// S(p); the start offset where no split says.
    pub(super) fn next(&self, partition: PartitionId, ledger: &Ledger) -> Offset {
        self.next.get(&partition).copied().unwrap_or_else(|| start_of(partition, ledger))
    }

    pub(super) fn covers(&self, partition: PartitionId) -> bool {
        self.next.contains_key(&partition)
    }

    fn holds(&self, effect: &Effect) -> bool {
        self.buffered.contains(&(effect.partition, effect.offset, effect.source_attempt))
    }
}

impl<'a> Run<'a> {
    /// Reads all evidence.
    pub(super) fn gather(input: Input<'a>) -> Result<Self, EvidenceError> {
        let Input { ledger, checkpoints, audit, conditions } = input;
        let (mut cuts, mut torn, mut without_manifest) =
            (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for listed in checkpoints.list()? {
            let read = listed.manifest.and_then(|manifest| {
                let state = checkpoints.state(&manifest)?;
                Ok(cut(manifest, state.splits, state.frames))
            });
            match read {
                Ok(cut) => _ = cuts.insert(cut.manifest.checkpoint, cut),
                Err(why) => {
                    torn.insert(listed.id);
                    if !why.has_manifest {
                        without_manifest.insert(listed.id);
                    }
                }
            }
        }
        let mut rows = Vec::new();
        audit.effects(&mut |effect| {
            rows.push(Row {
                effect: *effect,
                retried: false,
                copy: false,
                counted_from: None,
                tagged_before: None,
            });
        })?;
        let mut results = Vec::new();
        audit.results(&mut |row| {
            results.push(Stored {
                key: row.key_hash,
                key_matches: hash_key(row.key) == row.key_hash,
                value: hash_value(row.value),
                version: row.version,
                count: row.record_count,
            });
        })?;
        let fences = audit.fences()?;
        let mut attempts = BTreeMap::new();
        for fence in &fences {
            attempts.entry(fence.attempt).or_insert(*fence);
        }
        let mut run = Self {
            ledger,
            conditions,
            rows,
            fences,
            attempts,
            torn,
            without_manifest,
            cuts,
            results,
        };
        run.mark_copies();
        run.place_rows();
        Ok(run)
    }

    /// Of the rows that several tries of one batch left for one record, one for each try but the
    /// last is a copy.
    fn mark_copies(&mut self) {
        let tried_again = self.rows.iter().filter(|row| row.effect.batch_try > 0);
        let tried_again: BTreeSet<_> = tried_again.map(|row| row.effect.batch_id()).collect();
        let mut writes: BTreeMap<_, Vec<(u32, u64, usize)>> = BTreeMap::new();
        for (at, row) in self.rows.iter_mut().enumerate() {
            let e = &row.effect;
            row.retried = tried_again.contains(&e.batch_id());
            if row.retried {
                let write = (e.batch_id(), e.partition, e.offset, e.index, e.source_attempt);
                writes.entry(write).or_default().push((e.batch_try, e.seq, at));
            }
        }
        for mut tries in writes.into_values() {
            tries.sort_unstable();
            for pair in tries.windows(2) {
                self.rows[pair[0].2].copy = pair[0].0 < pair[1].0;
            }
        }
    }

    /// Finds, for each row, the checkpoints of its attempt that it lies before.
    fn place_rows(&mut self) {
        let mut own: BTreeMap<AttemptId, Vec<CheckpointId>> = BTreeMap::new();
        for (id, cut) in &self.cuts {
            own.entry(cut.manifest.attempt).or_default().push(*id);
        }
        for row in &mut self.rows {
            let effect = row.effect;
            let ids = own.get(&effect.sink_attempt).map_or(&[][..], Vec::as_slice);
            let mut later = ids.iter().copied().filter(|id| *id > effect.tag).peekable();
            row.tagged_before = later.peek().copied();
            // A cut that holds the record itself does not count on the row.
            let may_hold = self.conditions.unconfirmed_at_snapshot;
            row.counted_from = later.find(|id| !(may_hold && self.cuts[id].holds(&effect)));
        }
    }

    /// Whether the input has this record.
    pub(super) fn is_record(&self, effect: &Effect) -> bool {
        let slot = self.ledger.slot(effect.partition);
        let exists = |slot: usize| self.ledger.partitions()[slot].position(effect.offset).is_some();
        effect.index == 0 && slot.is_some_and(exists)
    }

    /// Effects of known partitions and attempts: what the lineage can speak about.
    pub(super) fn placed(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.copy && self.is_placed(&row.effect))
    }

    /// Effects of unknown partitions or attempts.
    pub(super) fn unplaced(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.copy && !self.is_placed(&row.effect))
    }

    fn is_placed(&self, effect: &Effect) -> bool {
        self.attempts.contains_key(&effect.sink_attempt)
            && self.ledger.slot(effect.partition).is_some()
    }
}

fn cut(manifest: Manifest, mut splits: Vec<Split>, frames: Vec<Frame>) -> Cut {
    splits.sort_unstable();
    let mut next = BTreeMap::new();
    for split in &splits {
        next.entry(split.partition).or_insert(split.next_offset);
    }
    let buffers = frames.iter().filter(|frame| matches!(frame.place, Place::Buffer { .. }));
    let buffered = buffers.map(|f| (f.partition, f.offset, f.source_attempt)).collect();
    Cut { manifest, splits, frames, next, buffered }
}

/// The start offset of a partition; 0 when the topic has none of this name.
pub(super) fn start_of(partition: PartitionId, ledger: &Ledger) -> Offset {
    ledger.slot(partition).map_or(Offset(0), |slot| ledger.partitions()[slot].start())
}
