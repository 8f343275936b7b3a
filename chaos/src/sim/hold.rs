//! An operator that holds back what another one emits, until a timer is due: what a window or an
//! asynchronous call does to records in a real job.
//!
//! Invariant: what is held is list state, named `held` in the checkpoint (shared out by a restore,
//! or shown to all as union state, of which each subtask keeps what is its own by key), and every
//! record of it has a timer. Records leave in the order in which they came, each once, and by their
//! timers alone: a worker's step fires what is due before it does anything else, so that whoever
//! looks later in the step finds nothing overdue, and a worker that goes to sleep says when it wants
//! to be woken. What is found otherwise is told ([`Mistimed`]).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use stormproof_engine::api::{
    Collector, GroupContext, GroupState, ListKind, Operator, OperatorFactory, StateSnapshot,
};
use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::ids::{CheckpointId, SubtaskIndex};
use stormproof_engine::record::{Payload, Record, RecordRef, Route};
use stormproof_engine::seam::TimeUs;

use super::core::{Actor, Core};
use super::shape::owner_of;

/// The list state's name.
const HELD: &str = "held";

/// The first timer that did not fire as it should, over all processes of a run.
#[derive(Clone, Debug)]
pub(super) struct Mistimed {
    core: Arc<Core>,
    told: Arc<Mutex<Option<String>>>,
    /// The next timer of each worker that holds something.
    next: Arc<Mutex<BTreeMap<Actor, TimeUs>>>,
}

impl Mistimed {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, told: Arc::default(), next: Arc::default() }
    }

    /// The worker that steps now has its next timer then.
    fn note_next(&self, at_us: Option<TimeUs>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match at_us {
            Some(at_us) => next.insert(self.core.current(), at_us),
            None => next.remove(&self.core.current()),
        };
    }

    /// A worker goes to sleep, and wants to be woken at `due_us`.
    pub(super) fn look_at_sleeper(&self, actor: Actor, due_us: Option<TimeUs>) {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(timer_us) = next.get(&actor).copied() else { return };
        if due_us.is_none_or(|due_us| due_us > timer_us) {
            self.tell(|| {
                format!(
                    "{actor} sleeps and wants to be woken at {due_us:?} us; its next timer is due \
                     at {timer_us} us"
                )
            });
        }
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(what);
    }

    /// What was told.
    pub(super) fn told(&self) -> Option<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes operators that hold back what those of `inner` emit.
pub(super) struct Holding<F> {
    pub(super) inner: F,
    /// How long a record is held, in microseconds.
    pub(super) hold_us: TimeUs,
    pub(super) is_union: bool,
    pub(super) mistimed: Mistimed,
}

/// What one subtask holds.
#[derive(Default)]
struct Held {
    records: VecDeque<(TimeUs, Record)>,
    /// Timers that have not fired.
    timers: BinaryHeap<Reverse<TimeUs>>,
}

struct Hold {
    context: GroupContext,
    inner: Box<dyn Operator>,
    hold_us: TimeUs,
    kind: ListKind,
    mistimed: Mistimed,
    held: Vec<Held>,
}

impl<F: OperatorFactory> OperatorFactory for Holding<F> {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Operator>> {
        let due_us = context.clock.now_us() + self.hold_us;
        let mut held: Vec<Held> = context.each_subtask().map(|_| Held::default()).collect();
        if self.is_union {
            let shown = |subtask: SubtaskIndex| -> usize {
                let own = state.lists(HELD).filter(|(of, _)| *of == subtask);
                own.map(|(_, items)| items.len()).sum()
            };
            let counts: Vec<usize> = context.each_subtask().map(shown).collect();
            if counts.iter().any(|count| *count != counts[0]) {
                self.mistimed.tell(|| format!("union state is not shown to all: {counts:?}"));
            }
        }
        for (subtask, items) in state.lists(HELD) {
            let own = &mut held[context.local(subtask)].records;
            for item in items {
                let record = Record::from_state(item.clone()).ok_or_else(|| {
                    let what = format!("state {HELD} of {}[{subtask}]: no record", context.name);
                    EngineError::Config(what)
                })?;
                if !self.is_union || owner_of(&record.view().payload(), &context) == subtask {
                    own.push_back((due_us, record));
                }
            }
        }
        let inner = self.inner.open(context.clone(), state)?;
        let (hold_us, mistimed) = (self.hold_us, self.mistimed.clone());
        mistimed.note_next(None);
        let kind = if self.is_union { ListKind::Union } else { ListKind::EvenSplit };
        Ok(Box::new(Hold { context, inner, hold_us, kind, mistimed, held }))
    }
}

