//! The rows that no transaction holds: one buffer for each subtask.
//!
//! A buffer is one queue in three stretches, oldest first:
//!
//! ```text
//! [ sealed: tag fixed | flushed: in the writer's queue | filling: waits for more rows ]
//!   not in a snapshot   in a snapshot                    in a snapshot
//! ```
//! Invariant: `sealed <= flushed_to <= rows.len()`, and the runs of a subtask in its writer's
//! queue add up to `flushed_to`.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ids::CheckpointId;
use crate::mutants;
use crate::record::Record;
use crate::seam::TimeUs;

/// Rows of one subtask.
#[derive(Debug, Default)]
pub(super) struct SubtaskBuffer {
    rows: VecDeque<Record>,
    sealed: usize,
    flushed_to: usize,
    filling_bytes: usize,
    /// When the oldest row came that waits for company, and when it is due.
    filling_since_us: TimeUs,
    due_us: TimeUs,
    /// The last checkpoint that the subtask has snapshotted, or was restored from.
    pub(super) last_snapshot: CheckpointId,
}

impl SubtaskBuffer {
    /// An empty buffer of a subtask that was restored from `checkpoint`.
    pub(super) fn restored_from(checkpoint: CheckpointId) -> Self {
        if mutants::is_active(mutants::TAGS_FROM_ZERO) {
            return Self::default();
        }
        Self { last_snapshot: checkpoint, ..Self::default() }
    }

    /// Adds a row; `true` when it is the first one that waits for company.
    pub(super) fn push(&mut self, record: Record, now_us: TimeUs, due_us: TimeUs) -> bool {
        if self.filling_rows() == 0 {
            self.filling_since_us = now_us;
        }
        let joins_flushed = !self.rows.is_empty() && mutants::is_active(mutants::FILLING_NOT_DUE);
        let is_first = self.filling_rows() == 0 && !joins_flushed
            || mutants::is_active(mutants::DUE_BY_NEWEST);
        if is_first {
            self.due_us = due_us;
        }
        self.filling_bytes += record.frame().len();
        self.rows.push_back(record);
        is_first
    }

    /// Rows that wait for company.
    pub(super) fn filling_rows(&self) -> usize {
        self.rows.len() - self.flushed_to
    }

    /// Since when the oldest of them waits.
    pub(super) fn filling_since_us(&self) -> Option<TimeUs> {
        (self.filling_rows() > 0).then_some(self.filling_since_us)
    }

    /// Bytes of the rows that wait for company.
    pub(super) fn filling_bytes(&self) -> usize {
        self.filling_bytes
    }

    /// Whether rows wait since the moment that makes them due at `due_us`.
    pub(super) fn is_due_at(&self, due_us: TimeUs) -> bool {
        self.filling_rows() > 0 && self.due_us == due_us
    }

    /// All rows are flushed; returns how many more.
    pub(super) fn flush(&mut self) -> usize {
        let rows = self.filling_rows();
        self.flushed_to = self.rows.len();
        self.filling_bytes = 0;
        rows
    }

    /// The oldest `rows` unsealed rows get their tag.
    pub(super) fn seal(&mut self, rows: usize) -> CheckpointId {
        self.sealed += rows;
        assert!(self.sealed <= self.flushed_to, "only flushed rows are sealed");
        self.last_snapshot
    }

    /// Bytes of the oldest row's frame. It must be a flushed one.
    pub(super) fn front_bytes(&self) -> usize {
        self.rows.front().map_or(0, |record| record.frame().len())
    }

    /// Takes the oldest row, which is flushed. A sealed one gives up its seal: the transaction
    /// takes over.
    pub(super) fn pop(&mut self) -> Record {
        assert!(self.flushed_to > 0, "only flushed rows go into a transaction");
        self.flushed_to -= 1;
        self.sealed = self.sealed.saturating_sub(1);
        self.rows.pop_front().expect("flushed rows are rows")
    }

    /// Drops the rows that wait for company; returns how many, and their bytes.
    #[cfg(feature = "mutants")]
    pub(super) fn forget(&mut self) -> (u64, usize) {
        let rows = self.rows.split_off(self.flushed_to);
        (rows.len() as u64, std::mem::take(&mut self.filling_bytes))
    }

    /// The rows that belong into a snapshot: cheap references to their frames.
    pub(super) fn unsealed(&self) -> Vec<Bytes> {
        self.rows.iter().skip(self.sealed).map(|record| record.frame().clone()).collect()
    }
}

/// When buffers are due: a queue, because every row waits equally long.
#[derive(Debug, Default)]
pub(super) struct DueTimes(VecDeque<(TimeUs, usize)>);

impl DueTimes {
    /// The buffer at `index` is due at `due_us`.
    pub(super) fn push(&mut self, due_us: TimeUs, index: usize) {
        assert!(self.0.back().is_none_or(|(last, _)| *last <= due_us), "time goes on");
        self.0.push_back((due_us, index));
    }

    /// The next buffer that was due by `now_us`.
    pub(super) fn pop(&mut self, now_us: TimeUs) -> Option<(TimeUs, usize)> {
        if self.0.front()?.0 > now_us {
            return None;
        }
        self.0.pop_front()
    }
}
