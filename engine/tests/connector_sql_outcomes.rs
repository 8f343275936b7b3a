//! The SQL sink's decisions after every kind of outcome, with a scripted database.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod connector_support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stormproof_engine::api::{GroupState, SinkFactory as _};
use stormproof_engine::connectors::sql::{
    Batch, BatchTry, BufferDesign, ResolveOutcome, SqlBackend, SqlConnection, SqlFailure,
    SqlSinkConfig, SqlSinkFactory, WholeValue, WriteOutcome, WriteTerms,
};
use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::ids::*;
use stormproof_engine::seam::{Ticket, TicketSender};

use connector_support::{HandClock, SinkDriver, context, record};

/// What the sink asked for.
#[derive(Debug)]
enum Asked {
    Write(Arc<Batch>, BatchTry, TicketSender<WriteOutcome>),
    Resolve(TicketSender<ResolveOutcome>),
}

/// A database that answers when the test says so.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<VecDeque<Asked>>>);

impl Script {
    fn next(&self) -> Option<Asked> {
        self.0.lock().unwrap().pop_front()
    }

    /// The next call must be a write; returns its offsets and its try, and answers.
    fn answer_write(&self, outcome: WriteOutcome) -> (Vec<u64>, u32) {
        let Some(Asked::Write(batch, batch_try, ticket)) = self.next() else {
            panic!("the sink did not write");
        };
        ticket.fulfil(outcome);
        let offset =
            |e: &stormproof_engine::connectors::sql::Effect| e.record.view().provenance().offset.0;
        (batch.effects.iter().map(offset).collect(), batch_try.number)
    }

    fn answer_resolve(&self, outcome: ResolveOutcome) {
        let Some(Asked::Resolve(ticket)) = self.next() else {
            panic!("the sink did not look the batch up");
        };
        ticket.fulfil(outcome);
    }
}

impl SqlBackend for Script {
    fn describe(&self) -> String {
        "script".to_owned()
    }

    fn default_connections(&self) -> u16 {
        1
    }

    fn default_transaction_rows(&self) -> usize {
        1_000
    }

    fn begin_attempt(&self, _: &WriteTerms, _: CheckpointId, _: Duration) -> Ticket<Result<()>> {
        Ticket::ready(Ok(()))
    }

    fn connect(&self, _: Arc<WriteTerms>) -> Box<dyn SqlConnection> {
        Box::new(self.clone())
    }
}

impl SqlConnection for Script {
    fn write(&mut self, batch: &Arc<Batch>, batch_try: BatchTry) -> Ticket<WriteOutcome> {
        let (sender, ticket) = Ticket::pair();
        self.0.lock().unwrap().push_back(Asked::Write(Arc::clone(batch), batch_try, sender));
        ticket
    }

    fn resolve(&mut self, _: &Arc<Batch>) -> Ticket<ResolveOutcome> {
        let (sender, ticket) = Ticket::pair();
        self.0.lock().unwrap().push_back(Asked::Resolve(sender));
        ticket
    }
}

fn start(config: SqlSinkConfig) -> (Script, SinkDriver) {
    let script = Script::default();
    let backend = Arc::new(script.clone());
    let factory = SqlSinkFactory::with_backend(backend, config, Arc::new(WholeValue)).unwrap();
    let clock = Arc::new(HandClock::default());
    let context = context(1, 0, 0..2, clock.clone());
    let sink = factory.open(context.clone(), GroupState::default()).unwrap();
    (script, SinkDriver { sink, context, clock })
}

/// Writes rows that are flushed at once, under way after the next poll.
fn write(driver: &mut SinkDriver, offsets: std::ops::Range<u64>) {
    offsets.for_each(|offset| driver.write(0, record(0, offset, "a", "v")));
}

fn one_row_batches() -> SqlSinkConfig {
    SqlSinkConfig { batch_rows: 1, ..SqlSinkConfig::default() }
}

fn transient() -> SqlFailure {
    SqlFailure::Transient("deadlock".to_owned())
}

