//! A record's way through a group: inbox -> `process` -> operator or sink -> credit back upstream.

use std::sync::Arc;

use super::collector::GroupCollector;
use super::{GatedGroup, GatedTask};
use crate::error::Result;
use crate::exchange::{Item, MarkKind};
use crate::ids::SubtaskIndex;
use crate::mutants;
use crate::record::{EVERY_SUBTASK, Record};
use crate::seam::TimeUs;
use crate::worker::parked::{Credit, ParkedRecord, SharedCredit};
use crate::worker::snapshots::Snapshots;

impl GatedGroup {
    /// Processes inbox items until the budget, the input or the room downstream is used up, or a
    /// decision has to wait.
    pub(super) fn process_ready(
        &mut self,
        now_us: TimeUs,
        snapshots: &mut Snapshots,
    ) -> Result<bool> {
        if self.inbox.is_empty() {
            return Ok(false);
        }
        let mut budget = self.records_per_step;
        let mut moved = false;
        while budget > 0 && self.decisions.is_empty() && self.has_room() {
            let records = self.process_run(budget, now_us)?;
            if records > 0 {
                moved = true;
                budget -= records;
                continue;
            }
            let before = budget;
            let taken = self.inbox.take(&mut budget);
            moved |= taken.is_some() || budget < before;
            let Some(item) = taken else { break };
            budget = budget.saturating_sub(self.copies(&item));
            match item {
                Item::Record { lane, record, .. } => self.accept(lane, record, now_us)?,
                Item::Mark { channel, kind } => {
                    self.decisions.extend(match kind {
                        MarkKind::Barrier(barrier) => self.handler.on_processed(channel, barrier),
                        MarkKind::EndOfInput => self.handler.on_end_processed(channel),
                    });
                    self.decide(now_us, snapshots)?;
                }
            }
        }
        self.refunds.settle(&self.inbox);
        Ok(moved)
    }

    /// Processes records by the run while nobody stalls and nothing is parked. Returns how many.
    fn process_run(&mut self, budget: usize, now_us: TimeUs) -> Result<usize> {
        if !self.parked.is_empty() || self.stalls.holds_any(now_us) {
            return Ok(0);
        }
        let Self { task, outputs, timers, inbox, context, .. } = self;
        let processed = inbox.take_run(budget, |run| {
            match task {
                GatedTask::Sink(sink) => {
                    sink.write_run(run, now_us)?;
                    context.metrics.sink_records.add(run.records() as u64);
                }
                GatedTask::Operator(operator) => {
                    while let Some(record) = run.peek() {
                        let subtask = record.view().target();
                        if !outputs.has_credit(subtask) {
                            break;
                        }
                        run.pass(&record);
                        let mut out = GroupCollector { outputs, timers, now_us };
                        operator.process(subtask, record, &mut out)?;
                    }
                }
            }
            Ok(run.records())
        });
        processed.unwrap_or(Ok(0))
    }

    /// How many records an item is to the group: one for every subtask is as many as there are.
    #[inline]
    fn copies(&self, item: &Item) -> usize {
        match item {
            Item::Record { record, .. } if record.view().target() == EVERY_SUBTASK => {
                self.context.subtasks.len()
            }
            _ => 1,
        }
    }

    fn has_room(&self) -> bool {
        match &self.task {
            GatedTask::Operator(_) => true,
            GatedTask::Sink(sink) => sink.is_ready(),
        }
    }

    /// Whether a subtask cannot take a record now.
    #[inline]
    fn is_blocked(&self, subtask: SubtaskIndex, now_us: TimeUs) -> bool {
        let local = self.context.local(subtask);
        self.stalls.holds(local, now_us) || !self.outputs.has_credit(subtask)
    }

    #[inline]
    fn accept(&mut self, lane: Option<u16>, record: Record, now_us: TimeUs) -> Result<()> {
        let target = record.view().target();
        if target == EVERY_SUBTASK {
            return self.accept_broadcast(lane, &record, now_us);
        }
        if self.must_park(target, now_us) {
            let mut credit = Credit::of(lane);
            if mutants::is_active(mutants::REFUNDED_WHEN_PARKED) {
                self.refunds.note(&self.inbox, lane, record.view());
                credit = Credit::None;
            }
            self.parked.push(self.context.local(target), ParkedRecord { credit, record });
            return Ok(());
        }
        self.refunds.note(&self.inbox, lane, record.view());
        self.process(target, record, now_us)
    }

    /// Whether a record for `subtask` has to wait: behind others, or for the subtask.
    #[inline]
    fn must_park(&self, subtask: SubtaskIndex, now_us: TimeUs) -> bool {
        let is_behind = self.parked.has(self.context.local(subtask));
        is_behind && !mutants::is_active(mutants::PARKED_OVERTAKEN)
            || self.is_blocked(subtask, now_us)
    }

    /// Every local subtask gets the record; its credit goes back once, when all are done with it.
    fn accept_broadcast(
        &mut self,
        lane: Option<u16>,
        record: &Record,
        now_us: TimeUs,
    ) -> Result<()> {
        let shared = Arc::new(SharedCredit { lane, record: record.clone() });
        for subtask in self.context.each_subtask() {
            let copy = record.retargeted(subtask);
            if self.must_park(subtask, now_us) {
                let credit = match mutants::is_active(mutants::COPIES_REFUNDED) {
                    true => Credit::None,
                    false => Credit::Shared(Arc::clone(&shared)),
                };
                let parked = ParkedRecord { credit, record: copy };
                self.parked.push(self.context.local(subtask), parked);
            } else {
                self.process(subtask, copy, now_us)?;
            }
        }
        Credit::Shared(shared).refund(record, &mut self.refunds, &self.inbox);
        Ok(())
    }

    #[inline]
    fn process(&mut self, subtask: SubtaskIndex, record: Record, now_us: TimeUs) -> Result<()> {
        match &mut self.task {
            GatedTask::Operator(operator) => {
                let mut out =
                    GroupCollector { outputs: &mut self.outputs, timers: &mut self.timers, now_us };
                operator.process(subtask, record.by_ref(), &mut out)
            }
            GatedTask::Sink(sink) => {
                self.context.metrics.sink_records.add(1);
                sink.write(subtask, record, now_us)
            }
        }
    }

    /// Processes parked records of subtasks that can go on.
    pub(super) fn unpark(&mut self, now_us: TimeUs) -> Result<bool> {
        if self.parked.is_empty() {
            return Ok(false);
        }
        let (mut moved, mut next) = (false, 0);
        while let Some(local) = self.parked.next_waiting(next) {
            next = local + 1;
            let subtask = self.context.subtask(local);
            if mutants::is_active(mutants::STALL_SPREADS) && self.stalls.holds(local, now_us) {
                break;
            }
            while self.has_room() && !self.is_blocked(subtask, now_us) {
                let Some(ParkedRecord { credit, record }) = self.parked.pop(local) else { break };
                credit.refund(&record, &mut self.refunds, &self.inbox);
                self.process(subtask, record, now_us)?;
                moved = true;
            }
        }
        self.refunds.settle(&self.inbox);
        Ok(moved)
    }
}
