//! A miniature of the job: one source per partition, keyed channels, buffering sinks, barriers.
//!
//! Every step is drawn from a seed, so that any interleaving can come up. It keeps the promises
//! of its checkpoint mode, unless a [`Bug`] is asked for.

use std::collections::{BTreeMap, VecDeque};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use stormproof_harness::oracle::checkpoint_reader::{
    CheckpointState, Frame, Manifest, MemoryCheckpoints, Mode, Place, Split, Torn, VertexEntry,
};
use stormproof_harness::oracle::evidence::{Fence, MemoryAudit};
use stormproof_harness::oracle::{AttemptId, CheckpointId, Commits, Conditions, Pace};
use stormproof_harness::workload::ledger::{LedgerBuilder, Offset, PartitionId};

use super::history::History;
use super::plan::{Bug, Plan, Record, make_log};
use super::sink::{Sink, Tables};

#[derive(Debug, Clone)]
enum Item {
    Record(Record),
    Barrier(u64),
}

#[derive(Debug, Clone)]
struct Source {
    /// Index of the next record.
    next: usize,
    channels: Vec<VecDeque<Item>>,
}

/// A checkpoint being made.
#[derive(Debug)]
struct Pending {
    id: u64,
    cuts: BTreeMap<usize, u64>,
}

/// A completed checkpoint, as the engine itself remembers it.
#[derive(Debug, Clone)]
struct Completed {
    id: u64,
    cuts: Vec<u64>,
    sinks: Vec<Sink>,
}

struct Job<'a> {
    plan: &'a Plan,
    rng: Pcg64Mcg,
    log: Vec<Vec<Record>>,
    attempt: u32,
    sources: Vec<Source>,
    sinks: Vec<Sink>,
    pending: Option<Pending>,
    next_checkpoint: u64,
    completed: Vec<Completed>,
    checkpoints: MemoryCheckpoints,
    tables: Tables,
}

/// Runs the plan to its end and returns what it left behind.
pub(crate) fn simulate(plan: &Plan) -> History {
    let mut job = Job::new(plan);
    let mut crashes = 0;
    while crashes < plan.crashes {
        let steps = job.rng.random_range(50..400);
        for _ in 0..steps {
            job.step();
        }
        if !job.completed.is_empty() || crashes > 0 {
            job.crash();
            crashes += 1;
        }
        if job.sources.iter().zip(&job.log).all(|(source, log)| source.next == log.len()) {
            break;
        }
    }
    job.drain();
    job.into_history(crashes)
}

