//! The phases of a run between a ready environment and a judgement.

use std::time::Duration;

use stormproof_reports::schema::Phase;

use super::session::{Halt, Session};
use crate::clock::monotonic_us;
use crate::driver::protocol::Command;
use crate::environment::{Addresses, Client};
use crate::error::environment;
use crate::scenario::Scenario;
use crate::workload::generator::{Generator, LoadFigures};

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
    session.records_wanted = session.records_before + scenario.load.records;
    session.run_until("start", |session| Ok(session.history.is_running()))?;
    clock.mark("start");

    session.load_since_us = Some(monotonic_us());
    if scenario.load.records > 0 {
        let (brokers, topic) = (&addresses.brokers, &addresses.topic);
        session.generator = Some(Generator::start(brokers, topic, &scenario.load, scenario.seed)?);
    }
    session.run_until("load", |session| {
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
    session.run_until("drain", |session| Ok(session.monitor.seen().committed == ends))?;
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
