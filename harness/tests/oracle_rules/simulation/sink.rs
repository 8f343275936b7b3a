//! The miniature's sink: counts, buffers, snapshots, and writes batches into tables.

use std::collections::{BTreeMap, VecDeque};

use stormproof_harness::oracle::evidence::{Effect, MemoryAudit, StoredResult};
use stormproof_harness::oracle::{AttemptId, CheckpointId};
use stormproof_harness::workload::ledger::{Offset, PartitionId, hash_key, version_of};

use super::plan::{Arrived, Bug, Record};

/// The database.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) audit: MemoryAudit,
    results: BTreeMap<u128, StoredResult>,
    batches: u64,
}

/// One sink subtask.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) subtask: u16,
    pub(crate) buffer: Vec<Record>,
    pub(crate) counts: BTreeMap<Vec<u8>, u64>,
    /// Restored channel state: processed before anything else.
    pub(crate) replay: VecDeque<Record>,
    /// Channels whose barrier has come.
    pub(crate) arrived: Arrived,
    pub(crate) acked: Option<u64>,
    tag: u64,
    snapshotting: Option<Snapshot>,
    /// A batch that was sent and whose answer never came.
    in_doubt: Option<(u64, Vec<Record>)>,
    /// Batches that were sent and are not confirmed yet, oldest first.
    in_flight: VecDeque<Vec<Record>>,
    /// What the last snapshot held: for the bug that appends to it.
    last_snapshot: Vec<Record>,
}

#[derive(Debug, Clone)]
struct Snapshot {
    id: u64,
    buffer: Vec<Record>,
    counts: BTreeMap<Vec<u8>, u64>,
    in_transit: VecDeque<Record>,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn into_audit(self) -> MemoryAudit {
        MemoryAudit { results: self.results.into_values().collect(), ..self.audit }
    }

    fn write(&mut self, attempt: u32, sink: &Sink, batch: (u64, u32), records: &[Record]) {
        for record in records {
            let seq = self.audit.effects.last().map_or(1, |effect| effect.seq + 1);
            let (partition, offset) = (PartitionId(record.partition), Offset(record.offset));
            self.audit.effects.push(Effect {
                seq,
                partition,
                offset,
                index: 0,
                source_attempt: AttemptId(record.source_attempt),
                sink_attempt: AttemptId(attempt),
                subtask: u32::from(sink.subtask),
                tag: CheckpointId(sink.tag),
                batch: batch.0,
                batch_try: batch.1,
                sent_us: seq as i64,
            });
            let Some(key) = &record.key else { continue };
            let version = version_of(partition, offset);
            let row = StoredResult {
                key_hash: hash_key(key),
                key: key.clone(),
                value: record.value.clone(),
                version,
                record_count: record.count,
            };
            let old = self.results.get(&row.key_hash);
            if old.is_none_or(|old| old.version <= version) {
                self.results.insert(row.key_hash, row);
            }
        }
    }
}

impl Sink {
    pub(crate) fn fresh(subtask: u16) -> Self {
        Self {
            subtask,
            buffer: Vec::new(),
            counts: BTreeMap::new(),
            replay: VecDeque::new(),
            arrived: Arrived::new(),
            acked: None,
            tag: 0,
            snapshotting: None,
            in_doubt: None,
            in_flight: VecDeque::new(),
            last_snapshot: Vec::new(),
        }
    }

    /// What the checkpoint keeps of this sink; channel state is in `replay`.
    pub(crate) fn snapshot(&self) -> Self {
        let mut kept = Self::fresh(self.subtask);
        if let Some(snapshot) = self.snapshotting.clone() {
            kept.buffer = snapshot.buffer;
            kept.counts = snapshot.counts;
            kept.replay = snapshot.in_transit;
        }
        kept
    }

