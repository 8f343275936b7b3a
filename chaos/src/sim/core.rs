//! What everything in the simulated world shares: virtual time, the seeded random source, the
//! queue of events, the trace.
//!
//! Invariant: every random choice of a run comes from one generator, in the order in which events
//! happen; so a plan has one trace. Nothing here reads a clock or iterates over a hash map.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use stormproof_engine::ids::WorkerIndex;
use stormproof_engine::seam::{Clock, TimeUs};
use stormproof_engine::worker::{Control, Report};

use super::database::DatabaseEvent;
use super::store::StoreEvent;

/// A simulated process of the engine: its number in the order of starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub u32);

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// Who acts: the coordinator of a process, or one of its workers. One number, since maps compare
/// actors several times for each event: the process, then 0 for the coordinator or the worker's
/// index and 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Actor(u64);

impl Actor {
    pub(super) fn coordinator(process: ProcessId) -> Self {
        Self(u64::from(process.0) << 32)
    }

    pub(super) fn of_worker(process: ProcessId, worker: WorkerIndex) -> Self {
        Self(u64::from(process.0) << 32 | (u64::from(worker.0) + 1))
    }

    pub(super) fn process(self) -> ProcessId {
        ProcessId((self.0 >> 32) as u32)
    }

    /// `None` is the coordinator.
    pub(super) fn worker(self) -> Option<WorkerIndex> {
        (self.0 as u32).checked_sub(1).map(|index| WorkerIndex(index as u16))
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.worker() {
            Some(worker) => write!(f, "{}/w{worker}", self.process()),
            None => write!(f, "{}/coordinator", self.process()),
        }
    }
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A process starts.
    Start,
    /// An actor may step; stale when its ticket is not the actor's newest.
    Step { actor: Actor, ticket: u64 },
    /// A worker of an attempt opens.
    Open { process: ProcessId, generation: u32, worker: WorkerIndex },
    /// A message reaches a worker.
    Control { process: ProcessId, generation: u32, worker: WorkerIndex, message: Control },
    /// A report reaches the coordinator. In a box, since it is several times as large as the rest.
    Report { process: ProcessId, generation: u32, report: Box<Report> },
    /// A paused process goes on.
    Resume(ProcessId),
    /// The supervisor misses a heartbeat of this process.
    HeartbeatMissed(ProcessId),
    /// Records become visible in a partition.
    Arrival { partition: u32, records: u32 },
    /// A fault's moment has come.
    Fault(usize),
    /// Retention removes the beginning of a partition.
    Truncate(usize),
    /// The checkpoint storage.
    Store(StoreEvent),
    /// The database.
    Database(DatabaseEvent),
    /// The log answers a commit.
    Commit(u64),
    /// The job is told to drain in the middle of its work.
    Drain,
    /// The safety phase is over: everything is healed.
    Heal,
}

/// When an event happens; ordered by its fields as they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scheduled {
    at_us: TimeUs,
    /// Among events of one moment the order is drawn; below what was drawn stands a serial number.
    tie: u64,
    /// Where the event lies.
    place: usize,
}

/// What will happen, in order. Events lie still; what the order moves is small.
#[derive(Default)]
struct Agenda {
    order: BinaryHeap<Reverse<Scheduled>>,
    /// What was there before anything happened, the last one first: it is sorted once, and the heap
    /// stays small.
    planned: Vec<Reverse<Scheduled>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    serial: u32,
}

impl Agenda {
    fn push(&mut self, at_us: TimeUs, tie: u32, event: Event) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.serial += 1;
        let tie = u64::from(tie) << 32 | u64::from(self.serial);
        self.order.push(Reverse(Scheduled { at_us, tie, place }));
    }

    fn begin(&mut self) {
        self.planned = std::mem::take(&mut self.order).into_sorted_vec();
    }

    fn pop(&mut self) -> Option<(TimeUs, Event)> {
        let is_planned = self.planned.last() > self.order.peek();
        let next = if is_planned { self.planned.pop() } else { self.order.pop() };
        let Reverse(Scheduled { at_us, place, .. }) = next?;
        self.free.push(place);
        self.events[place].take().map(|event| (at_us, event))
    }
}

/// A range of durations, in microseconds. Now and then one takes ten times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The shortest.
    pub min_us: u64,
    /// The longest of the usual ones.
    pub max_us: u64,
}

struct Inner {
    rng: Pcg64Mcg,
    agenda: Agenda,
    /// Until when processes stand still.
    paused: BTreeMap<ProcessId, TimeUs>,
    /// Actors that something has happened for.
    woken: Vec<Actor>,
    /// No duration is longer any more: everything is healed.
    longest_us: u64,
    trace: Vec<String>,
    events: u64,
}

/// The shared part of the world. One thread works with it: what is asked most often costs no lock.
pub(super) struct Core {
    now_us: AtomicU64,
    /// When the event was taken that is handled now.
    step_began_us: AtomicU64,
    /// Nobody stands still from then on.
    unpaused_us: AtomicU64,
    /// Who acts now.
    current: AtomicU64,
    /// Whether something was asked of the scheduler since it looked last.
    is_asked: AtomicBool,
    is_traced: bool,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("now_us", &self.now()).finish_non_exhaustive()
    }
}

impl Clock for Core {
    /// Time passes while an actor works: each look of it finds another microsecond.
    fn now_us(&self) -> TimeUs {
        let now_us = self.now() + 1;
        self.now_us.store(now_us, Relaxed);
        now_us
    }
}