/// Polls with time moving on until something is asked.
fn poll_until_asked(script: &Script, driver: &mut SinkDriver) {
    for _ in 0..10_000 {
        driver.poll().expect("the sink works");
        if !script.0.lock().unwrap().is_empty() {
            return;
        }
        driver.clock.advance_ms(1);
    }
    panic!("nothing was asked");
}

#[test]
fn a_known_failure_is_tried_again_under_the_same_number() {
    let (script, mut driver) = start(one_row_batches());
    write(&mut driver, 0..2);
    driver.poll().unwrap();
    assert_eq!(script.answer_write(WriteOutcome::Failed(transient())), (vec![0, 1], 0));
    driver.poll().unwrap();
    driver.clock.advance_ms(49);
    driver.poll().unwrap();
    assert!(script.next().is_none(), "no backoff");
    driver.clock.advance_ms(1);
    driver.poll().unwrap();
    assert_eq!(script.answer_write(WriteOutcome::Confirmed), (vec![0, 1], 0));
    driver.poll().unwrap();
    assert_eq!(driver.sink.pending_records(), 0);
    assert_eq!(driver.context.metrics.sink_retries.get(), 1);
    assert_eq!(driver.context.metrics.sink_in_doubt.get(), 0);
}

#[test]
fn a_batch_in_doubt_that_is_found_is_not_written_again() {
    let (script, mut driver) = start(one_row_batches());
    write(&mut driver, 0..1);
    driver.poll().unwrap();
    script.answer_write(WriteOutcome::InDoubt("cut".to_owned()));
    driver.poll().unwrap();
    script.answer_resolve(ResolveOutcome::Failed(transient()));
    poll_until_asked(&script, &mut driver);
    script.answer_resolve(ResolveOutcome::Found);
    driver.poll().unwrap();
    assert!(script.next().is_none(), "it was written again");
    assert_eq!(driver.sink.pending_records(), 0);
    assert_eq!(driver.context.metrics.sink_in_doubt.get(), 1);
    assert_eq!(driver.context.metrics.sink_retries.get(), 0);
    assert_eq!(driver.context.metrics.sink_batches.get(), 1);
}

#[test]
fn a_batch_in_doubt_that_is_missing_is_written_under_the_next_number() {
    let (script, mut driver) = start(one_row_batches());
    write(&mut driver, 0..1);
    driver.poll().unwrap();
    for number in 0..3 {
        let cut = WriteOutcome::InDoubt("cut".to_owned());
        assert_eq!(script.answer_write(cut), (vec![0], number));
        driver.poll().unwrap();
        script.answer_resolve(ResolveOutcome::Missing);
        driver.poll().unwrap();
    }
    // A known failure in between does not change the number.
    assert_eq!(script.answer_write(WriteOutcome::Failed(transient())), (vec![0], 3));
    poll_until_asked(&script, &mut driver);
    assert_eq!(script.answer_write(WriteOutcome::Confirmed), (vec![0], 3));
    driver.poll().unwrap();
    assert_eq!(driver.sink.pending_records(), 0);
}

#[test]
fn retries_end() {
    let (script, mut driver) = start(SqlSinkConfig { max_retries: 3, ..one_row_batches() });
    write(&mut driver, 0..1);
    for _ in 0..3 {
        poll_until_asked(&script, &mut driver);
        script.answer_write(WriteOutcome::Failed(transient()));
    }
    poll_until_asked(&script, &mut driver);
    script.answer_write(WriteOutcome::Failed(transient()));
    let error = driver.poll().expect_err("the fourth failure is one too many");
    assert!(error.is_retryable(), "another attempt may succeed");
    assert!(
        error.to_string().contains("4 times") && error.to_string().contains("deadlock"),
        "{error}"
    );
}

#[test]
fn a_permanent_failure_fails_at_once() {
    let (script, mut driver) = start(one_row_batches());
    write(&mut driver, 0..1);
    driver.poll().unwrap();
    let refusal = EngineError::Config("bad password".to_owned());
    script.answer_write(WriteOutcome::Failed(SqlFailure::Permanent(refusal)));
    assert!(matches!(driver.poll(), Err(EngineError::Config(_))));
}

