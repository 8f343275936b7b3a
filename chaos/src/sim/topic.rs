//! The simulated log: one topic, one consumer group.
//!
//! The contract of the real one: records of a partition come in the order of their offsets, each
//! once for each assignment, unless the log repeats itself, which a reader notices by the offset; a
//! position below the low watermark is an error, never a reset; a
//! committed offset is whatever was committed last, whoever did it; a commit is answered late, or
//! lost with its process.

mod commits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stormproof_engine::connectors::Split;
use stormproof_engine::connectors::kafka::{
    Bounds, LogClient, LogError, LogRecord, LogService, Meaning, Polled, ReadyFlags,
};
use stormproof_engine::ids::{Offset, PartitionId, WorkerIndex};
use stormproof_engine::seam::{Ticket, TicketSender, TimeUs};

use self::commits::{CommitWatch, End};
use super::core::{Actor, Core, Event, ProcessId, Span};
use super::evidence::{Breach, InputRecord};
use super::weather::{Disturbance, Weather};

/// A record that has been, or will be, produced.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) event_time_us: i64,
}

#[derive(Debug, Default)]
struct Partition {
    /// By offset; `None` where no record has it.
    records: Vec<Option<Stored>>,
    low: u64,
    /// The high watermark: what is below it can be read.
    high: u64,
}

struct Commit {
    owner: Actor,
    client: u64,
    sent_us: TimeUs,
    splits: Vec<Split>,
    answer: Option<TicketSender<Result<(), String>>>,
}

struct Listener {
    actor: Actor,
    client: u64,
    index: usize,
    flags: Arc<ReadyFlags>,
}

#[derive(Default)]
struct Inner {
    partitions: Vec<Partition>,
    /// What the group had committed before the job first began.
    committed_before: BTreeMap<PartitionId, Offset>,
    committed: BTreeMap<PartitionId, Offset>,
    ever_committed: BTreeSet<(PartitionId, Offset)>,
    commits: BTreeMap<u64, Commit>,
    unanswered: Vec<TicketSender<Result<(), String>>>,
    watch: CommitWatch,
    serial: u64,
    /// Who reads which partition.
    listeners: BTreeMap<PartitionId, Vec<Listener>>,
    /// How far each process has read.
    positions: BTreeMap<(ProcessId, PartitionId), u64>,
}

/// The topic.
pub(super) struct Topic {
    core: Arc<Core>,
    weather: Arc<Weather>,
    commit_latency: Span,
    /// How long a reader waits for the answer to a commit.
    commit_timeout_us: TimeUs,
    /// The high watermarks, for figures that are read on every step.
    high: Box<[AtomicU64]>,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Topic")
    }
}

