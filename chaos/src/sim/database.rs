//! The simulated database: transactions over four tables, under virtual time.
//!
//! The contract of the real ones, as far as the sink relies on it: a batch is one transaction that
//! reads the owner under a shared lock, gets its `seq` numbers when it writes (not when it commits),
//! locks the rows that it upserts until its end, and commits as a whole; the fence locks the owner
//! exclusively, so it waits for every transaction of older attempts; a look for a batch waits for
//! earlier tries that are not over; a commit whose answer is lost was done, was not, or is done
//! later. Steps that the client drives do not happen while its process stands still; the server
//! ends sessions that are quiet for too long.

mod answers;
mod looks;
mod patience;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use stormproof_engine::connectors::sql::{
    Batch, BatchTry, ResolveOutcome, SqlFailure, WriteOutcome, WriteTerms, fenced,
};
use stormproof_engine::error::Result;
use stormproof_engine::ids::{AttemptId, CheckpointId, Offset, PartitionId};
use stormproof_engine::mutants;
use stormproof_engine::seam::{TicketSender, TimeUs};

use self::patience::Patience;
use super::core::{Actor, Core, Event, Span};
use super::evidence::{AuditRow, FenceRow, ResultRow};
use super::plan::Retries;
use super::weather::{Disturbance, SLOWER, Weather};

/// A commit in doubt that is done later is done after so many times a commit's time.
pub(super) const LATER: u64 = 10;

/// A call under way, by its number.
pub(super) type CallId = u64;

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum DatabaseEvent {
    /// The client drives it on, if it is still in this phase.
    Go(CallId, Phase),
    /// The server commits.
    Commit(CallId),
    /// The client has waited long enough for this phase.
    ClientTimeout(CallId, Phase),
    /// The server has: a lock was not free in time, or the session was quiet.
    ServerTimeout(CallId, Phase),
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is on its way to the server.
    Begin,
    /// It waits for the owner's row.
    WaitOwner,
    /// The owner's row is locked; rows are on their way.
    Fill,
    /// It waits for a row that another transaction has locked.
    WaitRow,
    /// Everything is written; the commit is on its way.
    Commit,
    /// The server is working on the commit.
    Committing,
    /// It has come to its end at the server.
    Ended,
}

pub(super) enum Work {
    Write {
        terms: Arc<WriteTerms>,
        batch: Arc<Batch>,
        batch_try: BatchTry,
        answer: TicketSender<WriteOutcome>,
    },
    Resolve {
        batch: Arc<Batch>,
        answer: TicketSender<ResolveOutcome>,
    },
    Fence {
        attempt: AttemptId,
        restored: CheckpointId,
        deadline_us: TimeUs,
        answer: TicketSender<Result<()>>,
    },
}

struct Call {
    owner: Actor,
    connection: u64,
    phase: Phase,
    /// What the answer of a call that is over is; it is on its way.
    work: Option<Work>,
    /// Rows that were written and not committed.
    rows: Vec<AuditRow>,
    upserts: Vec<ResultRow>,
    batch: Option<(AttemptId, u64)>,
    versions_guarded: bool,
    timeout_us: TimeUs,
}

/// What a plan says of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseTraits {
    /// One statement, there and back.
    pub latency: Span,
    /// A lock that takes longer is given up.
    pub lock_timeout_us: u64,
    /// A session in a transaction that is quiet for so long is ended.
    pub idle_timeout_us: u64,
}

#[derive(Default)]
struct Tables {
    audit: Vec<AuditRow>,
    /// When each row of `audit` was committed.
    committed_us: Vec<TimeUs>,
    patience: Patience,
    /// Records of which there is a row.
    visible: BTreeSet<(PartitionId, Offset)>,
    batches: BTreeSet<(AttemptId, u64)>,
    results: BTreeMap<[u8; 16], ResultRow>,
    fence: BTreeMap<AttemptId, FenceRow>,
    owner: AttemptId,
    next_seq: u64,
    calls: BTreeMap<CallId, Call>,
    serial: u64,
    /// Transactions that hold the owner's row, shared.
    sharing: BTreeSet<CallId>,
    /// The fence that holds it exclusively.
    exclusive: Option<CallId>,
    owner_queue: VecDeque<CallId>,
    row_locks: BTreeMap<[u8; 16], CallId>,
    row_queue: Vec<CallId>,
    resolve_queue: Vec<CallId>,
}

