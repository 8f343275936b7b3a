//! The Kafka source's subtasks on one worker.
//!
//! Invariants: a message is taken from its queue only when its subtask may emit it, so none is ever
//! held or lost; offsets are counted up at emission, so a snapshot between two records is exact;
//! the client's errors are looked at on every step.

use std::collections::HashMap;
use std::sync::Arc;

use super::commit::OffsetCommits;
use super::config::KafkaSourceConfig;
use super::error::{judged, position_gone};
use super::log::{LogClient, LogError, LogRecord, Meaning, Polled};
use super::ready::{ReadyFlags, ReadySet};
use super::start::Positioned;
use crate::api::{Emission, GroupContext, ListKind, SourceReader, StateSnapshot};
use crate::connectors::{SPLITS_STATE, Split};
use crate::error::Result;
use crate::ids::{AttemptId, CheckpointId, Offset, SubtaskIndex};
use crate::mutants;
use crate::record::{Payload, Provenance};
use crate::seam::{Step, Ticket, TimeUs};

/// Records of one partition before the next partition has its turn.
const RUN_RECORDS: usize = 64;
/// Errors of the client that are looked at in one step.
const CLIENT_ERRORS: usize = 16;
/// Every queue is visited so often even if its flag is down.
const SWEEP_US: TimeUs = 200_000;

struct Partition {
    subtask: SubtaskIndex,
    split: Split,
}

pub(super) struct KafkaReader {
    context: GroupContext,
    config: Arc<KafkaSourceConfig>,
    client: Box<dyn LogClient>,
    /// Sorted by subtask.
    partitions: Vec<Partition>,
    ready: ReadySet,
    cursor: usize,
    next_sweep_us: TimeUs,
    /// The offset last committed for each partition by this attempt, or where it started.
    committed: Vec<Offset>,
    commits: OffsetCommits,
    /// The answer to the commit that is under way.
    commit_ticket: Option<Ticket<Result<(), String>>>,
}

impl KafkaReader {
    /// A reader of `splits`, which are sorted by subtask.
    pub(super) fn open(
        mut client: Box<dyn LogClient>,
        config: Arc<KafkaSourceConfig>,
        splits: &[(SubtaskIndex, Positioned)],
        context: GroupContext,
    ) -> Result<Self> {
        let flags = ReadyFlags::new(splits.len());
        let partitions = splits
            .iter()
            .map(|(subtask, positioned)| Partition { subtask: *subtask, split: positioned.split });
        let positions: Vec<_> = splits.iter().map(|(_, p)| p.split).collect();
        let high: Vec<_> = splits.iter().map(|(_, p)| p.high_watermark).collect();
        client
            .assign(&positions, &high, &flags)
            .map_err(|error| judged("could not assign partitions", &config, &error))?;
        Ok(Self {
            committed: positions.iter().map(|split| split.next).collect(),
            next_sweep_us: context.clock.now_us() + SWEEP_US,
            partitions: partitions.collect(),
            context,
            commits: OffsetCommits::new(config.commit_timeout_ms * 1_000),
            config,
            client,
            ready: ReadySet::new(flags),
            cursor: 0,
            commit_ticket: None,
        })
    }

    /// Looks at the client's errors, and drives commits.
    fn serve_client(&mut self, now_us: TimeUs) -> Result<()> {
        for _ in 0..CLIENT_ERRORS {
            let Some(error) = self.client.poll_errors() else { break };
            self.judge(&error, None)?;
        }
        self.take_commit_answer(now_us)?;
        self.send_commit(now_us);
        Ok(())
    }

    /// An error fails the attempt unless the client gets over it by itself.
    fn judge(&mut self, error: &LogError, index: Option<usize>) -> Result<()> {
        let is_broken = error.meaning == Meaning::Broken;
        let is_tolerated = is_broken && mutants::is_active(mutants::BROKEN_CLIENT_TOLERATED);
        if error.meaning == Meaning::Transient || is_tolerated {
            return Ok(());
        }
        self.client.condemn();
        if error.meaning != Meaning::PositionGone {
            return Err(judged("the client failed", &self.config, error));
        }
        let place = index.map_or_else(
            || "a partition".to_owned(),
            |index| {
                let Split { partition, next } = self.partitions[index].split;
                format!("partition {partition}, offset {next}")
            },
        );
        Err(position_gone(&self.config.topic, &place, error))
    }