impl Topic {
    /// A topic that will hold `records`; nothing is visible yet. Of each partition that has any, the
    /// group has committed the first `read_before` offsets, or retention has removed the first
    /// `removed_before`.
    pub(super) fn new(
        core: Arc<Core>,
        weather: Arc<Weather>,
        commit_latency: Span,
        commit_timeout_us: TimeUs,
        records: Vec<Vec<Option<Stored>>>,
        (read_before, removed_before): (u32, u32),
    ) -> Arc<Self> {
        let held = (0..).zip(&records).filter(|(_, of)| read_before > 0 && !of.is_empty());
        let next = Offset(u64::from(read_before));
        let committed_before = held.map(|(partition, _)| (PartitionId(partition), next)).collect();
        let partition = |records: Vec<_>| {
            let low = if records.is_empty() { 0 } else { u64::from(removed_before) };
            Partition { records, low, high: low }
        };
        let partitions: Vec<Partition> = records.into_iter().map(partition).collect();
        let high = partitions.iter().map(|held| AtomicU64::new(held.high)).collect();
        let inner = Mutex::new(Inner { partitions, committed_before, ..Inner::default() });
        Arc::new(Self { core, weather, commit_latency, commit_timeout_us, high, inner })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More records of a partition become visible.
    pub(super) fn on_arrival(&self, partition: u32, records: u32) {
        let mut inner = self.inner();
        let held = &mut inner.partitions[partition as usize];
        held.high = (held.high + u64::from(records)).min(held.records.len() as u64);
        self.high[partition as usize].store(held.high, Ordering::Relaxed);
        self.core.trace(|| format!("log: partition {partition} ends at {}", held.high));
        for listener in inner.listeners.get(&PartitionId(partition)).into_iter().flatten() {
            listener.flags.raise(listener.index, self.core.now() as i64);
            self.core.wake(listener.actor);
        }
    }

    /// Retention removes what is below `low` of a partition.
    pub(super) fn truncate(&self, partition: u32, low: u64) {
        let mut inner = self.inner();
        let held = &mut inner.partitions[partition as usize];
        held.low = held.low.max(low.min(held.high));
        self.core.trace(|| format!("log: partition {partition} begins at {}", held.low));
    }

    /// A commit reaches the group.
    pub(super) fn on_commit(&self, id: u64) {
        let is_unanswered = self.weather.strikes(Disturbance::LogCommitUnanswered);
        let fails = match is_unanswered {
            true => self.core.chance(500),
            false => self.weather.strikes(Disturbance::LogCommitFails),
        };
        let mut inner = self.inner();
        let Some(mut commit) = inner.commits.remove(&id) else { return };
        if !fails {
            let offsets = || commit.splits.iter().map(|split| (split.partition, split.next));
            inner.committed.extend(offsets());
            inner.ever_committed.extend(offsets());
        }
        self.core.trace(|| format!("log: {} commits offsets (fails: {fails})", commit.owner));
        let end = match (is_unanswered, fails) {
            (true, _) => End::Unanswered,
            (false, true) => End::Refused,
            (false, false) => End::Done,
        };
        if commit.answer.is_some() {
            inner.watch.on_ended(id, &commit, end);
        }
        if is_unanswered {
            // Kept: a ticket whose other end is gone is an answer, too.
            inner.unanswered.extend(commit.answer.take());
        }
        if let Some(answer) = commit.answer {
            answer.fulfil(if fails { Err("the commit failed".to_owned()) } else { Ok(()) });
            self.core.wake(commit.owner);
        }
    }

    /// Whether a reader that reads something, and was just told of a complete checkpoint, has no commit
    /// under way.
    pub(super) fn owes_commit(&self, reader: Actor) -> bool {
        let inner = self.inner();
        let mut listeners = inner.listeners.values().flatten();
        let Some(client) = listeners.find(|l| l.actor == reader).map(|l| l.client) else {
            return false;
        };
        let is_under_way = inner.commits.values().any(|commit| commit.client == client);
        !is_under_way && !inner.watch.waits_in_vain(client)
    }

    /// A process has died: its commits under way are done all the same, or lost.
    pub(super) fn on_death(&self, process: ProcessId) {
        self.inner().commits.retain(|_, commit| {
            let is_dead = commit.owner.process() == process;
            if is_dead {
                commit.answer = None;
            }
            !is_dead || self.core.chance(500)
        });
    }

    /// A process has ended the job.
    pub(super) fn on_finished(&self, process: ProcessId) {
        self.inner().watch.on_finished(process);
    }

    /// What its users did wrong.
    pub(super) fn breach(&self) -> Option<Breach> {
        self.inner().watch.breach()
    }

    /// Whether `process` has read everything.
    pub(super) fn is_read_by(&self, process: ProcessId) -> bool {
        let inner = self.inner();
        let mut partitions = inner.partitions.iter().enumerate();
        partitions.all(|(at, partition)| {
            let position = inner.positions.get(&(process, PartitionId(at as u32)));
            position.copied().unwrap_or(0) >= partition.records.len() as u64
        })
    }

    /// What a process has not read, in words.
    pub(super) fn unread_by(&self, process: ProcessId) -> String {
        let inner = self.inner();
        let unread = inner.partitions.iter().enumerate().filter_map(|(at, partition)| {
            let position = inner.positions.get(&(process, PartitionId(at as u32)));
            let (position, end) = (position.copied().unwrap_or(0), partition.records.len() as u64);
            (position < end).then(|| format!("partition {at} is read up to {position} of {end}"))
        });
        unread.take(3).collect::<Vec<_>>().join(", ")
    }

    /// The log end offset of each partition, when everything is produced.
    pub(super) fn ends(&self) -> Vec<u64> {
        self.inner().partitions.iter().map(|held| held.records.len() as u64).collect()
    }

    /// Every offset that was ever committed.
    pub(super) fn ever_committed(&self) -> BTreeSet<(PartitionId, Offset)> {
        self.inner().ever_committed.clone()
    }

    /// The high watermarks, everything that was produced, and the offsets that the job has committed.
    pub(super) fn evidence(&self) -> (Vec<u64>, Vec<InputRecord>, BTreeMap<PartitionId, Offset>) {
        let inner = self.inner();
        let ends = inner.partitions.iter().map(|partition| partition.high).collect();
        let records = inner.partitions.iter().enumerate().flat_map(|(at, partition)| {
            let visible = partition.records.iter().take(partition.high as usize).enumerate();
            visible.filter_map(move |(offset, record)| {
                let record = record.as_ref()?;
                Some(InputRecord {
                    partition: PartitionId(at as u32),
                    offset: Offset(offset as u64),
                    key: record.key.clone(),
                    value: record.value.clone(),
                })
            })
        });
        (ends, records.collect(), inner.committed.clone())
    }
}

/// The log as one process has it.
#[derive(Debug)]
pub(super) struct LogHandle(pub(super) Arc<Topic>);

impl LogService for LogHandle {
    fn client(&self, _worker: WorkerIndex) -> Result<Box<dyn LogClient>, LogError> {
        let mut inner = self.0.inner();
        inner.serial += 1;
        let id = inner.serial;
        let (topic, actor) = (Arc::clone(&self.0), self.0.core.current());
        inner.watch.on_opened(actor, id);
        drop(inner);
        Ok(Box::new(Client {
            topic,
            actor,
            id,
            fetching: Vec::new(),
            is_broken: false,
            has_repeated: false,
        }))
    }
}

/// How far back a record may lie that comes again.
const REPEATED: u64 = 3;

struct Client {
    topic: Arc<Topic>,
    actor: Actor,
    id: u64,
    /// The next offset to fetch of each assigned partition.
    fetching: Vec<(PartitionId, u64)>,
    /// It will never do anything again.
    is_broken: bool,
    /// The last record was one that had been there before: what follows is new.
    has_repeated: bool,
}

impl Client {
    /// A question that is asked while the reader opens.
    fn ask<T>(&self, answer: impl FnOnce(&Inner) -> T) -> Result<T, LogError> {
        if self.topic.weather.strikes(Disturbance::LogOpenFails) {
            let what = "simulated log: no broker answers".to_owned();
            return Err(LogError { meaning: Meaning::Transient, what });
        }
        Ok(answer(&self.topic.inner()))
    }
}

impl LogClient for Client {
    fn count_partitions(&mut self) -> Result<u32, LogError> {
        self.ask(|inner| inner.partitions.len() as u32)
    }