/// The database.
pub(super) struct Database {
    core: Arc<Core>,
    weather: Arc<Weather>,
    traits: DatabaseTraits,
    tables: Mutex<Tables>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    /// `retries` is what the sink may.
    pub(super) fn new(
        core: Arc<Core>,
        weather: Arc<Weather>,
        traits: DatabaseTraits,
        retries: Retries,
    ) -> Arc<Self> {
        let tables = Tables { patience: Patience::new(retries), ..Tables::default() };
        Arc::new(Self { core, weather, traits, tables: Mutex::new(tables) })
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latency(&self) -> u64 {
        let slow = if self.weather.strikes(Disturbance::DatabaseSlow) { SLOWER } else { 1 };
        self.core.draw(self.traits.latency) * slow
    }

    /// A client begins a call.
    pub(super) fn call(&self, connection: u64, work: Work, timeout_us: TimeUs) {
        let batch = match &work {
            Work::Write { batch, .. } | Work::Resolve { batch, .. } => {
                Some((batch.attempt, batch.number.0))
            }
            Work::Fence { .. } => None,
        };
        let mut tables = self.tables();
        if let Some(batch) = batch {
            let patience = &mut tables.patience;
            patience.on_call(batch, self.core.now());
            if let Work::Write { batch_try, .. } = &work {
                patience.on_write(batch, batch_try.number);
            }
        }
        let call = Call {
            owner: self.core.current(),
            connection,
            phase: Phase::Begin,
            work: Some(work),
            rows: Vec::new(),
            upserts: Vec::new(),
            batch,
            versions_guarded: true,
            timeout_us,
        };
        tables.serial += 1;
        let id = tables.serial;
        tables.calls.insert(id, call);
        drop(tables);
        self.drive(id, Phase::Begin, timeout_us);
    }

    /// Lets the client drive a call on after a while, and give up after another.
    fn drive(&self, id: CallId, phase: Phase, timeout_us: TimeUs) {
        let (now, latency) = (self.core.now(), self.latency());
        self.core.at(now + latency, Event::Database(DatabaseEvent::Go(id, phase)));
        if latency >= timeout_us {
            let event = DatabaseEvent::ClientTimeout(id, phase);
            self.core.at(now + timeout_us, Event::Database(event));
        }
    }

    pub(super) fn on_event(&self, event: DatabaseEvent) {
        match event {
            DatabaseEvent::Go(id, phase) => self.go(id, phase),
            DatabaseEvent::Commit(id) => self.commit(id),
            DatabaseEvent::ClientTimeout(id, phase) => self.client_timeout(id, phase),
            DatabaseEvent::ServerTimeout(id, phase) => {
                self.fail_at_server(id, phase, "the server ended the transaction (timeout)");
            }
        }
    }

    /// Who has begun a call, if it is in this phase.
    fn owner_in(&self, id: CallId, phase: Phase) -> Option<Actor> {
        self.tables().calls.get(&id).filter(|call| call.phase == phase).map(|call| call.owner)
    }

    fn is_in(&self, id: CallId, phase: Phase) -> bool {
        self.owner_in(id, phase).is_some()
    }

    /// The client's next statement reaches the server.
    fn go(&self, id: CallId, phase: Phase) {
        let Some(owner) = self.owner_in(id, phase) else { return };
        if let Some(until_us) = self.core.paused_until(owner.process()) {
            let idle_us = self.core.now() + self.traits.idle_timeout_us;
            if phase != Phase::Begin && idle_us < until_us {
                let event = DatabaseEvent::ServerTimeout(id, phase);
                self.core.at(idle_us, Event::Database(event));
            }
            let later = until_us + self.latency();
            return self.core.at(later, Event::Database(DatabaseEvent::Go(id, phase)));
        }
        match phase {
            Phase::Begin => self.begin(id),
            Phase::Fill => self.fill(id),
            Phase::Commit => self.send_commit(id),
            Phase::WaitOwner | Phase::WaitRow | Phase::Committing | Phase::Ended => {}
        }
    }

    fn begin(&self, id: CallId) {
        if self.weather.strikes(Disturbance::DatabaseRefuses) {
            return self.give_back(id, "connection refused");
        }
        let mut tables = self.tables();
        let call = tables.calls.get_mut(&id).expect("it is in this phase");
        if let Some(Work::Resolve { .. }) = call.work {
            drop(tables);
            return self.resolve(id);
        }
        let is_fence = matches!(call.work, Some(Work::Fence { .. }));
        call.phase = Phase::WaitOwner;
        tables.owner_queue.push_back(id);
        drop(tables);
        self.grant();
        let patience_us = self.traits.lock_timeout_us;
        if self.is_in(id, Phase::WaitOwner) && (!is_fence || patience_us > 0) {
            let event = DatabaseEvent::ServerTimeout(id, Phase::WaitOwner);
            self.core.at(self.core.now() + patience_us, Event::Database(event));
        }
    }

    /// Hands the owner's row to whoever may have it, first come first served.
    fn grant(&self) {
        loop {
            let mut tables = self.tables();
            let Some(id) = tables.owner_queue.front().copied() else { return };
            let call = &tables.calls[&id];
            let is_fence = matches!(call.work, Some(Work::Fence { .. }));
            let is_free = tables.exclusive.is_none() && (!is_fence || tables.sharing.is_empty());
            if !is_free {
                return;
            }
            tables.owner_queue.pop_front();
            if is_fence {
                tables.exclusive = Some(id);
            } else {
                tables.sharing.insert(id);
            }
            drop(tables);
            self.owner_read(id);
        }
    }

    /// The owner's row is locked: a fenced attempt gives up here.
    fn owner_read(&self, id: CallId) {
        let mut tables = self.tables();
        let owner = tables.owner;
        let call = tables.calls.get_mut(&id).expect("it was granted");
        let attempt = match call.work.as_ref().expect("it is not over") {
            Work::Write { terms, .. } => terms.attempt,
            Work::Fence { attempt, .. } => *attempt,
            Work::Resolve { .. } => unreachable!("a look does not lock the owner"),
        };
        let is_write = matches!(call.work, Some(Work::Write { .. }));
        let has_fence = !(is_write && mutants::is_active(mutants::NO_FENCE));
        if owner > attempt && has_fence {
            drop(tables);
            let error = fenced(attempt, owner);
            self.end(id);
            return self.answer_failed(id, SqlFailure::Permanent(error));
        }
        call.phase = Phase::Fill;
        let timeout_us = call.timeout_us;
        drop(tables);
        self.drive(id, Phase::Fill, timeout_us);
    }

    /// The rows reach the server.
    fn fill(&self, id: CallId) {
        if self.weather.strikes(Disturbance::DatabaseConnectionLost) {
            return self.fail_at_server(id, Phase::Fill, "the connection was lost");
        }
        if self.weather.strikes(Disturbance::DatabaseDeadlock) {
            return self.fail_at_server(id, Phase::Fill, "deadlock found; try again");
        }
        let mut tables = self.tables();
        let Tables { calls, row_locks, row_queue, next_seq, .. } = &mut *tables;
        let call = calls.get_mut(&id).expect("it is in this phase");
        if let Some(Work::Write { terms, batch, batch_try, .. }) = &call.work {
            let upserts = batch.upserts(terms.mapper.as_ref(), terms.versions_guarded);
            let is_blocked = upserts
                .iter()
                .any(|u| row_locks.get(&u.key_hash).is_some_and(|holder| *holder != id));
            if call.rows.is_empty() {
                call.rows = audit_rows(batch, *batch_try, next_seq);
            }
            if is_blocked {
                call.phase = Phase::WaitRow;
                row_queue.push(id);
                let at_us = self.core.now() + self.traits.lock_timeout_us;
                let event = DatabaseEvent::ServerTimeout(id, Phase::WaitRow);
                self.core.at(at_us, Event::Database(event));
                return;
            }
            call.versions_guarded = terms.versions_guarded;
            call.upserts = upserts.iter().map(ResultRow::of).collect();
            row_locks.extend(upserts.iter().map(|u| (u.key_hash, id)));
        }
        call.phase = Phase::Commit;
        let timeout_us = call.timeout_us;
        drop(tables);
        self.drive(id, Phase::Commit, timeout_us);
    }

    /// The client has sent its commit.
    fn send_commit(&self, id: CallId) {
        let in_doubt = self.weather.strikes(Disturbance::DatabaseCommitInDoubt);
        let latency = self.latency();
        let timeout_us = {
            let mut tables = self.tables();
            let call = tables.calls.get_mut(&id).expect("it is in this phase");
            call.phase = Phase::Committing;
            call.timeout_us
        };
        let now = self.core.now();
        if in_doubt {
            self.answer_in_doubt(id, "the connection was lost during the commit");
            match self.core.below(3) {
                0 => self.commit(id),
                1 => {
                    self.end(id);
                    self.give_back(id, "the connection was lost during the commit");
                }
                _ => {
                    let at_us = now + latency * LATER;
                    self.core.at(at_us, Event::Database(DatabaseEvent::Commit(id)));
                }
            }
            return;
        }
        self.core.at(now + latency, Event::Database(DatabaseEvent::Commit(id)));
        if latency >= timeout_us {
            let event = DatabaseEvent::ClientTimeout(id, Phase::Committing);
            self.core.at(now + timeout_us, Event::Database(event));
        }
    }

    /// The server commits, whether or not anybody waits for it.
    fn commit(&self, id: CallId) {
        let mut tables = self.tables();
        let Some(call) = tables.calls.get_mut(&id) else { return };
        if call.phase != Phase::Committing {
            return;
        }
        let (rows, upserts) = (std::mem::take(&mut call.rows), std::mem::take(&mut call.upserts));
        let (owner, batch, guarded) = (call.owner, call.batch, call.versions_guarded);
        let fence = match &call.work {
            Some(Work::Fence { attempt, restored, .. }) => Some((*attempt, *restored)),
            _ => None,
        };
        if let Some((attempt, restored)) = fence {
            tables.owner = attempt;
            let after_seq = tables.audit.iter().map(|row| row.seq).max().unwrap_or(0);
            let row = FenceRow { attempt, restored, after_seq };
            tables.fence.entry(attempt).or_insert(row);
            self.core.trace(|| format!("database: {attempt} takes the fence after {after_seq}"));
        } else {
            self.core.trace(|| format!("database: {} rows of {owner} committed", rows.len()));
        }
        tables.batches.extend(batch);
        tables.visible.extend(rows.iter().map(|row| (row.partition, row.offset)));
        tables.committed_us.extend(rows.iter().map(|_| self.core.now()));
        tables.audit.extend(rows);
        for row in upserts {
            let held = tables.results.get(&row.key_hash).map(|held| held.version);
            if !guarded || held.is_none_or(|held| row.version >= held) {
                tables.results.insert(row.key_hash, row);
            }
        }
        drop(tables);
        self.end(id);
        self.answer_done(id);
    }

    /// The call has come to its end at the server: its locks are free.
    fn end(&self, id: CallId) {
        let mut tables = self.tables();
        let Some(call) = tables.calls.get_mut(&id) else { return };
        call.phase = Phase::Ended;
        call.rows.clear();
        call.upserts.clear();
        if call.work.is_none() {
            tables.calls.remove(&id);
        }
        tables.sharing.remove(&id);
        if tables.exclusive == Some(id) {
            tables.exclusive = None;
        }
        tables.owner_queue.retain(|waiting| *waiting != id);
        tables.row_locks.retain(|_, holder| *holder != id);
        tables.row_queue.retain(|waiting| *waiting != id);
        let rows = std::mem::take(&mut tables.row_queue);
        for waiting in &rows {
            tables.calls.get_mut(waiting).expect("it waits").phase = Phase::Fill;
        }
        let looks = std::mem::take(&mut tables.resolve_queue);
        drop(tables);
        for waiting in rows {
            self.fill(waiting);
        }
        for waiting in looks {
            self.resolve(waiting);
        }
        self.grant();
    }

    /// Somebody who is no part of the job locks the owner's row, or lets it go.
    pub(super) fn lock_owner(&self, is_locked: bool) {
        self.tables().exclusive = is_locked.then_some(CallId::MAX);
        self.grant();
    }
}

pub(super) fn audit_rows(batch: &Batch, batch_try: BatchTry, next_seq: &mut u64) -> Vec<AuditRow> {
    let row = |effect: &stormproof_engine::connectors::sql::Effect| {
        *next_seq += 1;
        let from = effect.record.view().provenance();
        AuditRow {
            seq: *next_seq,
            partition: from.partition,
            offset: from.offset,
            index: from.index,
            source_attempt: from.source_attempt,
            sink_attempt: batch.attempt,
            subtask: effect.subtask,
            checkpoint: effect.checkpoint,
            batch: batch.number.0,
            batch_try: batch_try.number,
            sent_us: batch_try.sent_us,
        }
    };
    batch.effects.iter().map(row).collect()
}
