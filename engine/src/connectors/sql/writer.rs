//! One writer: a queue of flushed rows, and at most one transaction under way.
//!
//! Follow a batch: formed -> writing -> confirmed. Or failed -> waiting -> writing again under the
//! same try number; or in doubt -> looked up in the audit table -> confirmed, or writing again
//! under the next try number. The writer decides, the connection does; nothing here waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::backend::{ResolveOutcome, SqlConnection, SqlFailure, WriteOutcome};
use super::batch::{Batch, BatchNumber, BatchTry, Effect};
use super::buffers::SubtaskBuffer;
use super::config::SqlSinkConfig;
use crate::api::GroupContext;
use crate::error::{EngineError, Result};
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::mutants;
use crate::seam::{Step, Ticket, TimeUs};

/// Rows that a subtask has flushed, in the order of all flushes.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Index of the subtask in its group.
    local: usize,
    rows: usize,
    /// Fixed when the rows were sealed; `None` leaves it to the transaction.
    tag: Option<CheckpointId>,
}

/// What the writer needs from its sink.
pub(super) struct Surroundings<'a> {
    pub(super) context: &'a GroupContext,
    pub(super) config: &'a SqlSinkConfig,
    pub(super) buffers: &'a mut [SubtaskBuffer],
    /// Where the database is, for messages.
    pub(super) place: &'a str,
    pub(super) now_us: TimeUs,
}

/// Rows and bytes that left the sink.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Confirmed {
    pub(super) rows: u64,
    pub(super) bytes: usize,
}

pub(super) struct Writer {
    /// Unique over all workers.
    id: u16,
    connection: Box<dyn SqlConnection>,
    queue: VecDeque<Run>,
    in_flight: Option<InFlight>,
    batches: u64,
    /// Rows whose tag is fixed, since the start.
    sealed_rows: u64,
    /// Rows confirmed, since the start. Rows are sealed and confirmed in the same order.
    confirmed_rows: u64,
}

struct InFlight {
    batch: Arc<Batch>,
    bytes: usize,
    try_number: u32,
    /// In a row.
    failures: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Writing(Ticket<WriteOutcome>),
    Resolving(Ticket<ResolveOutcome>),
    /// Until `at_us`; then it is looked up if `is_in_doubt`, else written.
    Waiting {
        at_us: TimeUs,
        is_in_doubt: bool,
    },
}

impl Writer {
    pub(super) fn new(id: u16, connection: Box<dyn SqlConnection>) -> Self {
        Self {
            id,
            connection,
            queue: VecDeque::new(),
            in_flight: None,
            batches: 0,
            sealed_rows: 0,
            confirmed_rows: 0,
        }
    }

    /// Puts rows into the queue; `tag` seals them.
    pub(super) fn enqueue(&mut self, local: usize, rows: usize, tag: Option<CheckpointId>) {
        if tag.is_some() {
            self.sealed_rows += rows as u64;
        }
        self.queue.push_back(Run { local, rows, tag });
    }

    /// Seals everything in the queue.
    pub(super) fn seal_all(&mut self, buffers: &mut [SubtaskBuffer]) {
        for run in self.queue.iter_mut().filter(|run| run.tag.is_none()) {
            run.tag = Some(buffers[run.local].seal(run.rows));
            self.sealed_rows += run.rows as u64;
        }
    }

    /// What must be confirmed before a snapshot taken now is complete.
    pub(super) fn sealed_rows(&self) -> u64 {
        self.sealed_rows
    }

    pub(super) fn confirmed_rows(&self) -> u64 {
        self.confirmed_rows
    }

    /// When a batch that failed is tried again.
    pub(super) fn retry_at_us(&self) -> Option<TimeUs> {
        match self.in_flight.as_ref()?.state {
            State::Waiting { at_us, .. } => Some(at_us),
            State::Writing(_) | State::Resolving(_) => None,
        }
    }

