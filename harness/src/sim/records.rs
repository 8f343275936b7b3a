//! What counts as a record of a simulated run.
//!
//! The oracle knows jobs in which each input record becomes one row. Others are told in its words:
//! where an operator makes n records of each, the input counts as n times as long, and the m-th
//! record made of offset o stands at offset n * o + m, under its own key. A record that every subtask
//! gets in a copy is the copy of the subtask that its key belongs to; the others change nothing, and
//! are not looked at. Both hold wherever a record may be: in the input, in a channel, held by an
//! operator or a sink, in the tables.

use std::collections::BTreeMap;

use stormproof_chaos::sim::{Evidence, InputRecord, Plan, VERTICES, key_of_output, output_of_key};
use stormproof_engine::graph::{Partitioner, key_group_of, subtask_of_key_group};
use stormproof_engine::ids::KeyGroup;
use stormproof_engine::record::{Payload, Provenance};

use crate::oracle::checkpoint_reader::{
    CheckpointObjects, CheckpointSource, CheckpointState, Frame, Listed, Manifest, Place, Torn,
};
use crate::oracle::evidence::{Effect, EvidenceError, Fence, StoredResult};
use crate::oracle::{AttemptId, CheckpointId, MemoryAudit};
use crate::workload::ledger::{Ledger, LedgerBuilder, LedgerError, Offset, PartitionId};

/// How many records an input record becomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outputs(pub(super) u32);

impl Outputs {
    /// Where the first record stands that is made of the one at `offset`.
    pub(super) fn place(self, offset: u64) -> Offset {
        Offset(offset * u64::from(self.0))
    }

    /// Where the record stands that says it is the `index`-th of the one at `offset`. One that
    /// cannot be keeps its index, which the oracle does not know.
    fn record(self, offset: u64, index: u32) -> (Offset, u32) {
        let Offset(first) = self.place(offset);
        match index < self.0 {
            true => (Offset(first + u64::from(index)), 0),
            false => (Offset(first), index),
        }
    }

    /// The version of the row with `key`, whose record had `version`.
    fn version(self, version: u64, key: &[u8]) -> u64 {
        let (offset, partition) = (version >> 16, version & 0xffff);
        let index = if self.0 > 1 { output_of_key(key) } else { 0 };
        self.record(offset, index).0.0 << 16 | partition
    }

    /// The input.
    pub(super) fn ledger(self, evidence: &Evidence) -> Result<Ledger, LedgerError> {
        let mut builder = LedgerBuilder::new();
        for (partition, end) in (0..).zip(&evidence.ends) {
            builder.set_bounds(PartitionId(partition), Offset(0), self.place(*end));
        }
        for record in &evidence.input {
            for index in 0..self.0 {
                let key = record.key.as_deref().map(|key| key_of_output(key, index));
                let (place, _) = self.record(record.offset.0, index);
                let partition = PartitionId(record.partition.0);
                builder.push(partition, place, key.as_deref(), record.value.as_deref())?;
            }
        }
        builder.finish()
    }

    /// The tables.
    pub(super) fn audit(self, evidence: &Evidence) -> MemoryAudit {
        let effects = evidence.audit.iter().map(|row| {
            let (offset, index) = self.record(row.offset.0, row.index);
            Effect {
                seq: row.seq,
                partition: PartitionId(row.partition.0),
                offset,
                index,
                source_attempt: AttemptId(row.source_attempt.0),
                sink_attempt: AttemptId(row.sink_attempt.0),
                subtask: u32::from(row.subtask.0),
                tag: CheckpointId(row.checkpoint.0),
                batch: row.batch,
                batch_try: row.batch_try,
                sent_us: row.sent_us as i64,
            }
        });
        let fences = evidence.fences.iter().map(|row| Fence {
            attempt: AttemptId(row.attempt.0),
            restored: CheckpointId(row.restored.0),
            after_seq: row.after_seq,
        });
        let results = evidence.results.iter().map(|row| StoredResult {
            key_hash: u128::from_be_bytes(row.key_hash),
            key: row.key.to_vec(),
            value: row.value.as_ref().map(|value| value.to_vec()),
            version: self.version(row.version, &row.key),
            record_count: row.record_count,
        });
        MemoryAudit {
            effects: effects.collect(),
            fences: fences.collect(),
            results: results.collect(),
        }
    }
}

/// The tables in the oracle's own words, where each record becomes one.
pub fn audit_of(evidence: &Evidence) -> MemoryAudit {
    Outputs(1).audit(evidence)
}