impl<'a> Job<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(plan.seed);
        let log = (0..plan.partitions).map(|p| make_log(plan, p, &mut rng)).collect();
        let mut job = Self {
            plan,
            rng,
            log,
            attempt: 0,
            sources: Vec::new(),
            sinks: Vec::new(),
            pending: None,
            next_checkpoint: 1,
            completed: Vec::new(),
            checkpoints: MemoryCheckpoints::default(),
            tables: Tables::new(),
        };
        job.begin(None);
        job
    }

    /// Begins an attempt, fresh or from a checkpoint.
    fn begin(&mut self, restored: Option<Completed>) {
        self.attempt += 1;
        self.pending = None;
        self.tables.audit.fences.push(Fence {
            attempt: AttemptId(self.attempt),
            restored: CheckpointId(restored.as_ref().map_or(0, |c| c.id)),
            after_seq: self.tables.audit.effects.last().map_or(0, |e| e.seq),
        });
        let sinks = usize::from(self.plan.sinks);
        let first = |p: usize| restored.as_ref().map_or(0, |completed| completed.cuts[p]);
        self.sources = (0..self.log.len())
            .map(|p| {
                let next = self.log[p].partition_point(|record| record.offset < first(p));
                let next = match (self.plan.bug, &restored) {
                    (Bug::OneBehind, Some(_)) => next.saturating_sub(1),
                    (Bug::SkipsAtRestore, Some(_)) => (next + 3).min(self.log[p].len()),
                    _ => next,
                };
                Source { next, channels: vec![VecDeque::new(); sinks] }
            })
            .collect();
        self.sinks = match restored {
            None => (0..sinks).map(|subtask| Sink::fresh(subtask as u16)).collect(),
            Some(completed) => {
                completed.sinks.iter().map(|s| s.restored(completed.id, self.plan.bug)).collect()
            }
        };
    }

    fn step(&mut self) {
        let p = self.rng.random_range(0..self.sources.len());
        let k = self.rng.random_range(0..self.sinks.len());
        match self.rng.random_range(0..100) {
            0..25 => self.emit(p),
            25..65 => (0..self.rng.random_range(1..4)).for_each(|_| self.deliver(p, k)),
            65..73 => self.flush(k),
            73..87 => self.inject_barrier(p),
            87..94 => self.complete(),
            94..99 => self.trigger(),
            _ => {
                if self.rng.random_bool(0.2) {
                    self.abort();
                }
            }
        }
    }

    fn emit(&mut self, p: usize) {
        let Some(record) = self.log[p].get(self.sources[p].next) else {
            return;
        };
        let mut record = record.clone();
        record.source_attempt = self.attempt;
        let by = record.key.as_deref().map_or(record.offset, |key| {
            key.iter().fold(7, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(*byte))
        });
        let target = (by % self.sinks.len() as u64) as usize;
        self.sources[p].next += 1;
        self.sources[p].channels[target].push_back(Item::Record(record));
    }

    fn trigger(&mut self) {
        if self.pending.is_none() {
            let id = self.next_checkpoint;
            self.next_checkpoint += 1;
            self.pending = Some(Pending { id, cuts: BTreeMap::new() });
        }
    }

    fn inject_barrier(&mut self, p: usize) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        if pending.cuts.contains_key(&p) {
            return;
        }
        let source = &mut self.sources[p];
        let log = &self.log[p];
        let end = log.last().map_or(0, |record| record.offset + 1);
        pending.cuts.insert(p, log.get(source.next).map_or(end, |record| record.offset));
        source.channels.iter_mut().for_each(|channel| channel.push_back(Item::Barrier(pending.id)));
    }

    fn deliver(&mut self, p: usize, k: usize) {
        let sink = &mut self.sinks[k];
        if let Some(record) = sink.replay.pop_front() {
            sink.take(record);
            return;
        }
        let pending = self.pending.as_ref().map(|pending| pending.id);
        let exact = self.plan.mode == Mode::ExactlyOnce && self.plan.bug != Bug::NoHolding;
        if exact && sink.arrived.contains(&p) {
            return;
        }
        if self.plan.mode == Mode::ExactlyOnceUnaligned {
            // The barrier overtakes what is queued: the first one anywhere begins the snapshot.
            let queued = self.sources.iter().flat_map(|source| &source.channels[k]);
            let seen = queued.filter_map(|item| match item {
                Item::Barrier(id) => Some(*id),
                Item::Record(_) => None,
            });
            if let Some(id) = seen.filter(|id| Some(*id) == pending).max() {
                sink.begin_snapshot(id);
            }
        }
        match self.sources[p].channels[k].pop_front() {
            None => {}
            Some(Item::Record(record)) => {
                let log = self.plan.bug != Bug::FirstBarrierUnlogged;
                sink.log_in_transit(p, &record, log);
                sink.take(record);
            }
            Some(Item::Barrier(id)) if Some(id) == pending => {
                let first = match self.plan.mode {
                    Mode::ExactlyOnce | Mode::AtLeastOnce => {
                        self.plan.bug == Bug::FirstBarrierUnlogged
                    }
                    Mode::ExactlyOnceUnaligned | Mode::AtLeastOnceFirstBarrier => true,
                };
                sink.barrier(id, p, self.sources.len(), first, self.plan.bug);
            }
            Some(Item::Barrier(_)) => {}
        }
    }

    fn flush(&mut self, k: usize) {
        if self.plan.pipelined {
            if self.rng.random_bool(0.5) {
                self.sinks[k].confirm();
            } else {
                self.sinks[k].send(self.attempt, &mut self.tables);
            }
            return;
        }
        let retried = self.plan.retries && self.rng.random_bool(0.2);
        let answer_lost = self.plan.retries && self.rng.random_bool(0.2);
        self.sinks[k].flush(self.attempt, &mut self.tables, retried, answer_lost);
    }

    fn complete(&mut self) {
        let Some(pending) = &self.pending else { return };
        let short = usize::from(self.plan.bug == Bug::OneAckShort);
        let acked = self.sinks.iter().filter(|sink| sink.acked == Some(pending.id)).count();
        if pending.cuts.len() < self.sources.len() || acked + short < self.sinks.len() {
            return;
        }
        let cuts: Vec<u64> = pending.cuts.values().copied().collect();
        let sinks: Vec<Sink> = self.sinks.iter().map(Sink::snapshot).collect();
        let completed = Completed { id: pending.id, cuts, sinks };
        self.store(&completed, acked);
        self.completed.push(completed);
        self.pending = None;
        self.sinks.iter_mut().for_each(Sink::forget_checkpoint);
    }

    fn abort(&mut self) {
        self.pending = None;
        self.sinks.iter_mut().for_each(Sink::forget_checkpoint);
    }

    fn crash(&mut self) {
        if self.plan.torn && self.rng.random_bool(0.5) {
            self.tear_newest();
        }
        let restored = match self.plan.bug {
            Bug::RestoresOldest => self.completed.first().cloned(),
            _ => self.completed.last().cloned(),
        };
        self.begin(restored);
    }

    /// Tears the newest checkpoint, unless it is the only one or was restored already: the oracle
    /// cannot tell damage that came after a restore from a restore of something torn.
    fn tear_newest(&mut self) {
        let restored = |id| self.tables.audit.fences.iter().any(|f| f.restored.0 == id);
        if self.completed.len() < 2 || self.completed.last().is_some_and(|c| restored(c.id)) {
            return;
        }
        let Some(last) = self.completed.pop() else {
            return;
        };
        for (id, checkpoint) in &mut self.checkpoints.checkpoints {
            if id.0 == last.id {
                *checkpoint =
                    Err(Torn { reason: "its checksum is wrong".to_owned(), has_manifest: true });
            }
        }
    }

    fn drain(&mut self) {
        self.abort();
        loop {
            let mut idle = true;
            for p in 0..self.sources.len() {
                while self.sources[p].next < self.log[p].len() {
                    self.emit(p);
                }
                for k in 0..self.sinks.len() {
                    while !self.sources[p].channels[k].is_empty()
                        || !self.sinks[k].replay.is_empty()
                    {
                        self.deliver(p, k);
                        idle = false;
                    }
                }
            }
            for sink in &mut self.sinks {
                while sink.has_output() {
                    sink.flush(self.attempt, &mut self.tables, false, false);
                    idle = false;
                }
            }
            if idle {
                return;
            }
        }
    }

    fn store(&mut self, completed: &Completed, sinks_acked: usize) {
        let (sources, sinks) = (self.plan.partitions, u32::from(self.plan.sinks));
        let manifest = Manifest {
            format: 1,
            job: "storm".to_owned(),
            checkpoint: CheckpointId(completed.id),
            attempt: AttemptId(self.attempt),
            mode: self.plan.mode,
            kind: "checkpoint".to_owned(),
            vertices: vec![vertex(0, "source", sources), vertex(1, "sink", sinks)],
            subtasks_expected: u64::from(sources + sinks),
            subtasks_acknowledged: u64::from(sources) + sinks_acked as u64,
            files: Vec::new(),
            triggered_us: completed.id as i64 * 1000,
            completed_us: completed.id as i64 * 1000 + 500,
        };
        let mut state = CheckpointState::default();
        for (p, next) in completed.cuts.iter().enumerate() {
            state.splits.push(Split {
                partition: PartitionId(p as u32),
                next_offset: Offset(*next),
                subtask: p as u16,
            });
        }
        for sink in &completed.sinks {
            state.keyed_entries += sink.counts.len() as u64;
            let buffer = Place::Buffer { subtask: sink.subtask };
            state.frames.extend(sink.buffer.iter().map(|record| frame(record, buffer)));
            for record in &sink.replay {
                let place = Place::Channel {
                    source: record.partition as u16,
                    target: sink.subtask,
                    vertex: 1,
                };
                state.frames.push(frame(record, place));
            }
        }
        let stored = (CheckpointId(completed.id), Ok((manifest, state)));
        self.checkpoints.checkpoints.push(stored);
    }

    fn into_history(self, crashes: u32) -> History {
        let mut builder = LedgerBuilder::new();
        for (p, log) in self.log.iter().enumerate() {
            let end = log.last().map_or(0, |record| record.offset + 1);
            let id = PartitionId(p as u32);
            builder.set_bounds(id, Offset(0), Offset(end));
            for record in log {
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                builder.push(id, Offset(record.offset), key, value).expect("in order");
            }
        }
        let committed = self.completed.last().map(|completed| {
            let offsets = completed.cuts.iter().enumerate();
            offsets.map(|(p, next)| (PartitionId(p as u32), Offset(*next))).collect()
        });
        let mut conditions = Conditions::new(self.plan.mode);
        conditions.faults_landed = u64::from(crashes);
        conditions.restores_alone = true;
        conditions.unconfirmed_at_snapshot = self.plan.retries || self.plan.pipelined;
        let all = self.completed.iter().flat_map(|completed| completed.cuts.iter().enumerate());
        let offsets = all.map(|(p, next)| (PartitionId(p as u32), Offset(*next))).collect();
        conditions.commits = Some(Commits { offsets, is_settled: true });
        conditions.committed = committed;
        conditions.pace =
            Some(Pace { interval_us: 500, min_pause_us: 400, timeout_us: 1_000, slack_us: 0 });
        let audit: MemoryAudit = self.tables.into_audit();
        let ledger = builder.finish().expect("a valid ledger");
        History { ledger, audit, checkpoints: self.checkpoints, conditions }
    }
}

fn vertex(id: u16, name: &str, parallelism: u32) -> VertexEntry {
    VertexEntry { id, name: name.to_owned(), parallelism, max_parallelism: 128 }
}

fn frame(record: &Record, place: Place) -> Frame {
    Frame {
        partition: PartitionId(record.partition),
        offset: Offset(record.offset),
        index: 0,
        source_attempt: AttemptId(record.source_attempt),
        place,
    }
}
