//! The Kafka source's subtasks on one worker.
//!
//! Invariants: every partition's queue is split off before the partition is assigned and lives
//! until after it is unassigned; a message is taken from its queue only when its subtask may emit
//! it, so none is ever held or lost; the main queue is polled on every step, for that is where
//! errors appear.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;

use super::SERVICE;
use super::client::{Consumer, Lease, SourceContext};
use super::commit::OffsetCommits;
use super::config::KafkaSourceConfig;
use super::error::{Meaning, meaning, refused, service, unknown};
use super::ready::{ReadyFlags, ReadySet};
use super::side::Side;
use super::start::{Positioned, split_list};
use crate::api::{Emission, GroupContext, ListKind, SourceReader, StateSnapshot};
use crate::connectors::{SPLITS_STATE, Split, WallClock};
use crate::error::{EngineError, Result};
use crate::ids::{AttemptId, CheckpointId, Offset, SubtaskIndex};
use crate::record::{Payload, Provenance};
use crate::seam::{Step, Ticket, TimeUs};

/// Records of one partition before the next partition has its turn.
const RUN_RECORDS: usize = 64;
/// Events taken from the main queue in one step.
const MAIN_QUEUE_EVENTS: usize = 16;
/// Every queue is visited so often even if its flag is down.
const SWEEP_US: TimeUs = 200_000;

struct Partition {
    subtask: SubtaskIndex,
    split: Split,
    queue: PartitionQueue<SourceContext>,
}

pub(super) struct KafkaReader {
    context: GroupContext,
    config: Arc<KafkaSourceConfig>,
    client: Lease,
    /// Sorted by subtask. Emptied when the reader is dropped, after the client is unassigned.
    partitions: Vec<Partition>,
    ready: ReadySet,
    cursor: usize,
    next_sweep_us: TimeUs,
    /// The offset last committed for each partition by this attempt, or where it started.
    committed: Vec<Offset>,
    commits: OffsetCommits,
    /// The answer to the commit that is under way.
    commit_ticket: Option<Ticket<KafkaResult<()>>>,
    side: Side,
}

impl KafkaReader {
    /// A reader of `splits`, which are sorted by subtask.
    pub(super) fn open(
        client: Lease,
        config: Arc<KafkaSourceConfig>,
        splits: &[(SubtaskIndex, Positioned)],
        context: GroupContext,
    ) -> Result<Self> {
        let flags = ReadyFlags::new(splits.len());
        let partitions = splits
            .iter()
            .enumerate()
            .map(|(index, (subtask, positioned))| {
                let split = positioned.split;
                let queue = split_queue(&client, &config.topic, split, index, &flags)?;
                Ok(Partition { subtask: *subtask, split, queue })
            })
            .collect::<Result<Vec<_>>>()?;
        let positions: Vec<_> = partitions.iter().map(|p| p.split).collect();
        split_list(&config.topic, &positions)
            .and_then(|list| client.assign(&list))
            .map_err(|error| service("could not assign partitions", &config.brokers, &error))?;
        let high: Vec<_> = splits.iter().map(|(_, p)| p.high_watermark).collect();
        let ids = positions.iter().map(|split| split.partition).collect();
        let side = Side::start(Arc::clone(&client), &config.topic, ids, &high);
        Ok(Self {
            committed: positions.iter().map(|split| split.next).collect(),
            next_sweep_us: context.clock.now_us() + SWEEP_US,
            context,
            config,
            client,
            partitions,
            ready: ReadySet::new(flags),
            cursor: 0,
            commits: OffsetCommits::default(),
            commit_ticket: None,
            side,
        })
    }