    fn bounds(&mut self, partitions: &[PartitionId]) -> Result<Vec<Bounds>, LogError> {
        self.ask(|inner| {
            let of = |p: &PartitionId| {
                let held = &inner.partitions[p.index()];
                Bounds { low: held.low, high: held.high }
            };
            partitions.iter().map(of).collect()
        })
    }

    fn committed(
        &mut self,
        partitions: &[PartitionId],
    ) -> Result<BTreeMap<PartitionId, Offset>, LogError> {
        self.ask(|inner| {
            let of = |p: &PartitionId| {
                let committed = inner.committed.get(p).or(inner.committed_before.get(p))?;
                Some((*p, *committed))
            };
            partitions.iter().filter_map(of).collect()
        })
    }

    fn assign(
        &mut self,
        splits: &[Split],
        _high: &[u64],
        ready: &Arc<ReadyFlags>,
    ) -> Result<(), LogError> {
        let mut inner = self.topic.inner();
        for (index, split) in splits.iter().enumerate() {
            self.fetching.push((split.partition, split.next.0));
            let position = (self.actor.process(), split.partition);
            inner.positions.insert(position, split.next.0);
            ready.raise(index, self.topic.core.now() as i64);
            let (actor, client, flags) = (self.actor, self.id, Arc::clone(ready));
            let listener = Listener { actor, client, index, flags };
            inner.listeners.entry(split.partition).or_default().push(listener);
        }
        Ok(())
    }

