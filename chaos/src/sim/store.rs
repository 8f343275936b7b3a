//! The simulated checkpoint storage: objects, written atomically and after a while.
//!
//! The contract of the real one (`seam::SnapshotStorage`): a put is atomic and durable when its
//! ticket says so; `put_new` creates or refuses; a listing is consistent. What a dead process had
//! under way is done, lost or, where the plan allows it, torn.

mod looks;
mod rot;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stormproof_engine::checkpoint::{Manifest, manifest_path};
use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::seam::{SnapshotStorage, Ticket, TicketSender, TimeUs};

pub(super) use self::watch::Sent;
use self::watch::{Watch, claimed_by};
use super::core::{Actor, Core, Event, ProcessId, Span};
use super::weather::{Disturbance, SLOWER, Weather};

const SERVICE: &str = "checkpoint storage";

/// What happens to an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum StoreEvent {
    /// It takes effect.
    Apply(u64),
    /// Its outcome reaches whoever asked.
    Answer(u64),
}

enum Answer {
    Put(TicketSender<Result<()>>),
    PutNew(TicketSender<Result<bool>>),
}

enum Work {
    Put(Bytes),
    PutNew(Bytes),
    /// What is to go next, the last one first.
    Delete(Vec<String>),
}

struct Operation {
    owner: Actor,
    asked_us: TimeUs,
    path: String,
    work: Work,
    answer: Option<Answer>,
    /// Set when it has taken effect.
    outcome: Option<std::result::Result<bool, &'static str>>,
    is_owner_dead: bool,
}

impl Operation {
    fn is_deletion(&self) -> bool {
        matches!(self.work, Work::Delete(_))
    }

    fn completes_a_checkpoint(&self) -> bool {
        matches!(self.work, Work::PutNew(_)) && is_manifest(&self.path)
    }

    /// Whether it writes this object, or deletes it now or later.
    fn is_about(&self, path: &str) -> bool {
        let is_later = match &self.work {
            Work::Delete(rest) => rest.iter().any(|other| other == path),
            Work::Put(_) | Work::PutNew(_) => false,
        };
        is_later || self.path == path
    }

    /// What a deletion goes on with.
    fn next(&mut self) -> Option<String> {
        match &mut self.work {
            Work::Delete(rest) => rest.pop(),
            Work::Put(_) | Work::PutNew(_) => None,
        }
    }
}

#[derive(Default)]
struct Disk {
    objects: BTreeMap<String, Bytes>,
    /// Everything that ever stood there, also what was deleted later: the oracle's evidence. What
    /// is torn counts: cut off in its last byte it is as good as whole, and may be restored.
    seen: BTreeMap<String, Bytes>,
    operations: BTreeMap<u64, Operation>,
    serial: u64,
    /// The newest checkpoint whose manifest was ever written in whole: from then on it is complete,
    /// whoever knows of it.
    newest_landed: CheckpointId,
    /// The newest one that may be found whole: also a manifest that is torn in its last byte.
    newest_found: CheckpointId,
    /// Checkpoints that may be left although nobody retains them: their deletion, or whoever would
    /// have deleted them, died.
    excused: usize,
    /// What there was when a process listed everything last: when it chose what to restore.
    looked: BTreeMap<ProcessId, Looked>,
    /// What was being deleted, or was about to be, when its process ended.
    undeleted: BTreeSet<String>,
    /// Checkpoints that have rotted.
    rotten: BTreeSet<CheckpointId>,
    /// When each path was written last.
    landed_us: BTreeMap<String, TimeUs>,
    watch: Watch,
}

/// What a look at everything found.
#[derive(Clone, Copy, Default)]
struct Looked {
    /// The newest complete checkpoint.
    newest: CheckpointId,
    /// The highest number under which anything lay.
    highest: CheckpointId,
    /// Complete checkpoints that were being deleted.
    doomed: usize,
    /// Which of the newest checkpoints were whole: see [`Disk::whole`].
    whole: u64,
    /// When.
    at_us: TimeUs,
}