impl Core {
    pub(super) fn new(seed: u64, is_traced: bool) -> Arc<Self> {
        let inner = Inner {
            rng: Pcg64Mcg::seed_from_u64(seed),
            agenda: Agenda::default(),
            paused: BTreeMap::new(),
            woken: Vec::new(),
            longest_us: u64::MAX,
            trace: Vec::new(),
            events: 0,
        };
        let [now_us, step_began_us, unpaused_us, current] = [0; 4].map(AtomicU64::new);
        let (is_asked, inner) = (AtomicBool::new(false), Mutex::new(inner));
        Arc::new(Self { now_us, step_began_us, unpaused_us, current, is_asked, is_traced, inner })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual time.
    pub(super) fn now(&self) -> TimeUs {
        self.now_us.load(Relaxed)
    }

    /// When the step began that goes on now.
    pub(super) fn step_began_us(&self) -> TimeUs {
        self.step_began_us.load(Relaxed)
    }

    /// Lets `event` happen at `at_us`, or now if that has passed.
    pub(super) fn at(&self, at_us: TimeUs, event: Event) {
        let mut inner = self.lock();
        let tie = inner.rng.random();
        inner.agenda.push(at_us.max(self.now()), tie, event);
    }

    /// Lets `event` happen after a duration of `span`. Returns when.
    pub(super) fn after(&self, span: Span, event: Event) -> TimeUs {
        let at_us = self.now() + self.draw(span);
        self.at(at_us, event);
        at_us
    }

    /// Everything that is planned beforehand is there.
    pub(super) fn begin(&self) {
        self.lock().agenda.begin();
    }

    /// Takes the next event and moves time on to it, unless it is late.
    pub(super) fn next(&self) -> Option<Event> {
        let mut inner = self.lock();
        let (at_us, event) = inner.agenda.pop()?;
        inner.events += 1;
        let now_us = self.now().max(at_us);
        self.now_us.store(now_us, Relaxed);
        self.step_began_us.store(now_us, Relaxed);
        Some(event)
    }

    /// A duration.
    pub(super) fn draw(&self, span: Span) -> u64 {
        let mut inner = self.lock();
        let usual = inner.rng.random_range(span.min_us..=span.max_us.max(span.min_us));
        let drawn = if inner.rng.random_range(0..64) == 0 { usual * 10 } else { usual };
        drawn.min(inner.longest_us)
    }

    /// From now on no duration is longer than this.
    pub(super) fn hasten(&self, longest_us: u64) {
        self.lock().longest_us = longest_us;
    }

    /// A number below `bound`, which is at least 1.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.lock().rng.random_range(0..bound)
    }

    /// Whether something happens that happens `per_mille` times in a thousand.
    pub(super) fn chance(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.lock().rng.random_range(0..1000) < per_mille
    }

    /// Who acts now.
    pub(super) fn current(&self) -> Actor {
        Actor(self.current.load(Relaxed))
    }

    pub(super) fn set_current(&self, actor: Actor) {
        self.current.store(actor.0, Relaxed);
    }

    /// Something has happened that `actor` will want to look at.
    pub(super) fn wake(&self, actor: Actor) {
        let mut inner = self.lock();
        if !inner.woken.contains(&actor) {
            inner.woken.push(actor);
        }
        drop(inner);
        self.ask();
    }

    /// Something is asked of the scheduler when this event is over.
    pub(super) fn ask(&self) {
        self.is_asked.store(true, Relaxed);
    }

    /// Whether something was asked, told once.
    pub(super) fn take_asked(&self) -> bool {
        let is_asked = self.is_asked.load(Relaxed);
        self.is_asked.store(false, Relaxed);
        is_asked
    }

    /// Moves the woken actors into `out`, which is empty.
    pub(super) fn take_woken(&self, out: &mut Vec<Actor>) {
        std::mem::swap(&mut self.lock().woken, out);
    }

    /// Until when a process stands still, if it does.
    pub(super) fn paused_until(&self, process: ProcessId) -> Option<TimeUs> {
        let now = self.now();
        if now >= self.unpaused_us.load(Relaxed) {
            return None;
        }
        self.lock().paused.get(&process).copied().filter(|until| *until > now)
    }

    pub(super) fn pause(&self, process: ProcessId, until_us: TimeUs) {
        self.unpaused_us.fetch_max(until_us, Relaxed);
        self.lock().paused.insert(process, until_us);
    }

    pub(super) fn resume_all(&self) -> Vec<ProcessId> {
        std::mem::take(&mut self.lock().paused).into_keys().collect()
    }

    /// Events that have happened.
    pub(super) fn events(&self) -> u64 {
        self.lock().events
    }

    /// Adds a line to the trace, if there is one.
    pub(super) fn trace(&self, line: impl FnOnce() -> String) {
        if self.is_traced {
            let line = format!("{:>12.3} ms  {}", self.now() as f64 / 1000.0, line());
            self.lock().trace.push(line);
        }
    }

    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_within_a_step_and_never_goes_back() {
        let core = Core::new(1, false);
        core.at(10, Event::Start);
        core.at(11, Event::Heal);
        assert!(matches!(core.next(), Some(Event::Start)));
        assert_eq!((core.step_began_us(), core.now_us(), core.now_us()), (10, 11, 12));
        assert!(matches!(core.next(), Some(Event::Heal)));
        assert_eq!((core.step_began_us(), core.now()), (12, 12), "it was due at 11");
    }
}
