//! The third source of evidence, the database: what the tables hold, whoever keeps them.
//!
//! A source streams; it never holds a table in memory, except the one made for tests.
//! It reports rows as they are and judges nothing.

use std::collections::BTreeSet;
use std::fmt;

use super::ids::{AttemptId, BatchId, CheckpointId};
use crate::workload::ledger::{Offset, PartitionId};

/// One effect: one row of the audit table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The order in which the database gave out rows.
    pub seq: u64,
    /// The partition of the input record.
    pub partition: PartitionId,
    /// The offset of the input record.
    pub offset: Offset,
    /// The n-th record that the input record became.
    pub index: u32,
    /// The attempt whose source read the input record.
    pub source_attempt: AttemptId,
    /// The attempt whose sink wrote the row.
    pub sink_attempt: AttemptId,
    /// The sink subtask.
    pub subtask: u32,
    /// The last checkpoint the sink subtask had snapshotted when it handed the row over.
    pub tag: CheckpointId,
    /// The transaction among those of the sink attempt.
    pub batch: u64,
    /// Which try of the batch wrote this row.
    pub batch_try: u32,
    /// When the transaction was begun, in microseconds of `CLOCK_MONOTONIC`.
    pub sent_us: i64,
}

impl Effect {
    /// The transaction this row belongs to, whichever try of it.
    pub fn batch_id(&self) -> BatchId {
        BatchId { attempt: self.sink_attempt, number: self.batch }
    }
}

/// One row of the fence table: an execution attempt took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The attempt.
    pub attempt: AttemptId,
    /// The checkpoint it restored.
    pub restored: CheckpointId,
    /// The highest `seq` that any earlier attempt may have.
    pub after_seq: u64,
}

/// One row of the results table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultRow<'a> {
    /// xxh3-128 of the key, as the table holds it.
    pub key_hash: u128,
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` is a null.
    pub value: Option<&'a [u8]>,
    /// `offset * 65536 + partition` of the record that wrote the row last.
    pub version: u64,
    /// How many records of the key the job had counted.
    pub record_count: u64,
}

/// Why evidence could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {reason}")]
pub struct EvidenceError {
    /// The table, file or folder.
    pub what: String,
    /// What happened, and what would help.
    pub reason: String,
}

impl EvidenceError {
    /// An error about `what`.
    pub fn new(what: impl Into<String>, reason: &(impl fmt::Display + ?Sized)) -> Self {
        Self { what: what.into(), reason: reason.to_string() }
    }
}

/// The tables that the sink left behind.
pub trait AuditSource {
    /// Streams the audit table in the order of `seq`. Each call reads the table anew.
    fn effects(&mut self, visit: &mut dyn FnMut(&Effect)) -> Result<(), EvidenceError>;

    /// The batches of which a second or later try left rows.
    fn retried_batches(&mut self) -> Result<BTreeSet<BatchId>, EvidenceError>;

    /// The fence table in the order of attempts.
    fn fences(&mut self) -> Result<Vec<Fence>, EvidenceError>;

    /// Streams the results table in any order.
    fn results(&mut self, visit: &mut dyn FnMut(&ResultRow<'_>)) -> Result<(), EvidenceError>;
}

/// A result row that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResult {
    /// See [`ResultRow::key_hash`].
    pub key_hash: u128,
    /// See [`ResultRow::key`].
    pub key: Vec<u8>,
    /// See [`ResultRow::value`].
    pub value: Option<Vec<u8>>,
    /// See [`ResultRow::version`].
    pub version: u64,
    /// See [`ResultRow::record_count`].
    pub record_count: u64,
}

impl StoredResult {
    /// The row as sources hand it out.
    pub fn borrow(&self) -> ResultRow<'_> {
        ResultRow {
            key_hash: self.key_hash,
            key: &self.key,
            value: self.value.as_deref(),
            version: self.version,
            record_count: self.record_count,
        }
    }
}

/// Tables held in memory: what simulations and tests hand to the oracle.
#[derive(Debug, Clone, Default)]
pub struct MemoryAudit {
    /// The audit table in the order of `seq`.
    pub effects: Vec<Effect>,
    /// The fence table.
    pub fences: Vec<Fence>,
    /// The results table.
    pub results: Vec<StoredResult>,
}

impl AuditSource for MemoryAudit {
    fn effects(&mut self, visit: &mut dyn FnMut(&Effect)) -> Result<(), EvidenceError> {
        self.effects.iter().for_each(visit);
        Ok(())
    }

    fn retried_batches(&mut self) -> Result<BTreeSet<BatchId>, EvidenceError> {
        let retried = self.effects.iter().filter(|effect| effect.batch_try > 0);
        Ok(retried.map(Effect::batch_id).collect())
    }

    fn fences(&mut self) -> Result<Vec<Fence>, EvidenceError> {
        Ok(self.fences.clone())
    }

    fn results(&mut self, visit: &mut dyn FnMut(&ResultRow<'_>)) -> Result<(), EvidenceError> {
        self.results.iter().for_each(|row| visit(&row.borrow()));
        Ok(())
    }
}