#[test]
fn a_connection_that_vanishes_fails_the_attempt() {
    let (script, mut driver) = start(one_row_batches());
    write(&mut driver, 0..1);
    driver.poll().unwrap();
    drop(script.next());
    assert!(matches!(driver.poll(), Err(EngineError::Service { .. })));
}

#[test]
fn later_rows_wait_behind_a_batch_under_way() {
    let (script, mut driver) = start(one_row_batches());
    write(&mut driver, 0..3);
    driver.poll().unwrap();
    write(&mut driver, 3..6);
    driver.poll().unwrap();
    assert_eq!(script.answer_write(WriteOutcome::Failed(transient())), (vec![0, 1, 2], 0));
    assert!(script.next().is_none(), "two transactions of one writer at the same time");
    poll_until_asked(&script, &mut driver);
    assert_eq!(script.answer_write(WriteOutcome::Confirmed).0, [0, 1, 2]);
    driver.poll().unwrap();
    assert_eq!(script.answer_write(WriteOutcome::Confirmed).0, [3, 4, 5]);
}

#[test]
fn a_checkpoint_waits_for_what_is_under_way_and_for_nothing_else() {
    let (script, mut driver) = start(one_row_batches());
    write(&mut driver, 0..2);
    driver.poll().unwrap();
    write(&mut driver, 2..5);
    let lists = driver.snapshot(1, false);
    assert_eq!(lists[0].len(), 3, "rows in the queue are in state");
    write(&mut driver, 5..6);
    driver.poll().unwrap();
    assert!(!driver.sink.is_settled(CheckpointId(1)).unwrap(), "a transaction is under way");
    script.answer_write(WriteOutcome::Confirmed);
    driver.poll().unwrap();
    assert!(driver.sink.is_settled(CheckpointId(1)).unwrap());
    // What was in state is written after the snapshot, and says so.
    let Some(Asked::Write(batch, ..)) = script.next() else { panic!("nothing is under way") };
    let tags: Vec<_> = batch.effects.iter().map(|e| e.checkpoint.0).collect();
    assert_eq!(tags, [1, 1, 1, 1]);
}

#[test]
fn flush_on_barrier_waits_for_every_row_before_the_barrier() {
    let design = BufferDesign::FlushOnBarrier;
    let (script, mut driver) = start(SqlSinkConfig { design, ..SqlSinkConfig::default() });
    write(&mut driver, 0..1);
    driver.poll().unwrap();
    write(&mut driver, 1..2);
    driver.write(1, record(1, 0, "b", "v"));
    assert_eq!(driver.snapshot(1, false).concat().len(), 0);
    write(&mut driver, 2..3);
    let Some(Asked::Write(batch, _, ticket)) = script.next() else { panic!("not flushed") };
    assert_eq!(batch.effects.len(), 3, "all rows before the barrier and none after it");
    assert!(batch.effects.iter().all(|e| e.checkpoint == CheckpointId::NONE), "wrong tag");
    assert!(!driver.sink.is_settled(CheckpointId(1)).unwrap());
    ticket.fulfil(WriteOutcome::Confirmed);
    driver.poll().unwrap();
    assert!(driver.sink.is_settled(CheckpointId(1)).unwrap());
    assert_eq!(driver.sink.pending_records(), 1, "the row after the barrier waits for company");
}

#[test]
fn rows_flushed_before_a_draining_barrier_keep_their_tag() {
    let limits = SqlSinkConfig { transaction_rows: 2, ..one_row_batches() };
    let (script, mut driver) = start(limits);
    write(&mut driver, 0..5);
    let lists = driver.snapshot(9, true);
    assert_eq!(lists.concat().len(), 0);
    let mut tags = Vec::new();
    while let Some(Asked::Write(batch, _, ticket)) = script.next() {
        tags.extend(batch.effects.iter().map(|e| e.checkpoint.0));
        assert!(!driver.sink.is_settled(CheckpointId(9)).unwrap(), "settled after {tags:?}");
        ticket.fulfil(WriteOutcome::Confirmed);
        driver.poll().unwrap();
    }
    assert_eq!(tags, [0; 5], "all were handed over before checkpoint 9");
    assert!(driver.sink.is_settled(CheckpointId(9)).unwrap());
}