/// Keeps what the inner operator emits.
struct Keeper<'a> {
    held: &'a mut Held,
    due_us: TimeUs,
    out: &'a mut dyn Collector,
}

impl Collector for Keeper<'_> {
    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>) {
        let mut frame = BytesMut::new();
        let route = Route { source: subtask, target: subtask };
        payload.encode(route, &mut frame);
        let record = Record::from_state(frame.freeze()).expect("it was just written");
        self.held.records.push_back((self.due_us, record));
        self.held.timers.push(Reverse(self.due_us));
        self.out.register_timer(subtask, self.due_us);
    }

    fn register_timer(&mut self, subtask: SubtaskIndex, at_us: TimeUs) {
        self.out.register_timer(subtask, at_us);
    }
}

impl Hold {
    /// Looks for a record whose timer should have fired.
    fn look_for_overdue(&self, subtask: SubtaskIndex) {
        // What falls due while the step goes on is the next step's.
        let now_us = self.mistimed.core.step_began_us();
        let held = &self.held[self.context.local(subtask)];
        if let Some((due_us, _)) = held.records.front().filter(|(due_us, _)| *due_us <= now_us) {
            let attempt = self.context.attempt;
            self.mistimed.tell(|| {
                format!(
                    "attempt {attempt}, count[{subtask}]: a timer was due at {due_us} us and had \
                     not fired at {now_us} us"
                )
            });
        }
    }

    fn note_next_timer(&self) {
        let timers = self.held.iter().filter_map(|held| held.timers.peek());
        self.mistimed.note_next(timers.map(|Reverse(at_us)| *at_us).min());
    }

    /// Sends on what is due by `by_us`.
    fn release(&mut self, subtask: SubtaskIndex, by_us: TimeUs, out: &mut dyn Collector) {
        let records = &mut self.held[self.context.local(subtask)].records;
        let due = records.iter().take_while(|(due_us, _)| *due_us <= by_us).count();
        for (_, record) in records.drain(..due) {
            out.emit(subtask, &record.view().payload());
        }
    }
}

impl Operator for Hold {
    fn process(
        &mut self,
        subtask: SubtaskIndex,
        record: RecordRef<'_>,
        out: &mut dyn Collector,
    ) -> Result<()> {
        let due_us = self.context.clock.now_us() + self.hold_us;
        let held = &mut self.held[self.context.local(subtask)];
        self.inner.process(subtask, record, &mut Keeper { held, due_us, out })?;
        self.note_next_timer();
        Ok(())
    }

    fn begin(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        let due_us = now_us + self.hold_us;
        let held = &mut self.held[self.context.local(subtask)];
        if !held.records.is_empty() {
            held.records.iter_mut().for_each(|(at_us, _)| *at_us = due_us);
            held.timers.push(Reverse(due_us));
            out.register_timer(subtask, due_us);
        }
        self.note_next_timer();
        self.inner.begin(subtask, now_us, out)
    }

    fn on_timer(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        match self.held[self.context.local(subtask)].timers.pop() {
            // One timer for each moment: nothing leaves by another's.
            Some(Reverse(due_us)) if due_us <= now_us => self.release(subtask, due_us, out),
            early => self.mistimed.tell(|| {
                let due_us = early.map(|Reverse(due_us)| due_us);
                format!("count[{subtask}]: a timer fired at {now_us} us, due was {due_us:?}")
            }),
        }
        self.note_next_timer();
        self.inner.on_timer(subtask, now_us, out)
    }

    fn prepare_barrier(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.inner.prepare_barrier(checkpoint, subtask, out)
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        self.look_for_overdue(subtask);
        let records = &self.held[self.context.local(subtask)].records;
        let items = records.iter().map(|(_, record)| record.frame().clone()).collect();
        state.put_list(HELD, self.kind, items);
        self.inner.snapshot(checkpoint, subtask, state)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) {
        self.inner.notify_checkpoint_complete(checkpoint);
    }

    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        self.inner.notify_checkpoint_aborted(checkpoint);
    }

    fn finish(&mut self, subtask: SubtaskIndex, out: &mut dyn Collector) -> Result<()> {
        self.look_for_overdue(subtask);
        self.release(subtask, TimeUs::MAX, out);
        self.inner.finish(subtask, out)
    }
}