    fn poll_errors(&mut self) -> Option<LogError> {
        if self.topic.weather.strikes(Disturbance::LogUnreachable) {
            let what = "simulated log: a broker cannot be reached".to_owned();
            return Some(LogError { meaning: Meaning::Transient, what });
        }
        self.is_broken |= self.topic.weather.strikes(Disturbance::LogClientBreaks);
        self.is_broken.then(|| {
            let what = "simulated log: the client has failed for good".to_owned();
            LogError { meaning: Meaning::Broken, what }
        })
    }

    fn poll(&mut self, index: usize, take: &mut dyn FnMut(LogRecord<'_>)) -> Polled {
        let (partition, next) = self.fetching[index];
        let mut inner = self.topic.inner();
        let Inner { partitions, positions, .. } = &mut *inner;
        let held = &partitions[partition.index()];
        if next < held.low || next > held.high {
            let what = format!("simulated log: offset {next} is out of range");
            return Polled::Failed(LogError { meaning: Meaning::PositionGone, what });
        }
        let is_silent = self.is_broken || self.topic.weather.strikes(Disturbance::LogSilent);
        if next >= held.high || is_silent {
            return Polled::Empty;
        }
        let may_repeat = !std::mem::replace(&mut self.has_repeated, false);
        let repeats = may_repeat && self.topic.weather.strikes(Disturbance::LogRepeats);
        let from = if repeats { held.low.max(next.saturating_sub(REPEATED)) } else { next };
        let visible = &held.records[from as usize..held.high as usize];
        let found = (from..).zip(visible).find_map(|(offset, at)| Some((offset, at.as_ref()?)));
        let Some((offset, record)) = found else { return Polled::Empty };
        if offset < next {
            self.has_repeated = true;
        } else {
            self.fetching[index].1 = offset + 1;
            positions.insert((self.actor.process(), partition), offset + 1);
        }
        take(LogRecord {
            offset: Offset(offset),
            event_time_us: record.event_time_us,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
        });
        Polled::Record
    }

    fn commit(&mut self, splits: &[Split]) -> Ticket<Result<(), String>> {
        let (answer, ticket) = Ticket::pair();
        let id = {
            let mut inner = self.topic.inner();
            inner.serial += 1;
            let id = inner.serial;
            let (owner, client, sent_us) = (self.actor, self.id, self.topic.core.now());
            let own = inner.commits.values().filter(|commit| commit.client == client);
            if let Some(earlier_us) = own.map(|commit| commit.sent_us).max() {
                let timeout_us = self.topic.commit_timeout_us;
                inner.watch.on_overlap(owner, earlier_us, sent_us, timeout_us);
            }
            let splits = splits.to_vec();
            let commit = Commit { owner, client, sent_us, splits, answer: Some(answer) };
            inner.commits.insert(id, commit);
            inner.watch.on_sent(owner, id);
            id
        };
        self.topic.core.after(self.topic.commit_latency, Event::Commit(id));
        ticket
    }

    fn high_watermark(&self, index: usize) -> u64 {
        let (partition, _) = self.fetching[index];
        self.topic.high[partition.index()].load(Ordering::Relaxed)
    }

    fn wall_us(&self) -> i64 {
        self.topic.core.now() as i64
    }

    fn condemn(&mut self) {}
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut inner = self.topic.inner();
        for listeners in inner.listeners.values_mut() {
            listeners.retain(|listener| listener.client != self.id);
        }
    }
}
