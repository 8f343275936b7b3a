//! How calls end for whoever made them: confirmed, failed, in doubt, or cut off.

use stormproof_engine::connectors::sql::{
    ResolveOutcome, SqlFailure, WriteOutcome, fence_timed_out,
};
use stormproof_engine::seam::TimeUs;

use super::{Call, CallId, Database, DatabaseEvent, Phase, Work};
use crate::sim::core::{Actor, Event, ProcessId};

/// Between two tries of a fence.
const FENCE_RETRY_US: TimeUs = 2_000;

fn transient(what: &str) -> SqlFailure {
    SqlFailure::Transient(format!("simulated database: {what}"))
}

impl Database {
    /// Looks for a batch, once every earlier try of it is over.
    pub(super) fn resolve(&self, id: CallId) {
        let mut tables = self.tables();
        let Some(call) = tables.calls.get(&id) else { return };
        let Some(batch) = call.batch else { return };
        let is_open = tables.calls.iter().any(|(other, call)| {
            *other != id
                && call.batch == Some(batch)
                && matches!(call.phase, Phase::Commit | Phase::Committing | Phase::WaitRow)
        });
        if is_open {
            tables.resolve_queue.push(id);
            return;
        }
        let is_found = tables.batches.contains(&batch);
        let call = tables.calls.remove(&id).expect("it was just there");
        drop(tables);
        self.core.trace(|| format!("database: batch {} found: {is_found}", batch.1));
        if let Some(Work::Resolve { answer, .. }) = call.work {
            answer.fulfil(if is_found { ResolveOutcome::Found } else { ResolveOutcome::Missing });
            self.core.wake(call.owner);
        }
    }

    /// A call fails before its commit was sent: nothing of it is left.
    pub(super) fn fail_at_server(&self, id: CallId, phase: Phase, what: &str) {
        if self.is_in(id, phase) {
            self.core.trace(|| format!("database: call {id} fails: {what}"));
            self.end(id);
            self.give_back(id, what);
        }
    }

    /// The client gives up waiting. The server may go on with a commit that it has.
    pub(super) fn client_timeout(&self, id: CallId, phase: Phase) {
        if !self.is_in(id, phase) {
            return;
        }
        if phase == Phase::Committing {
            self.answer_in_doubt(id, "no answer to COMMIT in time");
        } else {
            self.fail_at_server(id, phase, "no answer in time");
        }
    }

    /// Connections are cut: what was not yet committing is rolled back, the rest the server ends
    /// as it pleases.
    pub(super) fn cut(&self, is_cut: impl Fn(&Call) -> bool) {
        let calls: Vec<(CallId, Phase)> = {
            let mut tables = self.tables();
            let cut = tables.calls.iter_mut().filter(|(_, call)| is_cut(call));
            cut.map(|(id, call)| {
                call.work = call.work.take().filter(|work| matches!(work, Work::Fence { .. }));
                (*id, call.phase)
            })
            .collect()
        };
        for (id, phase) in calls {
            if phase != Phase::Committing || self.core.chance(300) {
                self.end(id);
            }
            if let Some(call) = self.tables().calls.get_mut(&id)
                && call.phase != Phase::Committing
            {
                call.work = None;
            }
            self.forget_if_over(id);
        }
    }

    pub(super) fn forget_if_over(&self, id: CallId) {
        let mut tables = self.tables();
        let is_over = |call: &Call| call.phase == Phase::Ended && call.work.is_none();
        if tables.calls.get(&id).is_some_and(is_over) {
            tables.calls.remove(&id);
        }
    }

    /// A client drops its connection.
    pub(in crate::sim) fn on_disconnect(&self, connection: u64) {
        self.cut(|call| call.connection == connection);
    }

    /// A process has died.
    pub(in crate::sim) fn on_death(&self, process: ProcessId) {
        self.cut(|call| call.owner.process() == process);
    }

    pub(super) fn take_work(&self, id: CallId) -> Option<(Work, Actor)> {
        let mut tables = self.tables();
        let call = tables.calls.get_mut(&id)?;
        let (work, owner) = (call.work.take(), call.owner);
        if call.phase == Phase::Ended {
            tables.calls.remove(&id);
        }
        drop(tables);
        self.core.wake(owner);
        work.map(|work| (work, owner))
    }

    pub(super) fn answer_done(&self, id: CallId) {
        match self.take_work(id) {
            Some((Work::Write { answer, .. }, _)) => answer.fulfil(WriteOutcome::Confirmed),
            Some((Work::Fence { answer, .. }, _)) => answer.fulfil(Ok(())),
            Some((Work::Resolve { .. }, _)) | None => {}
        }
    }

    pub(super) fn answer_in_doubt(&self, id: CallId, what: &str) {
        // A fence whose outcome is unknown is taken once more: that changes nothing.
        if matches!(self.tables().calls[&id].work, Some(Work::Fence { .. })) {
            return;
        }
        if let Some((Work::Write { answer, batch, batch_try, .. }, owner)) = self.take_work(id) {
            let batch = (batch.attempt, batch.number.0);
            self.tables().patience.on_doubt(batch, batch_try.number);
            self.core.trace(|| format!("database: call {id} of {owner} is in doubt: {what}"));
            answer.fulfil(WriteOutcome::InDoubt(format!("simulated database: {what}")));
        }
    }

    pub(super) fn answer_failed(&self, id: CallId, failure: SqlFailure) {
        match self.take_work(id) {
            Some((Work::Write { answer, batch, .. }, _)) => {
                let (batch, now_us) = ((batch.attempt, batch.number.0), self.core.now());
                let patience = &mut self.tables().patience;
                patience.on_refused(batch, now_us);
                patience.on_failed(batch);
                answer.fulfil(WriteOutcome::Failed(failure));
            }
            Some((Work::Resolve { answer, batch }, _)) => {
                let (batch, now_us) = ((batch.attempt, batch.number.0), self.core.now());
                let patience = &mut self.tables().patience;
                patience.on_refused(batch, now_us);
                patience.on_failed(batch);
                answer.fulfil(ResolveOutcome::Failed(failure));
            }
            Some((Work::Fence { answer, .. }, _)) => answer.fulfil(match failure {
                SqlFailure::Permanent(error) => Err(error),
                SqlFailure::Transient(what) => Err(fence_timed_out("simulated database", &what)),
            }),
            None => {}
        }
    }

    /// A transient failure: the sink decides about its batches, a fence is tried until its
    /// deadline.
    pub(super) fn give_back(&self, id: CallId, what: &str) {
        let mut tables = self.tables();
        let Some(call) = tables.calls.get_mut(&id) else { return };
        let now = self.core.now();
        if let Some(Work::Fence { deadline_us, .. }) = &call.work
            && now + FENCE_RETRY_US < *deadline_us
        {
            call.phase = Phase::Begin;
            let event = DatabaseEvent::Go(id, Phase::Begin);
            return self.core.at(now + FENCE_RETRY_US, Event::Database(event));
        }
        call.phase = Phase::Ended;
        drop(tables);
        self.answer_failed(id, transient(what));
    }
}