    /// Collects what came back and sends what can be sent. Returns what was confirmed, and whether
    /// anything moved.
    pub(super) fn drive(&mut self, around: &mut Surroundings<'_>) -> Result<(Confirmed, bool)> {
        let mut confirmed = Confirmed::default();
        let mut has_moved = false;
        loop {
            let Some(mut in_flight) = self.in_flight.take() else {
                if !self.begin(around)? {
                    return Ok((confirmed, has_moved));
                }
                has_moved = true;
                continue;
            };
            match self.advance(&mut in_flight, around)? {
                Advance::Nothing => {
                    self.in_flight = Some(in_flight);
                    return Ok((confirmed, has_moved));
                }
                Advance::Moved => self.in_flight = Some(in_flight),
                Advance::Confirmed => {
                    confirmed.rows += in_flight.batch.effects.len() as u64;
                    confirmed.bytes += in_flight.bytes;
                    self.confirmed_rows += in_flight.batch.effects.len() as u64;
                    hit(Step::SinkFlushConfirmed, &in_flight.batch, around.context)?;
                }
            }
            has_moved = true;
        }
    }

    /// Forms the next batch and sends it, if rows wait.
    fn begin(&mut self, around: &mut Surroundings<'_>) -> Result<bool> {
        if self.queue.is_empty() {
            return Ok(false);
        }
        let (effects, bytes) = self.take_effects(around);
        let number = BatchNumber::new(self.id, self.batches);
        self.batches += 1;
        let batch = Arc::new(Batch { attempt: around.context.attempt, number, effects });
        hit(Step::SinkFlushBegun, &batch, around.context)?;
        let state = self.write(&batch, 0, around.now_us);
        hit(Step::SinkFlushSent, &batch, around.context)?;
        self.in_flight = Some(InFlight { batch, bytes, try_number: 0, failures: 0, state });
        Ok(true)
    }

    /// Takes rows from the queue up to the limits of a transaction; at least one.
    fn take_effects(&mut self, around: &mut Surroundings<'_>) -> (Vec<Effect>, usize) {
        let config = around.config;
        let waiting: usize = self.queue.iter().map(|run| run.rows).sum();
        let mut effects = Vec::with_capacity(waiting.min(config.transaction_rows));
        let mut bytes = 0;
        while let Some(run) = self.queue.front_mut() {
            let buffer = &mut around.buffers[run.local];
            let subtask = SubtaskIndex(around.context.subtasks.start + run.local as u16);
            let checkpoint = run.tag.unwrap_or(buffer.last_snapshot);
            while run.rows > 0 {
                let row_bytes = buffer.front_bytes();
                let is_full = effects.len() >= config.transaction_rows
                    || bytes + row_bytes > config.transaction_bytes;
                let is_of_bytes = is_full && effects.len() < config.transaction_rows;
                if is_of_bytes
                    && !effects.is_empty()
                    && mutants::is_active(mutants::BYTES_DROP_A_ROW)
                {
                    buffer.pop();
                    run.rows -= 1;
                    continue;
                }
                if is_full && !effects.is_empty() {
                    return (effects, bytes);
                }
                if run.tag.is_none() {
                    self.sealed_rows += 1;
                }
                effects.push(Effect { record: buffer.pop(), subtask, checkpoint });
                bytes += row_bytes;
                run.rows -= 1;
            }
            self.queue.pop_front();
        }
        (effects, bytes)
    }

    fn write(&mut self, batch: &Arc<Batch>, number: u32, now_us: TimeUs) -> State {
        State::Writing(self.connection.write(batch, BatchTry { number, sent_us: now_us }))
    }

    fn advance(
        &mut self,
        in_flight: &mut InFlight,
        around: &mut Surroundings<'_>,
    ) -> Result<Advance> {
        match &in_flight.state {
            State::Writing(ticket) => match take(ticket, around.place)? {
                None => Ok(Advance::Nothing),
                Some(WriteOutcome::Confirmed) => Ok(self.confirm(around)),
                Some(_) if mutants::is_active(mutants::FLUSH_UNCHECKED) => Ok(self.confirm(around)),
                Some(WriteOutcome::Failed(failure)) => self.wait(in_flight, failure, false, around),
                Some(WriteOutcome::InDoubt(_))
                    if mutants::is_active(mutants::DOUBT_NOT_RESOLVED) =>
                {
                    in_flight.try_number += 1;
                    self.write_again(in_flight, around)
                }
                Some(WriteOutcome::InDoubt(what)) => {
                    around.context.metrics.sink_in_doubt.add(1);
                    in_flight.failures += 1;
                    self.check_retries(in_flight, &what, around)?;
                    in_flight.state = State::Resolving(self.connection.resolve(&in_flight.batch));
                    Ok(Advance::Moved)
                }
            },
            State::Resolving(ticket) => match take(ticket, around.place)? {
                None => Ok(Advance::Nothing),
                Some(ResolveOutcome::Found) => Ok(self.confirm(around)),
                Some(ResolveOutcome::Failed(failure)) => {
                    let is_in_doubt = !mutants::is_active(mutants::LOOK_FAILED_WRITES);
                    in_flight.try_number += u32::from(!is_in_doubt);
                    self.wait(in_flight, failure, is_in_doubt, around)
                }
                Some(ResolveOutcome::Missing) => {
                    let is_same = mutants::is_active(mutants::TRY_NUMBER_STAYS);
                    in_flight.try_number += u32::from(!is_same);
                    if mutants::is_active(mutants::MISSING_STARTS_OVER) {
                        in_flight.failures = 0;
                    }
                    self.write_again(in_flight, around)
                }
            },
            State::Waiting { at_us, .. } if *at_us > around.now_us => Ok(Advance::Nothing),
            State::Waiting { is_in_doubt: true, .. } => {
                in_flight.state = State::Resolving(self.connection.resolve(&in_flight.batch));
                Ok(Advance::Moved)
            }
            State::Waiting { is_in_doubt: false, .. } => {
                let counts = mutants::is_active(mutants::EVERY_TRY_COUNTS);
                in_flight.try_number += u32::from(counts);
                self.write_again(in_flight, around)
            }
        }
    }