#[test]
fn too_many_unconfirmed_rows_are_backpressure() {
    let (script, mut driver) = start(SqlSinkConfig { max_pending_rows: 10, ..one_row_batches() });
    write(&mut driver, 0..9);
    driver.poll().unwrap();
    assert!(driver.sink.is_ready());
    write(&mut driver, 9..10);
    assert!(!driver.sink.is_ready());
    script.answer_write(WriteOutcome::Confirmed);
    driver.poll().unwrap();
    assert!(driver.sink.is_ready());
}

#[test]
fn too_many_bytes_are_flushed_before_they_are_due() {
    let limits = SqlSinkConfig { max_pending_bytes: 10_000, ..SqlSinkConfig::default() };
    let (script, mut driver) = start(limits);
    let value = "x".repeat(3_000);
    for offset in 0..3 {
        driver.write(0, record(0, offset, "a", &value));
    }
    driver.poll().unwrap();
    assert!(driver.sink.is_ready() && script.next().is_none());
    driver.write(1, record(1, 0, "b", &value));
    assert!(!driver.sink.is_ready());
    driver.poll().unwrap();
    let flushed = script.answer_write(WriteOutcome::Confirmed).0;
    assert_eq!(flushed.len(), 4, "buffers that are not full must go, or nothing ever moves");
    driver.poll().unwrap();
    assert!(driver.sink.is_ready());
}

#[cfg(feature = "failpoints")]
mod steps {
    use super::*;
    use connector_support::Recorder;
    use stormproof_engine::seam::{Probe, Step};

    fn start_with(recorder: Recorder) -> (Script, SinkDriver) {
        let script = Script::default();
        let backend = Arc::new(script.clone());
        let config = one_row_batches();
        let factory = SqlSinkFactory::with_backend(backend, config, Arc::new(WholeValue)).unwrap();
        let clock = Arc::new(HandClock::default());
        let mut context = context(1, 6, 0..2, clock.clone());
        context.probe = Probe::new(recorder);
        context.probe.set_armed(true);
        let sink = factory.open(context.clone(), GroupState::default()).unwrap();
        (script, SinkDriver { sink, context, clock })
    }

    #[test]
    fn every_contributing_subtask_passes_them() {
        let recorder = Recorder::default();
        let (script, mut driver) = start_with(recorder.clone());
        driver.write(0, record(0, 0, "a", "v"));
        driver.write(1, record(1, 0, "b", "v"));
        driver.write(0, record(0, 1, "a", "v"));
        driver.poll().unwrap();
        script.answer_write(WriteOutcome::Confirmed);
        driver.poll().unwrap();
        let hits = recorder.hits.lock().unwrap();
        let passed: Vec<_> =
            hits.iter().map(|(step, at)| (*step, at.subtask.0, at.checkpoint.0)).collect();
        let steps = [Step::SinkFlushBegun, Step::SinkFlushSent, Step::SinkFlushConfirmed];
        let expected: Vec<_> = steps.iter().flat_map(|s| [(*s, 0, 6), (*s, 1, 6)]).collect();
        assert_eq!(passed, expected);
    }

    #[test]
    fn a_failure_fails_the_attempt_where_it_was_injected() {
        for (step, writes) in [(Step::SinkFlushBegun, 0), (Step::SinkFlushSent, 1)] {
            let (script, mut driver) =
                start_with(Recorder { fail_at: Some(step), ..Recorder::default() });
            driver.write(0, record(0, 0, "a", "v"));
            assert!(driver.poll().is_err(), "{step}");
            assert_eq!(script.0.lock().unwrap().len(), writes, "{step}");
        }
    }
}
