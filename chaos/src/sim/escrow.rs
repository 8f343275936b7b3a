//! A transactional sink over a simulated database: effects become visible when their checkpoint
//! completes.
//!
//! The contract of two-phase commit: rows gather in an open transaction; before the barrier it is
//! *prepared*, from then on it survives the process; when the checkpoint is complete it is
//! committed; an aborted checkpoint's transaction waits for the next one's. A new attempt first
//! settles what earlier ones have prepared: up to the restored checkpoint it is committed (once
//! more, if it was: that changes nothing), beyond it is aborted; then it takes its fence. A
//! prepared transaction that nobody commits in time is gone, and whoever needed it must say so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory, StateSnapshot};
use stormproof_engine::connectors::sql::{Batch, BatchNumber, BatchTry, Effect, Upsert, fenced};
use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::ids::{AttemptId, CheckpointId, SubtaskIndex, WorkerIndex};
use stormproof_engine::mutants;
use stormproof_engine::operators::CountedValue;
use stormproof_engine::record::Record;
use stormproof_engine::seam::{Step, Ticket, TimeUs};

use super::core::Core;
use super::database::audit_rows;
use super::evidence::{AuditRow, FenceRow, ResultRow};
use super::weather::{Disturbance, Weather};

const SERVICE: &str = "simulated database";

/// Which transaction: a worker's of an attempt, and the checkpoint it was prepared for.
type TransactionId = (AttemptId, CheckpointId, WorkerIndex);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Prepared { at_us: TimeUs },
    Committed,
    Aborted,
}

struct Transaction {
    batch: Batch,
    status: Status,
}

#[derive(Default)]
struct Tables {
    transactions: BTreeMap<TransactionId, Transaction>,
    audit: Vec<AuditRow>,
    fences: BTreeMap<AttemptId, FenceRow>,
    results: BTreeMap<[u8; 16], ResultRow>,
    owner: AttemptId,
    next_seq: u64,
    batches: u64,
}

/// The database.
pub(super) struct Escrow {
    core: Arc<Core>,
    weather: Arc<Weather>,
    /// A prepared transaction lives so long.
    timeout_us: TimeUs,
    tables: Mutex<Tables>,
}

impl Escrow {
    pub(super) fn new(core: Arc<Core>, weather: Arc<Weather>, timeout_us: TimeUs) -> Arc<Self> {
        Arc::new(Self { core, weather, timeout_us, tables: Mutex::default() })
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, attempt: AttemptId) -> Result<MutexGuard<'_, Tables>> {
        if self.weather.strikes(Disturbance::DatabaseRefuses) {
            return Err(EngineError::service(SERVICE, "connection refused"));
        }
        let tables = self.tables();
        if tables.owner > attempt && !mutants::is_active(mutants::FENCED_ONLY_LOGGED) {
            return Err(fenced(attempt, tables.owner));
        }
        Ok(tables)
    }

    fn prepare(&self, id: TransactionId, effects: Vec<Effect>) -> Result<()> {
        let mut tables = self.reach(id.0)?;
        tables.batches += 1;
        let number = BatchNumber::new(id.2.0, tables.batches);
        let batch = Batch { attempt: id.0, number, effects };
        let status = Status::Prepared { at_us: self.core.now() };
        self.core.trace(|| format!("escrow: {id:?} prepared, {} rows", batch.effects.len()));
        tables.transactions.insert(id, Transaction { batch, status });
        Ok(())
    }

    /// Commits what a worker has prepared up to `checkpoint`.
    fn commit(
        &self,
        attempt: AttemptId,
        worker: WorkerIndex,
        checkpoint: CheckpointId,
    ) -> Result<()> {
        let in_doubt = self.weather.strikes(Disturbance::DatabaseCommitInDoubt);
        if in_doubt && self.core.chance(500) {
            return Err(EngineError::service(SERVICE, "the commit was lost"));
        }
        let mut tables = self.reach(attempt)?;
        let own = |id: &TransactionId| id.0 == attempt && id.2 == worker && id.1 <= checkpoint;
        let ids: Vec<TransactionId> = tables.transactions.keys().copied().filter(own).collect();
        for id in ids {
            self.make_visible(&mut tables, id, false)?;
        }
        drop(tables);
        if in_doubt {
            return Err(EngineError::service(SERVICE, "no answer to the commit came"));
        }
        Ok(())
    }

    /// Settles what earlier attempts have prepared, then takes the fence.
    fn begin_attempt(&self, attempt: AttemptId, restored: CheckpointId) -> Result<()> {
        let mut tables = self.reach(attempt)?;
        tables.owner = attempt;
        let ids: Vec<TransactionId> = tables.transactions.keys().copied().collect();
        for id in ids {
            let is_prepared = matches!(tables.transactions[&id].status, Status::Prepared { .. });
            if id.1 <= restored {
                self.make_visible(&mut tables, id, id.1 == restored)?;
            } else if is_prepared {
                self.core.trace(|| format!("escrow: {id:?} aborted"));
                tables.transactions.entry(id).and_modify(|t| t.status = Status::Aborted);
            }
        }
        let after_seq = tables.next_seq;
        tables.fences.entry(attempt).or_insert(FenceRow { attempt, restored, after_seq });
        self.core.trace(|| format!("escrow: {attempt} takes the fence after {after_seq}"));
        Ok(())
    }

    /// Makes a prepared transaction visible. `is_repeated`: a restore commits it once more.
    fn make_visible(
        &self,
        tables: &mut Tables,
        id: TransactionId,
        is_repeated: bool,
    ) -> Result<()> {
        let Tables { transactions, audit, results, next_seq, .. } = tables;
        let transaction = transactions.get_mut(&id).expect("it was just listed");
        let now = self.core.now();
        match transaction.status {
            Status::Committed
                if is_repeated && mutants::is_active(mutants::COMMIT_NOT_IDEMPOTENT) => {}
            Status::Committed | Status::Aborted => return Ok(()),
            Status::Prepared { at_us } if now > at_us + self.timeout_us => {
                if mutants::is_active(mutants::FENCED_ONLY_LOGGED) {
                    self.core.trace(|| format!("escrow: {id:?} has expired (only logged)"));
                    return Ok(());
                }
                return Err(EngineError::Input(format!(
                    "{SERVICE}: the transaction of checkpoint {} has expired after {} us: its {} \
                     rows are gone; raise the transaction timeout above the longest downtime",
                    id.1,
                    self.timeout_us,
                    transaction.batch.effects.len()
                )));
            }
            Status::Prepared { .. } => {}
        }
        transaction.status = Status::Committed;
        self.core.trace(|| format!("escrow: {id:?} committed"));
        let batch = &transaction.batch;
        audit.extend(audit_rows(batch, BatchTry { number: 0, sent_us: now }, next_seq));
        for row in batch.upserts(&CountedValue, true).iter().map(ResultRow::of) {
            if results.get(&row.key_hash).is_none_or(|held| row.version >= held.version) {
                results.insert(row.key_hash, row);
            }
        }
        Ok(())
    }

    /// The tables as they are.
    pub(super) fn evidence(&self) -> (Vec<AuditRow>, Vec<FenceRow>, Vec<ResultRow>) {
        let tables = self.tables();
        (
            tables.audit.clone(),
            tables.fences.values().copied().collect(),
            tables.results.values().cloned().collect(),
        )
    }
}