    fn confirm(&self, around: &Surroundings<'_>) -> Advance {
        around.context.metrics.sink_batches.add(1);
        Advance::Confirmed
    }

    fn write_again(
        &mut self,
        in_flight: &mut InFlight,
        around: &Surroundings<'_>,
    ) -> Result<Advance> {
        around.context.metrics.sink_retries.add(1);
        in_flight.state = self.write(&in_flight.batch, in_flight.try_number, around.now_us);
        hit(Step::SinkFlushSent, &in_flight.batch, around.context)?;
        Ok(Advance::Moved)
    }

    fn wait(
        &self,
        in_flight: &mut InFlight,
        failure: SqlFailure,
        is_in_doubt: bool,
        around: &Surroundings<'_>,
    ) -> Result<Advance> {
        let what = match failure {
            SqlFailure::Permanent(error) => return Err(error),
            SqlFailure::Transient(what) => what,
        };
        in_flight.failures += 1;
        self.check_retries(in_flight, &what, around)?;
        let backoff_us = match mutants::is_active(mutants::RETRY_AT_ONCE) {
            true => 0,
            false if mutants::is_active(mutants::PAUSE_NEVER_GROWS) => around.config.backoff_us(1),
            false => around.config.backoff_us(in_flight.failures),
        };
        let at_us = around.now_us + backoff_us;
        in_flight.state = State::Waiting { at_us, is_in_doubt };
        Ok(Advance::Moved)
    }

    fn check_retries(
        &self,
        in_flight: &InFlight,
        what: &str,
        around: &Surroundings<'_>,
    ) -> Result<()> {
        let one_short = u32::from(mutants::is_active(mutants::ONE_RETRY_SHORT));
        if in_flight.failures + one_short <= around.config.max_retries
            || mutants::is_active(mutants::RETRIES_FOR_EVER)
        {
            return Ok(());
        }
        Err(EngineError::service(
            super::SERVICE,
            format!(
                "a batch of {} rows failed {} times in a row at {}, at last: {what}; check that \
                 the database is up and not overloaded",
                in_flight.batch.effects.len(),
                in_flight.failures,
                around.place
            ),
        ))
    }
}

enum Advance {
    Nothing,
    Moved,
    Confirmed,
}

fn take<T>(ticket: &Ticket<T>, place: &str) -> Result<Option<T>> {
    // First whether the other half is gone: it may fulfil the ticket between two looks.
    let is_orphaned = ticket.is_orphaned();
    match ticket.try_take() {
        None if is_orphaned => {
            let what = format!("the connection to {place} ended without an answer");
            Err(EngineError::service(super::SERVICE, what))
        }
        outcome => Ok(outcome),
    }
}

/// Reports a step for every subtask that has rows in the batch.
fn hit(step: Step, batch: &Batch, context: &GroupContext) -> Result<()> {
    if !context.probe.is_armed() {
        return Ok(());
    }
    let mut places: Vec<_> = batch.effects.iter().map(|e| (e.subtask, e.checkpoint)).collect();
    places.sort_unstable();
    places.dedup();
    for (subtask, checkpoint) in places {
        context.probe.hit(step, &context.at(subtask, checkpoint))?;
    }
    Ok(())
}
