//! The sink subtasks of one worker: buffers above, writers below.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SERVICE;
use super::backend::{SqlBackend, WriteTerms};
use super::buffers::{DueTimes, SubtaskBuffer};
use super::config::{BufferDesign, SqlSinkConfig};
use super::writer::{Surroundings, Writer};
use crate::api::{GroupContext, GroupState, ListKind, Sink, SinkWaits, StateSnapshot};
use crate::error::{EngineError, Result};
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::mutants;
use crate::record::Record;
use crate::seam::TimeUs;

/// The list state of buffered rows.
pub(super) const BUFFER_STATE: &str = "buffer";

pub(super) struct SqlSink {
    context: GroupContext,
    config: SqlSinkConfig,
    place: String,
    /// One for each subtask of the group.
    buffers: Vec<SubtaskBuffer>,
    due_times: DueTimes,
    writers: Vec<Writer>,
    /// For each checkpoint that is not settled yet: rows that each writer must have confirmed.
    marks: BTreeMap<CheckpointId, Vec<u64>>,
    held_rows: u64,
    held_bytes: usize,
    /// Rows that are flushed and not confirmed.
    flushed_rows: u64,
    /// What [`mutants::LIST_APPENDED`] never forgets, for each subtask.
    #[cfg(feature = "mutants")]
    appended: BTreeMap<SubtaskIndex, Vec<bytes::Bytes>>,
}

impl SqlSink {
    pub(super) fn open(
        context: GroupContext,
        config: &SqlSinkConfig,
        backend: &dyn SqlBackend,
        terms: &Arc<WriteTerms>,
    ) -> Result<Self> {
        let mut config = config.clone();
        if config.connections_per_worker == 0 {
            config.connections_per_worker = backend.default_connections();
        }
        if config.transaction_rows == 0 {
            config.transaction_rows = backend.default_transaction_rows();
        }
        let connections = config.connections_per_worker;
        // The sign of the database's integers leaves 15 bits for the writer.
        let first = u32::from(context.worker.0) * u32::from(connections);
        if first + u32::from(connections) > 1 << 15 {
            return Err(EngineError::Config(
                "sql sink: more than 32768 connections; lower connections_per_worker".to_owned(),
            ));
        }
        let first = if mutants::is_active(mutants::WRITERS_COLLIDE) { 0 } else { first };
        let writer = |n| Writer::new((first + n) as u16, backend.connect(Arc::clone(terms)));
        Ok(Self {
            place: backend.describe(),
            buffers: context
                .each_subtask()
                .map(|_| SubtaskBuffer::restored_from(context.restored))
                .collect(),
            due_times: DueTimes::default(),
            writers: (0..u32::from(connections)).map(writer).collect(),
            marks: BTreeMap::new(),
            held_rows: 0,
            held_bytes: 0,
            flushed_rows: 0,
            #[cfg(feature = "mutants")]
            appended: BTreeMap::new(),
            config,
            context,
        })
    }

    /// Refills the buffers from a checkpoint. The rows are due at once: they have waited enough.
    pub(super) fn restore(&mut self, state: &GroupState) -> Result<()> {
        if self.seals_at_flush() && mutants::is_active(mutants::OTHER_DESIGN_DROPPED) {
            return Ok(());
        }
        let now_us = self.context.clock.now_us();
        for (subtask, items) in state.lists(BUFFER_STATE) {
            for item in items {
                let bytes = item.len();
                let record = Record::from_state(item.clone()).ok_or_else(|| {
                    EngineError::Input(format!(
                        "sink subtask {subtask}: an item of {bytes} bytes in list state \
                         `{BUFFER_STATE}` is not a record; restore a checkpoint of this job"
                    ))
                })?;
                self.push(self.context.local(subtask), record, now_us, 0);
            }
        }
        Ok(())
    }

    fn push(&mut self, local: usize, record: Record, now_us: TimeUs, wait_us: TimeUs) {
        let due_us = now_us + wait_us;
        self.held_rows += 1;
        self.held_bytes += record.frame().len();
        if self.buffers[local].push(record, now_us, due_us) {
            self.due_times.push(due_us, local);
        }
    }

    /// Flushes the buffer at `local`; `seal` fixes the rows' tags.
    fn flush(&mut self, local: usize, seal: bool) {
        let buffer = &mut self.buffers[local];
        let rows = buffer.flush();
        if rows > 0 {
            let tag = seal.then(|| buffer.seal(rows));
            let writers = self.writers.len();
            let subtask = usize::from(self.context.subtasks.start) + local;
            let by_turns = mutants::is_active(mutants::FLUSH_BY_TURNS);
            let turn = if by_turns { self.flushed_rows as usize } else { subtask };
            self.writers[turn % writers].enqueue(local, rows, tag);
            self.flushed_rows += rows as u64;
        }
    }

    fn flush_all(&mut self, seal: bool) {
        for local in 0..self.buffers.len() {
            self.flush(local, seal);
        }
    }

    fn seals_at_flush(&self) -> bool {
        self.config.design == BufferDesign::FlushOnBarrier
    }

    fn flush_due(&mut self, now_us: TimeUs) {
        while let Some((due_us, local)) = self.due_times.pop(now_us) {
            if self.buffers[local].is_due_at(due_us) {
                self.flush(local, self.seals_at_flush());
            }
        }
        // Too much memory in buffers that are not full: they cannot wait for company.
        if self.held_bytes >= self.config.max_pending_bytes {
            self.flush_all(self.seals_at_flush());
        }
    }