/// Makes transactional sinks.
pub(super) struct EscrowFactory(pub(super) Arc<Escrow>);

impl SinkFactory for EscrowFactory {
    fn begin_attempt(&self, attempt: AttemptId, restored: CheckpointId) -> Ticket<Result<()>> {
        Ticket::ready(self.0.begin_attempt(attempt, restored))
    }

    fn open(&self, context: GroupContext, _state: GroupState) -> Result<Box<dyn Sink>> {
        let tags = context.each_subtask().map(|_| context.restored).collect();
        Ok(Box::new(EscrowSink { escrow: Arc::clone(&self.0), open: Vec::new(), tags, context }))
    }
}

struct EscrowSink {
    context: GroupContext,
    escrow: Arc<Escrow>,
    /// The open transaction.
    open: Vec<Effect>,
    /// For each subtask, the last checkpoint it has snapshotted.
    tags: Vec<CheckpointId>,
}

impl EscrowSink {
    fn hit(&self, step: Step, checkpoint: CheckpointId) -> Result<()> {
        let mut subtasks = self.context.each_subtask();
        let hit = |s| self.context.probe.hit(step, &self.context.at(s, checkpoint)).map(drop);
        subtasks.try_for_each(hit)
    }
}

impl Sink for EscrowSink {
    fn is_ready(&self) -> bool {
        true
    }

    fn write(&mut self, subtask: SubtaskIndex, record: Record, _now_us: TimeUs) -> Result<()> {
        let checkpoint = self.tags[self.context.local(subtask)];
        self.open.push(Effect { record, subtask, checkpoint });
        Ok(())
    }

    fn poll(&mut self, _now_us: TimeUs) -> Result<bool> {
        Ok(false)
    }

    fn prepare_barrier(
        &mut self,
        checkpoint: CheckpointId,
        _drain: bool,
        _now_us: TimeUs,
    ) -> Result<()> {
        if checkpoint == CheckpointId::NONE {
            // The input has ended: the last checkpoint is to come.
            return Ok(());
        }
        self.hit(Step::TransactionPreCommit, checkpoint)?;
        let id = (self.context.attempt, checkpoint, self.context.worker);
        self.escrow.prepare(id, std::mem::take(&mut self.open))
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        _state: &mut StateSnapshot,
    ) -> Result<()> {
        let local = self.context.local(subtask);
        self.tags[local] = checkpoint;
        Ok(())
    }

    fn is_settled(&mut self, _checkpoint: CheckpointId) -> Result<bool> {
        Ok(true)
    }

    fn commit(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.hit(Step::TransactionCommitSent, checkpoint)?;
        self.escrow.commit(self.context.attempt, self.context.worker, checkpoint)?;
        self.hit(Step::TransactionCommitConfirmed, checkpoint)
    }

    fn pending_records(&self) -> u64 {
        // What is prepared survives; what is open is made again from the checkpoint.
        0
    }
}

impl ResultRow {
    /// A row from what the sink upserts.
    pub(super) fn of(upsert: &Upsert<'_>) -> Self {
        Self {
            key_hash: upsert.key_hash,
            key: Bytes::copy_from_slice(upsert.key),
            value: upsert.value.map(Bytes::copy_from_slice),
            version: upsert.version,
            record_count: upsert.record_count,
        }
    }
}