    /// Polls the main queue for the client's errors, and drives commits.
    fn serve_client(&mut self, now_us: TimeUs) -> Result<()> {
        for _ in 0..MAIN_QUEUE_EVENTS {
            match self.client.poll(Duration::ZERO) {
                None => break,
                Some(Err(error)) => self.judge(&error, None)?,
                Some(Ok(message)) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    self.client.condemn();
                    return Err(EngineError::service(
                        SERVICE,
                        format!("partition {partition}, offset {offset} came past its queue"),
                    ));
                }
            }
        }
        self.take_commit_answer(now_us)?;
        self.send_commit(now_us)
    }

    /// An error fails the attempt unless the client gets over it by itself.
    fn judge(&mut self, error: &KafkaError, index: Option<usize>) -> Result<()> {
        let meaning = meaning(error);
        if meaning == Meaning::Transient {
            return Ok(());
        }
        self.client.condemn();
        let Self { config, partitions, .. } = self;
        Err(match meaning {
            Meaning::PositionGone => {
                let place = index.map_or_else(
                    || "a partition".to_owned(),
                    |index| {
                        let Split { partition, next } = partitions[index].split;
                        format!("partition {partition}, offset {next}")
                    },
                );
                EngineError::Input(format!(
                    "kafka topic `{}`, {place}: the log does not hold it (any more): {error}; \
                     compare it with the partition's low watermark: retention has passed the job; \
                     give the topic a longer retention, and start without the checkpoint to accept \
                     the gap",
                    config.topic
                ))
            }
            Meaning::Unknown => unknown(&config.topic, &config.brokers),
            Meaning::Refused => refused(&config.topic, error),
            Meaning::Broken | Meaning::Transient => {
                service("the client failed", &config.brokers, error)
            }
        })
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
        let high = |index| self.side.high_watermark(index);
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

    fn send_commit(&mut self, now_us: TimeUs) -> Result<()> {
        let Some(commit) = self.commits.next(now_us) else { return Ok(()) };
        let offsets = split_list(&self.config.topic, &commit.splits)
            .map_err(|error| service("could not commit offsets", &self.config.brokers, &error))?;
        self.commit_ticket = Some(self.side.commit(offsets));
        Ok(())
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
        let partition = &mut self.partitions[index];
        let budget = out.budget().min(RUN_RECORDS);
        let mut emitted = 0;
        while emitted < budget {
            if !out.can_emit(partition.subtask) {
                return Ok(Visit { emitted, is_blocked: true });
            }
            match partition.queue.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    let event_time_us = event_time_us(&message);
                    if message.offset() >= partition.split.next.0 as i64 {
                        let attempt = self.context.attempt;
                        emit(partition.subtask, &mut partition.split, attempt, &message, out);
                        emitted += 1;
                    }
                    if let Some(filled_us) = self.ready.take_filled_us(index) {
                        let lag_us = (filled_us - event_time_us).max(0) as u64;
                        self.context.metrics.fetch_event_time_lag_us.set(lag_us);
                    }
                    let lag_us = (wall_us - event_time_us).max(0) as u64;
                    self.context.metrics.emit_event_time_lag_us.set(lag_us);
                }
                Some(Err(error)) => {
                    self.judge(&error, Some(index))?;
                    break;
                }
                None => {
                    self.ready.clear(index);
                    break;
                }
            }
        }
        Ok(Visit { emitted, is_blocked: false })
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

fn split_queue(
    client: &Arc<Consumer>,
    topic: &str,
    split: Split,
    index: usize,
    flags: &Arc<ReadyFlags>,
) -> Result<PartitionQueue<SourceContext>> {
    let queue = client.split_partition_queue(topic, split.partition.0 as i32);
    let mut queue = queue.ok_or_else(|| {
        let what = format!("topic `{topic}`, partition {}: no queue", split.partition);
        EngineError::service(SERVICE, what)
    })?;
    let flags = Arc::clone(flags);
    queue.set_nonempty_callback(move || flags.raise(index));
    Ok(queue)
}

/// Kafka's timestamp, milliseconds of the wall clock, in microseconds; 0 when there is none.
#[inline]
fn event_time_us(message: &BorrowedMessage<'_>) -> i64 {
    message.timestamp().to_millis().map_or(0, |ms| ms.saturating_mul(1000))
}

#[inline]
fn emit(
    subtask: SubtaskIndex,
    split: &mut Split,
    attempt: AttemptId,
    message: &BorrowedMessage<'_>,
    out: &mut dyn Emission,
) {
    let offset = Offset(message.offset() as u64);
    let payload = Payload {
        provenance: Provenance {
            partition: split.partition,
            offset,
            index: 0,
            source_attempt: attempt,
        },
        event_time_us: event_time_us(message),
        key: message.key(),
        value: message.payload(),
    };
    out.emit(subtask, &payload);
    split.next = Offset(offset.0 + 1);
}

impl SourceReader for KafkaReader {
    fn poll(&mut self, now_us: TimeUs, out: &mut dyn Emission) -> Result<bool> {
        self.serve_client(now_us)?;
        if now_us >= self.next_sweep_us {
            self.next_sweep_us = now_us + SWEEP_US;
            self.ready.sweep();
            self.context.metrics.committed_lag_records.set(self.committed_lag_records());
        }
        let wall_us = WallClock::now_us();
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
        let own = self.partitions[first..].iter().take_while(|p| p.subtask == subtask);
        let mut items = Vec::new();
        for Partition { split, .. } in own {
            items.push(split.encode());
            self.commits.snapshotted(checkpoint, *split);
        }
        state.put_list(SPLITS_STATE, ListKind::EvenSplit, items);
        Ok(())
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.commits.completed(checkpoint);
        self.send_commit(self.context.clock.now_us())
    }

    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        self.commits.aborted(checkpoint);
    }

    fn is_committing(&self) -> bool {
        self.commits.is_busy()
    }

    fn pending_records(&self) -> Option<u64> {
        let waiting = |(index, partition): (usize, &Partition)| {
            self.side.high_watermark(index).saturating_sub(partition.split.next.0)
        };
        Some(self.partitions.iter().enumerate().map(waiting).sum())
    }
}

impl Drop for KafkaReader {
    /// Unassigns before the queues go, and leaves the client to the next attempt.
    fn drop(&mut self) {
        if self.client.unassign().is_err() {
            self.client.condemn();
        }
        self.partitions.clear();
    }
}