    fn take_commit_answer(&mut self, now_us: TimeUs) -> Result<()> {
        let Some(ticket) = &self.commit_ticket else { return Ok(()) };
        let is_orphaned = ticket.is_orphaned();
        match ticket.try_take() {
            None if !is_orphaned => return Ok(()),
            Some(Ok(())) => {
                if let Some(commit) = self.commits.confirmed() {
                    self.context.metrics.offset_commits.add(1);
                    self.note_committed(&commit.splits);
                    self.hit_committed(commit.checkpoint)?;
                }
            }
            // A commit is a courtesy: when it fails the next checkpoint's takes over.
            None | Some(Err(_)) => self.commits.failed(now_us),
        }
        self.commit_ticket = None;
        Ok(())
    }

    /// The position that goes into a snapshot: that of the next record to emit, but for mutants.
    fn snapshotted(&self, index: usize, next: Offset) -> Offset {
        if mutants::is_active(mutants::OFFSET_BEHIND) {
            return Offset(next.0.saturating_sub(1));
        }
        if mutants::is_active(mutants::FETCHER_POSITION) {
            return Offset(self.client.high_watermark(index).max(next.0));
        }
        next
    }

    fn note_committed(&mut self, splits: &[Split]) {
        let committed: HashMap<_, _> = splits.iter().map(|s| (s.partition, s.next)).collect();
        for (partition, slot) in self.partitions.iter().zip(&mut self.committed) {
            if let Some(next) = committed.get(&partition.split.partition) {
                *slot = *next;
            }
        }
    }

    /// Log end offsets minus committed offsets.
    fn committed_lag_records(&self) -> u64 {
        let high = |index| self.client.high_watermark(index);
        self.committed.iter().enumerate().map(|(i, next)| high(i).saturating_sub(next.0)).sum()
    }

    fn hit_committed(&self, checkpoint: CheckpointId) -> Result<()> {
        let mut last = None;
        for subtask in self.partitions.iter().map(|p| p.subtask) {
            if last != Some(subtask) {
                last = Some(subtask);
                let at = self.context.at(subtask, checkpoint);
                self.context.probe.hit(Step::OffsetCommitted, &at)?;
            }
        }
        Ok(())
    }

    fn send_commit(&mut self, now_us: TimeUs) {
        if let Some(commit) = self.commits.next(now_us) {
            let ticket = if mutants::is_active(mutants::COMMITS_POSITION) {
                let now: Vec<_> = self.partitions.iter().map(|partition| partition.split).collect();
                self.client.commit(&now)
            } else {
                self.client.commit(&commit.splits)
            };
            self.commit_ticket = Some(ticket);
        }
    }

    /// Visits every ready partition once, beginning where the last round ended.
    fn round(&mut self, wall_us: i64, out: &mut dyn Emission) -> Result<Round> {
        let mut round = Round::default();
        let start = self.cursor;
        for range in [start..self.partitions.len(), 0..start] {
            let mut at = range.start;
            while out.budget() > 0
                && let Some(index) = self.ready.next_from(at).filter(|index| *index < range.end)
            {
                let visit = self.visit(index, wall_us, out)?;
                round.emitted += visit.emitted;
                round.has_more |= !visit.is_blocked && visit.emitted > 0;
                at = index + 1;
                self.cursor = at % self.partitions.len();
            }
        }
        Ok(round)
    }