    fn drive(&mut self, now_us: TimeUs) -> Result<bool> {
        let Self { context, config, place, buffers, writers, .. } = self;
        let mut around = Surroundings { context, config, buffers, place, now_us };
        let mut has_moved = false;
        let (mut rows, mut bytes) = (0, 0);
        for writer in writers {
            let (confirmed, moved) = writer.drive(&mut around)?;
            rows += confirmed.rows;
            bytes += confirmed.bytes;
            has_moved |= moved;
        }
        self.held_rows -= rows;
        self.flushed_rows -= rows;
        if !mutants::is_active(mutants::BYTES_STAY_HELD) {
            self.held_bytes -= bytes;
        }
        self.context.metrics.sink_confirmed_records.add(rows);
        self.context.metrics.sink_pending_records.set(self.held_rows);
        Ok(has_moved)
    }
}

#[cfg(feature = "mutants")]
impl SqlSink {
    /// The state items as some mutants write them.
    fn mutated(&mut self, subtask: SubtaskIndex, items: Vec<bytes::Bytes>) -> Vec<bytes::Bytes> {
        if mutants::is_active(mutants::BUFFER_IGNORED) {
            return Vec::new();
        }
        if mutants::is_active(mutants::LIST_APPENDED) {
            let all = self.appended.entry(subtask).or_default();
            all.extend(items);
            return all.clone();
        }
        items
    }
}

impl Sink for SqlSink {
    fn is_ready(&self) -> bool {
        let has_rows = self.flushed_rows < self.config.max_pending_rows as u64;
        let has_bytes = self.held_bytes < self.config.max_pending_bytes;
        has_rows && has_bytes
            || mutants::is_active(mutants::ROOM_BY_EITHER) && (has_rows || has_bytes)
    }

    fn write(&mut self, subtask: SubtaskIndex, record: Record, now_us: TimeUs) -> Result<()> {
        let local = self.context.local(subtask);
        self.push(local, record, now_us, self.config.batch_interval_ms * 1000);
        let buffer = &self.buffers[local];
        if buffer.filling_rows() >= self.config.batch_rows
            || buffer.filling_bytes() >= self.config.transaction_bytes
        {
            self.flush(local, self.seals_at_flush());
        }
        Ok(())
    }

    fn poll(&mut self, now_us: TimeUs) -> Result<bool> {
        self.flush_due(now_us);
        self.drive(now_us)
    }

    fn prepare_barrier(
        &mut self,
        _checkpoint: CheckpointId,
        drain: bool,
        now_us: TimeUs,
    ) -> Result<()> {
        if drain || self.config.design == BufferDesign::FlushOnBarrier {
            // What was flushed earlier and is not sealed keeps its place before the rest.
            for writer in &mut self.writers {
                writer.seal_all(&mut self.buffers);
            }
            self.flush_all(true);
        }
        self.drive(now_us).map(drop)
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        let buffer = &mut self.buffers[self.context.local(subtask)];
        buffer.last_snapshot = checkpoint;
        let items = buffer.unsealed();
        #[cfg(feature = "mutants")]
        let items = self.mutated(subtask, items);
        state.put_list(BUFFER_STATE, ListKind::EvenSplit, items);
        let sealed = self.writers.iter().map(Writer::sealed_rows).collect();
        self.marks.insert(checkpoint, sealed);
        Ok(())
    }

    fn is_settled(&mut self, checkpoint: CheckpointId) -> Result<bool> {
        let Some(marks) = self.marks.get(&checkpoint) else { return Ok(true) };
        if mutants::is_active(mutants::ACK_BEFORE_COMMIT) {
            return Ok(true);
        }
        let mut writers = self.writers.iter().zip(marks);
        let is_settled = writers.all(|(writer, mark)| writer.confirmed_rows() >= *mark);
        if is_settled {
            // Marks only grow: older checkpoints are settled too.
            self.marks = self.marks.split_off(&checkpoint.next());
        }
        Ok(is_settled)
    }

    fn abort(&mut self, checkpoint: CheckpointId) {
        self.marks.remove(&checkpoint);
        if mutants::is_active(mutants::MARKS_CLEARED) {
            self.marks.clear();
        }
    }

    #[cfg(feature = "mutants")]
    fn forget(&mut self) {
        for buffer in &mut self.buffers {
            let (rows, bytes) = buffer.forget();
            self.held_rows -= rows;
            self.held_bytes -= bytes;
        }
    }

    fn pending_records(&self) -> u64 {
        self.held_rows
    }

    fn waits(&self) -> SinkWaits {
        SinkWaits {
            filling_since_us: self.buffers.iter().filter_map(SubtaskBuffer::filling_since_us).min(),
            retry_at_us: self.writers.iter().filter_map(Writer::retry_at_us).max(),
        }
    }
}

/// The fence was not taken in time.
pub fn fence_timed_out(place: &str, what: &str) -> EngineError {
    EngineError::service(
        SERVICE,
        format!(
            "could not take the fence at {place}: {what}; check that the database is up and that \
             no earlier attempt of the job holds its transaction open"
        ),
    )
}
