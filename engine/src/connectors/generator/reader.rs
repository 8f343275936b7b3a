//! The generator's subtasks on one worker: emits what is due, in runs, round robin over splits.

use crate::api::{Emission, GroupContext, ListKind, SourceReader, StateSnapshot};
use crate::connectors::{SPLITS_STATE, Split};
use crate::error::Result;
use crate::ids::{AttemptId, CheckpointId, Offset, SubtaskIndex};
use crate::record::{Payload, Provenance};
use crate::seam::TimeUs;

use super::{Content, GeneratorConfig, Schedule};

/// Records of one split before the next split has its turn.
const RUN_RECORDS: u64 = 64;

struct Generated {
    subtask: SubtaskIndex,
    split: Split,
    /// Records this split will ever have.
    limit: u64,
}

pub(super) struct GeneratorReader {
    context: GroupContext,
    schedule: Schedule,
    content: Content,
    /// Sorted by subtask.
    splits: Vec<Generated>,
    /// Whose turn is next.
    cursor: usize,
    /// For each subtask, its splits that still have records; `None` once the end was announced.
    unfinished: Vec<Option<u32>>,
    records: Option<u64>,
    /// Records due and not emitted, after the last whole round.
    waiting: u64,
}

impl GeneratorReader {
    pub(super) fn new(
        config: &GeneratorConfig,
        context: GroupContext,
        schedule: Schedule,
        owned: &[(SubtaskIndex, Split)],
    ) -> Self {
        let limit = |split: &Split| match config.records {
            Some(records) => schedule.share(split.partition.0, records),
            None => u64::MAX,
        };
        let mut splits: Vec<_> = owned
            .iter()
            .map(|(subtask, split)| Generated {
                subtask: *subtask,
                split: *split,
                limit: limit(split),
            })
            .collect();
        splits.sort_by_key(|s| (s.subtask, s.split.partition));
        let mut unfinished = vec![Some(0); context.subtasks.len()];
        for open in splits.iter().filter(|s| s.split.next.0 < s.limit) {
            if let Some(count) = &mut unfinished[context.local(open.subtask)] {
                *count += 1;
            }
        }
        let content = Content::new(config.seed, config.keys, config.skew, config.record_bytes);
        Self {
            context,
            schedule,
            content,
            splits,
            cursor: 0,
            unfinished,
            records: config.records,
            waiting: 0,
        }
    }

    /// Announces the end of every subtask that has nothing left. A stream without end has none,
    /// not even for a subtask without splits.
    fn announce_ends(&mut self, out: &mut dyn Emission) {
        if self.records.is_none() {
            return;
        }
        for (local, unfinished) in self.unfinished.iter_mut().enumerate() {
            if *unfinished == Some(0) {
                *unfinished = None;
                out.finish(SubtaskIndex(self.context.subtasks.start + local as u16));
            }
        }
    }

    /// Emits a run of the split at `index`; returns what it did.
    fn visit(&mut self, index: usize, due: u64, now_us: TimeUs, out: &mut dyn Emission) -> Visit {
        let Self { context, schedule, content, splits, .. } = self;
        let generated = &mut splits[index];
        let due = schedule.share(generated.split.partition.0, due).min(generated.limit);
        let run = due.saturating_sub(generated.split.next.0).min(RUN_RECORDS);
        let run = run.min(out.budget() as u64);
        let mut emitted = 0;
        while emitted < run && out.can_emit(generated.subtask) {
            emit(schedule, content, generated, context.attempt, now_us, out);
            emitted += 1;
        }
        if emitted > 0
            && generated.split.next.0 == generated.limit
            && let Some(count) = &mut self.unfinished[context.local(generated.subtask)]
        {
            *count -= 1;
        }
        let waiting = due.saturating_sub(generated.split.next.0);
        Visit { emitted, is_blocked: emitted < run, waiting }
    }
}

struct Visit {
    emitted: u64,
    is_blocked: bool,
    /// Records due and not emitted.
    waiting: u64,
}

#[inline]
fn emit(
    schedule: &Schedule,
    content: &mut Content,
    generated: &mut Generated,
    attempt: AttemptId,
    now_us: TimeUs,
    out: &mut dyn Emission,
) {
    let Split { partition, next } = generated.split;
    let event_time_us = match schedule.is_unlimited() {
        true => now_us,
        false => schedule.due_us(generated.split),
    };
    let (key, value) = content.make(partition, next, schedule.number(generated.split));
    let payload = Payload {
        provenance: Provenance { partition, offset: next, index: 0, source_attempt: attempt },
        event_time_us: event_time_us as i64,
        key: Some(key),
        value: Some(value),
    };
    out.emit(generated.subtask, &payload);
    generated.split.next = Offset(next.0 + 1);
}

impl SourceReader for GeneratorReader {
    fn poll(&mut self, now_us: TimeUs, out: &mut dyn Emission) -> Result<bool> {
        self.announce_ends(out);
        let due = self.schedule.due_records(now_us).min(self.records.unwrap_or(u64::MAX));
        let mut has_more = false;
        let mut moved = true;
        while moved && out.budget() > 0 {
            (moved, has_more) = (false, false);
            let mut waiting = 0;
            for n in 1..=self.splits.len() {
                let visit = self.visit(self.cursor, due, now_us, out);
                moved |= visit.emitted > 0;
                has_more |= visit.waiting > 0 && !visit.is_blocked;
                waiting += visit.waiting;
                if n == self.splits.len() {
                    self.waiting = waiting;
                }
                if out.budget() == 0 {
                    break;
                }
                self.cursor = (self.cursor + 1) % self.splits.len();
            }
        }
        self.announce_ends(out);
        Ok(has_more)
    }

    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        let first = self.splits.partition_point(|s| s.subtask < subtask);
        let own = self.splits[first..].iter().take_while(|s| s.subtask == subtask);
        let items = own.map(|s| s.split.encode()).collect();
        state.put_list(SPLITS_STATE, ListKind::EvenSplit, items);
        Ok(())
    }

    fn notify_checkpoint_complete(&mut self, _checkpoint: CheckpointId) -> Result<()> {
        Ok(())
    }

    fn notify_checkpoint_aborted(&mut self, _checkpoint: CheckpointId) {}

    fn pending_records(&self) -> Option<u64> {
        (!self.schedule.is_unlimited()).then_some(self.waiting)
    }
}