    /// Emits a run of the partition at `index`.
    fn visit(&mut self, index: usize, wall_us: i64, out: &mut dyn Emission) -> Result<Visit> {
        let budget = out.budget().min(RUN_RECORDS);
        let attempt = self.context.attempt;
        let mut emitted = 0;
        while emitted < budget {
            let partition = &mut self.partitions[index];
            let can_emit = out.can_emit(partition.subtask);
            if !can_emit && !mutants::is_active(mutants::STORED_BEFORE_EMIT) {
                return Ok(Visit { emitted, is_blocked: true });
            }
            let mut event_time_us = 0;
            let polled = self.client.poll(index, &mut |record| {
                event_time_us = record.event_time_us;
                if !can_emit {
                    partition.split.next = Offset(record.offset.0 + 1);
                } else if record.offset >= partition.split.next
                    || mutants::is_active(mutants::REPEATED_EMITTED)
                {
                    emit(partition, attempt, record, out);
                    emitted += 1;
                }
            });
            match polled {
                Polled::Record if !can_emit => return Ok(Visit { emitted, is_blocked: true }),
                Polled::Record => self.note_lags(index, event_time_us, wall_us),
                Polled::Failed(error) => {
                    self.judge(&error, Some(index))?;
                    break;
                }
                Polled::Empty => {
                    self.ready.clear(index);
                    break;
                }
            }
        }
        Ok(Visit { emitted, is_blocked: false })
    }

    #[inline]
    fn note_lags(&self, index: usize, event_time_us: i64, wall_us: i64) {
        let metrics = &self.context.metrics;
        if let Some(filled_us) = self.ready.take_filled_us(index) {
            let lag_us = filled_us.saturating_sub(event_time_us).max(0) as u64;
            metrics.fetch_event_time_lag_us.set(lag_us);
        }
        let lag_us = wall_us.saturating_sub(event_time_us).max(0) as u64;
        metrics.emit_event_time_lag_us.set(lag_us);
    }
}

struct Visit {
    emitted: usize,
    is_blocked: bool,
}

#[derive(Default)]
struct Round {
    emitted: usize,
    has_more: bool,
}

#[inline]
fn emit(
    partition: &mut Partition,
    attempt: AttemptId,
    record: LogRecord<'_>,
    out: &mut dyn Emission,
) {
    let payload = Payload {
        provenance: Provenance {
            partition: partition.split.partition,
            offset: record.offset,
            index: 0,
            source_attempt: attempt,
        },
        event_time_us: record.event_time_us,
        key: record.key,
        value: record.value,
    };
    out.emit(partition.subtask, &payload);
    if mutants::is_active(mutants::OFFSETS_COUNTED) {
        partition.split.next = Offset(partition.split.next.0 + 1);
        return;
    }
    partition.split.next = Offset(record.offset.0 + 1);
}

impl SourceReader for KafkaReader {
    fn poll(&mut self, now_us: TimeUs, out: &mut dyn Emission) -> Result<bool> {
        self.serve_client(now_us)?;
        if now_us >= self.next_sweep_us {
            self.next_sweep_us = now_us + SWEEP_US;
            self.ready.sweep();
            self.context.metrics.committed_lag_records.set(self.committed_lag_records());
        }
        let wall_us = self.client.wall_us();
        loop {
            self.ready.collect();
            let round = self.round(wall_us, out)?;
            if round.emitted == 0 || out.budget() == 0 {
                return Ok(round.has_more);
            }
        }
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        let first = self.partitions.partition_point(|p| p.subtask < subtask);
        let own = self.partitions.iter().enumerate().skip(first);
        let mut items = Vec::new();
        for (index, Partition { split, .. }) in own.take_while(|(_, p)| p.subtask == subtask) {
            let split = Split { next: self.snapshotted(index, split.next), ..*split };
            items.push(split.encode());
            self.commits.snapshotted(checkpoint, split);
        }
        state.put_list(SPLITS_STATE, ListKind::EvenSplit, items);
        Ok(())
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.commits.completed(checkpoint);
        self.send_commit(self.context.clock.now_us());
        Ok(())
    }

    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        self.commits.aborted(checkpoint);
    }

    fn is_committing(&self) -> bool {
        self.commits.is_busy()
    }

    fn pending_records(&self) -> Option<u64> {
        let waiting = |(index, partition): (usize, &Partition)| {
            self.client.high_watermark(index).saturating_sub(partition.split.next.0)
        };
        Some(self.partitions.iter().enumerate().map(waiting).sum())
    }
}