/// The checkpoint that a file belongs to.
pub(super) fn checkpoint_of(path: &str) -> Option<CheckpointId> {
    let (folder, _) = path.strip_prefix("chk-")?.split_once('/')?;
    folder.parse().ok().map(CheckpointId)
}

impl Disk {
    /// Takes note of who asks for what; `latest` is the latest attempt that anybody has claimed.
    fn note(&mut self, operation: &Operation, latest: AttemptId, now_us: TimeUs) {
        let process = operation.owner.process();
        match &operation.work {
            Work::Put(_) | Work::PutNew(_) => {
                self.watch.on_write(process, &operation.path, latest, now_us);
            }
            Work::Delete(rest) => {
                for path in std::iter::once(&operation.path).chain(rest) {
                    self.watch.on_delete(process, path, self.newest_landed.max(self.newest_found));
                }
            }
        }
    }

    /// What is deleted of a complete checkpoint is its manifest first: without its state it must not
    /// be found. One that is completed while its files go was given up before.
    fn look_at_deletion(&mut self, operation: &Operation) {
        let state_file = Some(&operation.path).filter(|path| !is_manifest(path));
        let Some(checkpoint) = state_file.and_then(|path| checkpoint_of(path)) else { return };
        let manifest = manifest_path(checkpoint);
        let landed_us = self.landed_us.get(&manifest);
        let was_complete = landed_us.is_some_and(|us| *us < operation.asked_us);
        let stands = was_complete && self.objects.contains_key(&manifest);
        if stands && self.files_of(checkpoint).contains(&operation.path) {
            self.watch.on_state_before_manifest(operation.owner.process(), &operation.path);
        }
    }

    fn keep(&mut self, path: &str, data: &Bytes, process: ProcessId, now_us: TimeUs) {
        self.watch.on_landed(process, path);
        self.landed_us.insert(path.to_owned(), now_us);
        self.objects.insert(path.to_owned(), data.clone());
        self.seen.insert(path.to_owned(), data.clone());
        let landed = checkpoint_of(path).filter(|_| is_manifest(path));
        self.newest_landed = self.newest_landed.max(landed.unwrap_or(CheckpointId::NONE));
    }
}

fn is_manifest(path: &str) -> bool {
    path.ends_with("/manifest.json")
}

/// The storage.
pub(super) struct Store {
    core: Arc<Core>,
    weather: Arc<Weather>,
    latency: Span,
    torn_per_mille: u32,
    /// How many of a thousand writes under way are done although their process died.
    late_per_mille: u32,
    /// How long after that death they may land, at most; 0 = when they would have without it.
    late_us: u64,
    disk: Mutex<Disk>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    pub(super) fn new(
        core: Arc<Core>,
        weather: Arc<Weather>,
        latency: Span,
        torn_per_mille: u32,
        late_per_mille: u32,
        late_us: u64,
    ) -> Arc<Self> {
        let disk = Mutex::default();
        Arc::new(Self { core, weather, latency, torn_per_mille, late_per_mille, late_us, disk })
    }

