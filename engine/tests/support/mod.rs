//! A log in memory, a counting operator and a collecting sink: the smallest honest job.
//!
//! The sink keeps a buffer in list state and writes effects with their tags, as the real one does.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use stormproof_engine::api::*;
use stormproof_engine::error::Result;
use stormproof_engine::graph::key_group_of;
use stormproof_engine::ids::*;
use stormproof_engine::record::{Payload, Provenance, Record, RecordRef};
use stormproof_engine::runtime::*;
use stormproof_engine::seam::*;

/// One effect, as the audit table would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    pub partition: u32,
    pub offset: u64,
    pub source_attempt: u32,
    pub sink_attempt: u32,
    pub subtask: u16,
    pub tag: u64,
    pub count: u64,
}

pub type Effects = Arc<Mutex<Vec<Effect>>>;

/// `partitions` partitions with `records` records each; key = `k<partition>-<offset % keys>`.
pub struct LogSource {
    pub partitions: u32,
    pub records: u64,
    pub keys: u64,
    /// Records of each subtask for each poll.
    pub run: usize,
    /// Whether the log ends (bounded) or goes quiet.
    pub is_bounded: bool,
}

struct LogReader {
    context: GroupContext,
    splits: Vec<(SubtaskIndex, u32, u64)>,
    records: u64,
    keys: u64,
    run: usize,
    is_bounded: bool,
}

impl SourceFactory for LogSource {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn SourceReader>> {
        let mut splits = Vec::new();
        if state.is_restored() {
            for (subtask, items) in state.lists("splits") {
                for item in items {
                    let partition = u32::from_le_bytes(item[..4].try_into().unwrap());
                    let offset = u64::from_le_bytes(item[4..].try_into().unwrap());
                    splits.push((subtask, partition, offset));
                }
            }
        } else {
            for subtask in context.each_subtask() {
                let mine = (0..self.partitions)
                    .filter(|p| p % u32::from(context.parallelism) == u32::from(subtask.0));
                splits.extend(mine.map(|p| (subtask, p, 0)));
            }
        }
        let (records, keys, run) = (self.records, self.keys, self.run);
        Ok(Box::new(LogReader { context, splits, records, keys, run, is_bounded: self.is_bounded }))
    }
}

impl SourceReader for LogReader {
    fn poll(&mut self, _now_us: TimeUs, out: &mut dyn Emission) -> Result<bool> {
        let mut more = false;
        for (subtask, partition, next) in &mut self.splits {
            for _ in 0..self.run {
                if *next >= self.records || !out.can_emit(*subtask) {
                    break;
                }
                let key = format!("k{partition}-{}", *next % self.keys);
                let payload = Payload {
                    provenance: Provenance {
                        partition: PartitionId(*partition),
                        offset: Offset(*next),
                        index: 0,
                        source_attempt: self.context.attempt,
                    },
                    event_time_us: *next as i64,
                    key: Some(key.as_bytes()),
                    value: Some(&[7; 40]),
                };
                out.emit(*subtask, &payload);
                *next += 1;
            }
            more |= *next < self.records;
        }
        if self.is_bounded {
            for subtask in self.context.each_subtask() {
                let records = self.records;
                let done = self.splits.iter().all(|(s, _, n)| *s != subtask || *n >= records);
                if done {
                    out.finish(subtask);
                }
            }
        }
        Ok(more)
    }

    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        let mine = self.splits.iter().filter(|(s, _, _)| *s == subtask);
        let items = mine.map(|(_, partition, next)| {
            let mut item = partition.to_le_bytes().to_vec();
            item.extend(next.to_le_bytes());
            Bytes::from(item)
        });
        state.put_list("splits", ListKind::EvenSplit, items.collect());
        Ok(())
    }

    fn notify_checkpoint_complete(&mut self, _checkpoint: CheckpointId) -> Result<()> {
        Ok(())
    }

    fn notify_checkpoint_aborted(&mut self, _checkpoint: CheckpointId) {}
}

/// Counts records by key and sends them on with the count as value.
pub struct CountByKey;

struct Counter {
    context: GroupContext,
    counts: Vec<BTreeMap<(KeyGroup, Bytes), u64>>,
}

impl OperatorFactory for CountByKey {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Operator>> {
        let mut counts = vec![BTreeMap::new(); context.subtasks.len()];
        for (subtask, keyed) in state.keyed("counts") {
            for (group, key, value) in keyed.iter() {
                let count = u64::from_le_bytes(value[..].try_into().unwrap());
                counts[context.local(subtask)].insert((group, Bytes::copy_from_slice(key)), count);
            }
        }
        Ok(Box::new(Counter { context, counts }))
    }
}

