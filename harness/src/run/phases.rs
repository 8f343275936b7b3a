//! The phases of a run between a ready environment and a judgement.

use std::time::Duration;

use stormproof_reports::schema::Phase;

use super::session::{Halt, Session};
use crate::clock::monotonic_us;
use crate::driver::protocol::Command;
use crate::environment::{Addresses, Client};
use crate::error::{HarnessError, engine, environment};
use crate::scenario::Scenario;
use crate::workload::generator::{Generator, LoadFigures};
use crate::workload::ledger::{Offset, PartitionId};

/// A drain in which nothing is committed for so long, or for three checkpoint intervals, is stuck.
const STUCK_LIMIT: Duration = Duration::from_secs(30);

/// Tells how long each phase took.
#[derive(Debug)]
pub(super) struct PhaseClock {
    since_us: u64,
    phases: Vec<Phase>,
}

impl PhaseClock {
    /// A clock whose first phase began at `since_us`.
    pub(super) fn new(since_us: u64) -> Self {
        Self { since_us, phases: Vec::new() }
    }

    /// The phase `name` is over.
    pub(super) fn mark(&mut self, name: &str) {
        let now_us = monotonic_us();
        let seconds = (now_us - self.since_us) as f64 / 1e6;
        self.phases.push(Phase { name: name.to_owned(), seconds });
        self.since_us = now_us;
    }

    /// The phases so far.
    pub(super) fn into_phases(self) -> Vec<Phase> {
        self.phases
    }
}

/// Start, load and storm, drain, stop. Returns the committed offsets as seen after the job's end.
pub(super) fn storm(
    scenario: &Scenario,
    addresses: &Addresses,
    session: &mut Session,
    clock: &mut PhaseClock,
) -> Result<Vec<u64>, Halt> {
    let client = Client::connect(&addresses.brokers, &addresses.group)?;
    let before = client.log_end_offsets(&addresses.topic, addresses.partitions)?;
    session.records_before = before.iter().sum();
    let starts = client.log_start_offsets(&addresses.topic, addresses.partitions)?;
    for (partition, start) in starts.into_iter().enumerate() {
        let start = Offset(start);
        session.input.set_bounds(PartitionId(partition as u32), start, start);
    }
    session.records_wanted = session.records_before + scenario.load.records;
    session.run_until("start", |session| Ok(session.history.is_running()))?;
    clock.mark("start");

    session.load_since_us = Some(monotonic_us());
    if scenario.load.records > 0 {
        let (brokers, topic) = (&addresses.brokers, &addresses.topic);
        let generator = Generator::start(brokers, topic, &scenario.load, scenario.seed)?;
        if session.nemesis.strikes_outside() {
            generator.figures().hold_open();
        }
        session.generator = Some(generator);
    }
    session.run_until("load", |session| {
        if let Some(generator) = session.generator.as_ref().filter(|_| session.nemesis.is_settled())
        {
            generator.figures().let_go();
        }
        let is_written = session.generator.as_ref().is_none_or(Generator::is_finished);
        Ok(is_written && session.nemesis.is_settled() && session.history.is_running())
    })?;
    if let Some(generator) = &mut session.generator {
        generator.join()?;
        check_written(generator.figures(), addresses)?;
    }
    clock.mark("load");

    let ends = client.log_end_offsets(&addresses.topic, addresses.partitions)?;
    session.monitor.be_eager();
    // Offsets beyond the end are the oracle's to judge, not something to wait for.
    let is_drained = |session: &Session| {
        let committed = session.monitor.seen().committed;
        committed.len() == ends.len() && committed.iter().zip(&ends).all(|(at, end)| at >= end)
    };
    let patience = Duration::from_millis(3 * scenario.checkpoint.interval_ms).max(STUCK_LIMIT);
    let mut watch = Watch::new(patience);
    session.run_until("drain", |session| Ok(is_drained(session) || watch.is_stuck(session)))?;
    if !is_drained(session) {
        return Err(Halt::Failed(watch.stuck(session, addresses)));
    }
    clock.mark("drain");

    session.is_ending = true;
    session.engine.send(&Command::StopDrain);
    session.run_until("stop", |session| Ok(session.has_ended))?;
    let since_us = monotonic_us();
    session.run_until("stop", |session| Ok(session.monitor.seen().committed_at_us > since_us))?;
    let now_us = monotonic_us();
    session.take_last_sample(now_us);
    clock.mark("stop");
    Ok(session.monitor.seen().committed)
}

/// Watches a drain for progress: committed offsets that grow, or an attempt that begins.
struct Watch {
    patience: Duration,
    last: (u64, usize),
    since_us: u64,
}

impl Watch {
    fn new(patience: Duration) -> Self {
        Self { patience, last: (0, 0), since_us: monotonic_us() }
    }

    /// Whether nothing has moved for too long.
    fn is_stuck(&mut self, session: &Session) -> bool {
        let now = (session.monitor.committed(), session.history.attempts.len());
        if now != self.last || !session.history.is_running() {
            (self.last, self.since_us) = (now, monotonic_us());
        }
        u128::from(monotonic_us() - self.since_us) > self.patience.as_micros()
    }

    fn stuck(&self, session: &Session, addresses: &Addresses) -> HarnessError {
        let lag = session.produced().saturating_sub(self.last.0);
        let what = format!(
            "the job makes no progress: for {} s no offset was committed, and {lag} records wait",
            self.patience.as_secs()
        );
        engine(what)
            .at(format!("group {} of topic {}", addresses.group, addresses.topic))
            .remedy("read engine.log and events.jsonl in the run's folder")
    }
}

/// Every record is in the log, or the run has no ledger to be judged by.
fn check_written(figures: &LoadFigures, addresses: &Addresses) -> Result<(), Halt> {
    let failed = figures.failed.load(std::sync::atomic::Ordering::Relaxed);
    if failed == 0 {
        return Ok(());
    }
    let error = environment(format!("the log refused {failed} records of the load"))
        .at(format!("topic {} at {}", addresses.topic, addresses.brokers))
        .remedy("look at the broker's log and its limits on message size");
    Err(Halt::Failed(error))
}

/// How late the latest record was handed over.
pub(super) fn slip(session: &Session) -> Duration {
    let slip_us = session.generator.as_ref().map_or(0, |generator| {
        generator.figures().slip_max_us.load(std::sync::atomic::Ordering::Relaxed)
    });
    Duration::from_micros(slip_us)
}