    /// The claims of attempts up to `attempt` are there, from another life of the job.
    pub(super) fn begin_after(&self, attempt: u32) {
        if attempt > 0 {
            let path = format!("attempts/attempt-{attempt:08}.json");
            self.disk().objects.insert(path, Bytes::new());
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latency(&self) -> u64 {
        let slow = if self.weather.strikes(Disturbance::StoreSlow) { SLOWER } else { 1 };
        self.core.draw(self.latency) * slow
    }

    fn submit(&self, path: &str, work: Work, answer: Option<Answer>) {
        let at_us = self.core.now() + self.latency();
        let owner = self.core.current();
        let path = path.to_owned();
        let (asked_us, outcome, is_owner_dead) = (self.core.now(), None, false);
        let operation = Operation { owner, asked_us, path, work, answer, outcome, is_owner_dead };
        let latest = self.latest_claim();
        let id = {
            let mut disk = self.disk();
            disk.note(&operation, latest, self.core.now());
            disk.serial += 1;
            let id = disk.serial;
            disk.operations.insert(id, operation);
            id
        };
        self.core.at(at_us, Event::Store(StoreEvent::Apply(id)));
    }

    /// An operation's moment has come.
    pub(super) fn on_event(&self, event: StoreEvent) {
        match event {
            StoreEvent::Apply(id) => self.apply(id),
            StoreEvent::Answer(id) => self.answer(id),
        }
    }

    fn apply(&self, id: u64) {
        let fails = self.weather.strikes(Disturbance::StoreWriteFails);
        let mut in_doubt = self.weather.strikes(Disturbance::StoreWriteInDoubt);
        let mut disk = self.disk();
        let Some(mut operation) = disk.operations.remove(&id) else { return };
        in_doubt |= operation.completes_a_checkpoint()
            && self.weather.strikes(Disturbance::ManifestInDoubt);
        let path = &operation.path;
        let outcome = if fails {
            Err("the write failed")
        } else {
            let done = match &operation.work {
                Work::PutNew(_) if disk.objects.contains_key(path) => false,
                Work::Put(data) | Work::PutNew(data) => {
                    disk.keep(path, data, operation.owner.process(), self.core.now());
                    true
                }
                Work::Delete(_) => {
                    disk.look_at_deletion(&operation);
                    disk.objects.remove(path).is_some()
                }
            };
            if in_doubt { Err("no answer came") } else { Ok(done) }
        };
        let owner = operation.owner;
        self.core.trace(|| format!("store: {path} of {owner}: {outcome:?}"));
        if let (Ok(_), Some(next)) = (outcome, operation.next()) {
            operation.path = next;
            disk.operations.insert(id, operation);
            drop(disk);
            self.core.at(self.core.now() + self.latency(), Event::Store(StoreEvent::Apply(id)));
            return;
        }
        operation.outcome = Some(outcome);
        disk.operations.insert(id, operation);
        drop(disk);
        let at_us = self.core.now() + self.latency() / 4;
        self.core.at(at_us, Event::Store(StoreEvent::Answer(id)));
    }

    fn answer(&self, id: u64) {
        let Some(operation) = self.disk().operations.remove(&id) else { return };
        if operation.is_owner_dead {
            return;
        }
        let outcome = operation.outcome.unwrap_or(Err("it was never done"));
        let outcome = outcome.map_err(|what| {
            EngineError::service(SERVICE, format!("could not write {}: {what}", operation.path))
        });
        match operation.answer {
            Some(Answer::Put(sender)) => sender.fulfil(outcome.map(drop)),
            Some(Answer::PutNew(sender)) => sender.fulfil(outcome),
            None => return,
        }
        self.core.wake(operation.owner);
    }

    /// A process has died: what it had under way is done all the same, lost, or torn.
    pub(super) fn on_death(&self, process: ProcessId) {
        let mut disk = self.disk();
        let Disk { objects, seen, operations, excused, undeleted, newest_found, .. } = &mut *disk;
        operations.retain(|_, operation| {
            if operation.owner.process() != process || operation.outcome.is_some() {
                operation.is_owner_dead |= operation.owner.process() == process;
                return true;
            }
            operation.is_owner_dead = true;
            operation.answer = None;
            let path = &operation.path;
            *excused += usize::from(is_manifest(path));
            if let Work::Delete(rest) = &mut operation.work {
                undeleted.insert(path.clone());
                undeleted.extend(rest.drain(..));
            }
            match &operation.work {
                Work::Put(data) | Work::PutNew(data)
                    if self.core.chance(self.torn_per_mille) && !objects.contains_key(path) =>
                {
                    let kept = self.core.below(data.len() as u64 + 1) as usize;
                    self.core.trace(|| format!("store: {path} is torn at byte {kept}"));
                    let left = data.slice(..kept);
                    let is_whole = is_manifest(path) && Manifest::decode(&left).is_ok();
                    let found = checkpoint_of(path).filter(|_| is_whole);
                    *newest_found = found.unwrap_or(CheckpointId::NONE).max(*newest_found);
                    seen.entry(path.clone()).or_insert_with(|| left.clone());
                    objects.insert(path.clone(), left);
                    false
                }
                _ => self.core.chance(self.late_per_mille),
            }
        });
        self.delay_orphans(&mut disk, process);
    }

    /// What has left a process that is dead lands when it lands: other processes may be at work.
    fn delay_orphans(&self, disk: &mut Disk, process: ProcessId) {
        if self.late_us == 0 {
            return;
        }
        let is_orphan = |operation: &Operation| {
            operation.owner.process() == process && operation.outcome.is_none()
        };
        let orphans = disk.operations.iter().filter(|(_, operation)| is_orphan(operation));
        let ids: Vec<u64> = orphans.map(|(id, _)| *id).collect();
        for id in ids {
            // Under a new number: the moment that was planned for the old one finds nothing.
            let operation = disk.operations.remove(&id).expect("it was just listed");
            disk.serial += 1;
            disk.operations.insert(disk.serial, operation);
            let at_us = self.core.now() + self.core.below(self.late_us + 1);
            self.core.at(at_us, Event::Store(StoreEvent::Apply(disk.serial)));
        }
    }
}

/// The storage as one process has it.
#[derive(Debug)]
pub(super) struct StoreHandle(pub(super) Arc<Store>);

impl StoreHandle {
    fn refuse<T>(&self, verb: &str, path: &str) -> Result<T> {
        let what = format!("could not {verb} {path}: {}", self.describe());
        Err(EngineError::service(SERVICE, what))
    }
}

impl SnapshotStorage for StoreHandle {
    fn put(&self, path: &str, data: Bytes) -> Ticket<Result<()>> {
        let (sender, ticket) = Ticket::pair();
        self.0.submit(path, Work::Put(data), Some(Answer::Put(sender)));
        ticket
    }

    fn put_new(&self, path: &str, data: Bytes) -> Ticket<Result<bool>> {
        let (sender, ticket) = Ticket::pair();
        self.0.submit(path, Work::PutNew(data), Some(Answer::PutNew(sender)));
        ticket
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let weather = &self.0.weather;
        if weather.strikes(Disturbance::StoreReadFails)
            || weather.strikes(Disturbance::StoreFileUnreadable)
        {
            return self.refuse("read", path);
        }
        Ok(self.0.disk().objects.get(path).cloned())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        if self.0.weather.strikes(Disturbance::StoreReadFails) {
            return self.refuse("list", prefix);
        }
        let mut disk = self.0.disk();
        if prefix.is_empty() {
            let highest = disk.objects.keys().filter_map(|path| checkpoint_of(path)).max();
            let highest = highest.unwrap_or(CheckpointId::NONE);
            let doomed = disk.objects.keys().filter(|path| {
                is_manifest(path) && disk.operations.values().any(|of| of.is_about(path))
            });
            let (newest, doomed) = (disk.newest_landed, doomed.count());
            let (whole, at_us) = (disk.whole(), self.0.core.now());
            let looked = Looked { newest, highest, doomed, whole, at_us };
            disk.looked.insert(self.0.core.current().process(), looked);
        }
        let is_under = |path: &&String| {
            prefix.is_empty() || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
        };
        Ok(disk.objects.keys().filter(is_under).cloned().collect())
    }

    fn delete(&self, mut paths: Vec<String>) -> Ticket<Result<()>> {
        paths.reverse();
        let Some(first) = paths.pop() else { return Ticket::ready(Ok(())) };
        let (sender, ticket) = Ticket::pair();
        self.0.submit(&first, Work::Delete(paths), Some(Answer::Put(sender)));
        ticket
    }

    fn describe(&self) -> String {
        "simulated storage".to_owned()
    }
}