    /// The sink as a restore of checkpoint `id` makes it.
    pub(crate) fn restored(&self, id: u64, bug: Bug) -> Self {
        let mut sink = Self { tag: id, ..self.clone() };
        if bug == Bug::BufferNotRefilled {
            sink.buffer.clear();
        }
        if bug == Bug::ChannelStateIgnored {
            sink.replay.clear();
        }
        sink
    }

    pub(crate) fn take(&mut self, mut record: Record) {
        if let Some(key) = &record.key {
            let count = self.counts.entry(key.clone()).or_default();
            *count += 1;
            record.count = *count;
        }
        self.buffer.push(record);
    }

    pub(crate) fn begin_snapshot(&mut self, id: u64) {
        if self.tag == id {
            return;
        }
        self.tag = id;
        let in_doubt = self.in_doubt.iter().flat_map(|(_, records)| records);
        let unconfirmed = in_doubt.chain(self.in_flight.iter().flatten());
        let buffer = unconfirmed.chain(&self.buffer).cloned().collect();
        // Restored channel state that was not processed yet is still in flight.
        let in_transit = self.replay.clone();
        let counts = self.counts.clone();
        self.snapshotting = Some(Snapshot { id, buffer, counts, in_transit });
    }

    /// A record that came before its channel's barrier but after the snapshot began.
    pub(crate) fn log_in_transit(&mut self, channel: usize, record: &Record, keep: bool) {
        if self.arrived.contains(&channel) || self.acked == Some(self.tag) {
            return;
        }
        if let Some(snapshot) = self.snapshotting.as_mut().filter(|_| keep) {
            snapshot.in_transit.push_back(record.clone());
        }
    }

    pub(crate) fn barrier(
        &mut self,
        id: u64,
        channel: usize,
        channels: usize,
        first: bool,
        bug: Bug,
    ) {
        self.arrived.insert(channel);
        let last = self.arrived.len() == channels;
        if first || last {
            self.begin_snapshot(id);
        }
        if !last {
            return;
        }
        self.arrived.clear();
        self.acked = Some(id);
        let Some(snapshot) = self.snapshotting.as_mut() else {
            return;
        };
        let buffer = snapshot.buffer.clone();
        match bug {
            Bug::BufferIgnored => snapshot.buffer.clear(),
            Bug::BufferAppended => {
                let stale: Vec<Record> = self.last_snapshot.clone();
                snapshot.buffer.splice(0..0, stale);
            }
            _ => {}
        }
        self.last_snapshot = buffer;
    }

    pub(crate) fn forget_checkpoint(&mut self) {
        self.arrived.clear();
        self.acked = None;
        self.snapshotting = None;
    }

    pub(crate) fn has_output(&self) -> bool {
        self.in_doubt.is_some() || !self.buffer.is_empty()
    }

    /// Writes what is buffered. `retried`: the first try counts although it was thought lost.
    /// `answer_lost`: it is written, but the sink does not learn of it.
    pub(crate) fn flush(
        &mut self,
        attempt: u32,
        tables: &mut Tables,
        retried: bool,
        answer_lost: bool,
    ) {
        if let Some((batch, records)) = self.in_doubt.take() {
            tables.write(attempt, self, (batch, 1), &records);
            return;
        }
        let records = std::mem::take(&mut self.buffer);
        if records.is_empty() {
            return;
        }
        tables.batches += 1;
        let batch = tables.batches;
        tables.write(attempt, self, (batch, 0), &records);
        if retried {
            tables.write(attempt, self, (batch, 1), &records);
        } else if answer_lost {
            self.in_doubt = Some((batch, records));
        }
    }

    /// Sends what is buffered without waiting for the answer.
    pub(crate) fn send(&mut self, attempt: u32, tables: &mut Tables) {
        let records = std::mem::take(&mut self.buffer);
        if !records.is_empty() {
            tables.batches += 1;
            tables.write(attempt, self, (tables.batches, 0), &records);
            self.in_flight.push_back(records);
        }
    }

    /// The oldest batch is confirmed.
    pub(crate) fn confirm(&mut self) {
        self.in_flight.pop_front();
    }
}