impl Operator for Counter {
    fn process(
        &mut self,
        subtask: SubtaskIndex,
        record: RecordRef<'_>,
        out: &mut dyn Collector,
    ) -> Result<()> {
        let view = record.view();
        let group = key_group_of(&view.payload(), self.context.max_parallelism);
        let key = (group, Bytes::copy_from_slice(view.key().unwrap_or_default()));
        let count = self.counts[self.context.local(subtask)].entry(key).or_default();
        *count += 1;
        out.emit(subtask, &Payload { value: Some(&count.to_le_bytes()), ..view.payload() });
        Ok(())
    }

    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        let counts = &self.counts[self.context.local(subtask)];
        let entries = counts.iter().map(|((group, key), count)| (*group, key, count.to_le_bytes()));
        state.put_keyed("counts", entries.collect());
        Ok(())
    }
}

/// Keeps up to `batch` records for each subtask, then writes them as effects.
pub struct CollectSink {
    pub effects: Effects,
    pub batch: usize,
    /// Records that the group takes for each step; the rest is backpressure. 0 = all.
    pub per_step: u32,
}

struct Collecting {
    context: GroupContext,
    effects: Effects,
    batch: usize,
    buffers: Vec<Vec<Record>>,
    tag: CheckpointId,
    per_step: u32,
    taken: u32,
}

impl SinkFactory for CollectSink {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Sink>> {
        let mut buffers = vec![Vec::new(); context.subtasks.len()];
        for (subtask, items) in state.lists("buffer") {
            let records = items.iter().map(|i| Record::from_state(i.clone()).unwrap());
            buffers[context.local(subtask)].extend(records);
        }
        let tag = context.restored;
        let (effects, batch, per_step) = (Arc::clone(&self.effects), self.batch, self.per_step);
        Ok(Box::new(Collecting { context, effects, batch, buffers, tag, per_step, taken: 0 }))
    }
}

impl Collecting {
    fn flush(&mut self, local: usize) {
        let subtask = self.context.subtasks.start + local as u16;
        let (sink_attempt, tag) = (self.context.attempt.0, self.tag.0);
        let mut effects = self.effects.lock().unwrap();
        effects.extend(self.buffers[local].drain(..).map(|record| {
            let view = record.view();
            let p = view.provenance();
            let count = u64::from_le_bytes(view.value().unwrap().try_into().unwrap());
            Effect {
                partition: p.partition.0,
                offset: p.offset.0,
                source_attempt: p.source_attempt.0,
                sink_attempt,
                subtask,
                tag,
                count,
            }
        }));
    }
}

impl Sink for Collecting {
    fn is_ready(&self) -> bool {
        self.per_step == 0 || self.taken < self.per_step
    }

    fn write(&mut self, subtask: SubtaskIndex, record: Record, _now_us: TimeUs) -> Result<()> {
        self.taken += 1;
        let local = self.context.local(subtask);
        self.buffers[local].push(record);
        if self.buffers[local].len() >= self.batch {
            self.flush(local);
        }
        Ok(())
    }

    fn poll(&mut self, _now_us: TimeUs) -> Result<bool> {
        Ok(std::mem::take(&mut self.taken) > 0)
    }

    fn prepare_barrier(
        &mut self,
        _checkpoint: CheckpointId,
        drain: bool,
        _now_us: TimeUs,
    ) -> Result<()> {
        if drain {
            (0..self.buffers.len()).for_each(|local| self.flush(local));
        }
        Ok(())
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        self.tag = checkpoint;
        let buffer = &self.buffers[self.context.local(subtask)];
        let items = buffer.iter().map(|r| r.frame().clone()).collect();
        state.put_list("buffer", ListKind::EvenSplit, items);
        Ok(())
    }

    fn is_settled(&mut self, _checkpoint: CheckpointId) -> Result<bool> {
        Ok(true)
    }

    fn pending_records(&self) -> u64 {
        self.buffers.iter().map(|b| b.len() as u64).sum()
    }
}

/// Seams over memory, with a listener.
pub fn seams(
    runtime: &tokio::runtime::Runtime,
    probe: Probe,
    events: impl Fn(&JobEvent) + Send + Sync + 'static,
) -> JobSeams {
    seams_over(Arc::new(object_store::memory::InMemory::new()), runtime, probe, events)
}

/// Seams over a store that outlives the job.
pub fn seams_over(
    store: Arc<object_store::memory::InMemory>,
    runtime: &tokio::runtime::Runtime,
    probe: Probe,
    events: impl Fn(&JobEvent) + Send + Sync + 'static,
) -> JobSeams {
    JobSeams {
        clock: Arc::new(MonotonicClock::starting_at(1)),
        storage: Arc::new(ObjectStorage::new(store, runtime.handle().clone(), "memory".into())),
        probe,
        sight: Sight::default(),
        events: Arc::new(move |timed| events(&timed.event)),
    }
}

/// How often each record of the log has an effect.
pub fn multiplicities(effects: &[Effect]) -> BTreeMap<(u32, u64), u32> {
    let mut seen = BTreeMap::new();
    for effect in effects {
        *seen.entry((effect.partition, effect.offset)).or_default() += 1;
    }
    seen
}
