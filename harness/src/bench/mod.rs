//! Whole-system benches: how much a pipeline sustains, and with which latency.
//!
//! *Follow a bench:* [`BenchScenario`] says what runs -> [`search`] asks for trials at growing and
//! then halving rates -> a trial ([`trial`]) runs the [`pipeline`] under an open-loop load and keeps
//! lag and latency by interval -> [`figures`] finds the warm-up and the slope of the lag -> at the
//! rate that was found the trial is repeated, once with a kill -> [`summary`] makes the result.
//!
//! Invariants: latency counts from the intended time; a trial whose load generator slipped is
//! invalid, whatever it measured; a rate is sustainable when the lag's slope is zero within its
//! interval and everything is drained soon after the load; every repetition is kept.
//!
//! What it does not do: judge consistency. That is `stormproof run`, and the result says so.

mod figures;
mod pipeline;
mod scenario;
mod search;
mod sink;
mod summary;
mod trial;

pub use scenario::{BenchScenario, PipelineKind};

use stormproof_reports::schema::RunResult;

use crate::clock::Utc;
use crate::error::Result;
use crate::output::Console;
use search::{Search, Step};
use summary::Account;
use trial::{Trial, TrialOutcome};

/// Runs a scenario to its result.
///
/// # Errors
/// When a trial cannot be run at all; a trial that was not sustainable is no error.
pub fn run(scenario: &BenchScenario, console: Console) -> Result<RunResult> {
    let mut account = Account::new(scenario, Utc::now());
    let mut search = Search::new(
        scenario.search_from_per_s,
        scenario.search_to_per_s,
        scenario.precision_percent,
    );
    while let Step::Try(rate_per_s) = search.next() {
        let outcome = attempt(scenario, rate_per_s, false)?;
        console.remark(&outcome.line());
        search.told(outcome.is_sustainable());
        account.searched.push(outcome);
    }
    let Some(found) = search.sustainable() else { return Ok(account.settle()) };
    for _ in 0..scenario.repetitions {
        let outcome = attempt(scenario, found, false)?;
        console.remark(&format!("again: {}", outcome.line()));
        account.repeated.push(outcome);
    }
    // With room to catch up: at the sustainable rate itself a backlog would stay for ever.
    account.killed = Some(attempt(scenario, (found / 2).max(1), true)?);
    Ok(account.settle())
}

fn attempt(scenario: &BenchScenario, rate_per_s: u64, kill: bool) -> Result<TrialOutcome> {
    Trial { scenario, rate_per_s, kill }.run()
}