/// The checkpoints of a run.
pub(super) struct Checkpoints<'a> {
    objects: CheckpointObjects<'a>,
    outputs: Outputs,
    /// The key group of each record that may have copies in flight.
    copied: BTreeMap<(PartitionId, Offset), KeyGroup>,
    max_parallelism: u16,
    /// The first channel whose records were not in order.
    pub(super) disorder: Option<String>,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(plan: &Plan, evidence: &'a Evidence) -> Self {
        let max_parallelism = plan.topology.max_parallelism;
        let is_copied = plan.topology.into_count == Partitioner::Broadcast && plan.logs_records();
        let place = |r: &InputRecord| (PartitionId(r.partition.0), Offset(r.offset.0));
        let group = |record: &InputRecord| (place(record), group_of(record, max_parallelism));
        let copied = evidence.input.iter().filter(|_| is_copied).map(group).collect();
        let objects = CheckpointObjects::new(&evidence.objects);
        Self {
            objects,
            outputs: Outputs(plan.topology.outputs),
            copied,
            max_parallelism,
            disorder: None,
        }
    }

    /// Looks at the order of what is in flight. What an earlier attempt had read was there before,
    /// and may have come from several channels.
    fn look_at_order(&mut self, manifest: &Manifest, frames: &[Frame]) {
        let mut last: BTreeMap<(Place, PartitionId), Offset> = BTreeMap::new();
        let own = frames.iter().filter(|frame| frame.source_attempt == manifest.attempt);
        for frame in own.filter(|frame| matches!(frame.place, Place::Channel { .. })) {
            let (offset, partition) = (frame.offset, frame.partition);
            let before = last.insert((frame.place, partition), offset).unwrap_or(offset);
            if before > offset {
                let (id, place) = (manifest.checkpoint, frame.place);
                self.disorder.get_or_insert_with(|| {
                    format!(
                        "checkpoint {id} has offset {offset} of partition {partition} behind \
                         {before} in {place:?}"
                    )
                });
            }
        }
    }

    /// Whether the frame is a copy for a subtask that leaves the record to another one.
    fn is_left_to_another(&self, frame: &Frame, count: Counting) -> bool {
        let Place::Channel { target, vertex, .. } = frame.place else { return false };
        let Some(group) = self.copied.get(&(frame.partition, frame.offset)) else { return false };
        let owner = subtask_of_key_group(*group, count.parallelism, self.max_parallelism);
        Some(vertex) == count.vertex && owner.0 != target
    }

    /// The frame as so many records: what the operator has not taken yet stands for all that it will
    /// make of it.
    fn counted(&self, frame: Frame, count: Counting) -> impl Iterator<Item = Frame> + use<> {
        let is_before = matches!(frame.place, Place::Channel { vertex, .. }
            if Some(vertex) == count.vertex);
        let indexes = if is_before { 0..self.outputs.0 } else { frame.index..frame.index + 1 };
        let outputs = self.outputs;
        indexes.map(move |index| {
            let (offset, index) = outputs.record(frame.offset.0, index);
            Frame { offset, index, ..frame }
        })
    }
}

/// The vertex that takes what is broadcast and makes several of one.
#[derive(Clone, Copy)]
struct Counting {
    vertex: Option<u16>,
    parallelism: u16,
}

impl Counting {
    fn of(manifest: &Manifest) -> Self {
        let entry = manifest.vertices.iter().find(|entry| entry.name == VERTICES[1]);
        let vertex = entry.map(|entry| entry.id);
        Self { vertex, parallelism: entry.map_or(1, |entry| entry.parallelism as u16) }
    }
}

impl CheckpointSource for Checkpoints<'_> {
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError> {
        self.objects.list()
    }

    fn state(&mut self, manifest: &Manifest) -> Result<CheckpointState, Torn> {
        let mut state = self.objects.state(manifest)?;
        self.look_at_order(manifest, &state.frames);
        if self.outputs.0 == 1 && self.copied.is_empty() {
            return Ok(state);
        }
        let count = Counting::of(manifest);
        let own = state.frames.into_iter().filter(|frame| !self.is_left_to_another(frame, count));
        state.frames = own.flat_map(|frame| self.counted(frame, count)).collect();
        for split in &mut state.splits {
            split.next_offset = self.outputs.place(split.next_offset.0);
        }
        Ok(state)
    }
}

fn group_of(record: &InputRecord, max_parallelism: u16) -> KeyGroup {
    let InputRecord { partition, offset, ref key, ref value, .. } = *record;
    let provenance = Provenance { partition, offset, index: 0, source_attempt: Default::default() };
    let payload =
        Payload { provenance, event_time_us: 0, key: key.as_deref(), value: value.as_deref() };
    key_group_of(&payload, max_parallelism)
}
