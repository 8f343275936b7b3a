//! Whole-system benches: how much a pipeline sustains, and with which latency.
//!
//! *Follow a bench:* [`BenchScenario`] says what runs -> [`search`] asks for trials at growing and
//! then halving rates -> a trial ([`trial`]) runs the [`pipeline`] under an open-loop load and keeps
//! lag and latency by interval -> [`figures`] finds the warm-up and the slope of the lag -> at the
//! rate that was found the trial is repeated, once with a kill -> [`summary`] makes the result.
//!
//! Invariants: latency counts from the intended time; a trial whose load generator slipped is
//! invalid, whatever it measured, and is tried again; a rate is sustainable when the lag's slope is
//! zero within its interval and everything is drained soon after the load, in more than half of its
//! repetitions; every trial is kept.
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

/// How often the rate is lowered by the search's precision when it does not hold.
const STEPS_DOWN: u32 = 3;
/// How many repetitions with a load that slipped are made up for.
const SLIPS_MADE_UP_FOR: u32 = 2;

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
        // A load that slipped says nothing of the pipeline: once more.
        for _ in 0..2 {
            let outcome = attempt(scenario, rate_per_s, false)?;
            console.remark(&outcome.line());
            account.searched.push(outcome);
            if account.searched.last().is_some_and(|outcome| outcome.invalid().is_none()) {
                break;
            }
        }
        search.told(account.searched.last().is_some_and(TrialOutcome::is_sustainable));
    }
    let Some(mut rate_per_s) = search.sustainable() else { return Ok(account.settle()) };
    repeat(scenario, rate_per_s, console, &mut account)?;
    for _ in 0..STEPS_DOWN {
        if account.is_held() {
            break;
        }
        account.searched.append(&mut account.repeated);
        rate_per_s = (rate_per_s - rate_per_s * scenario.precision_percent / 100).max(1);
        repeat(scenario, rate_per_s, console, &mut account)?;
    }
    if account.is_held() {
        // With room to catch up: at the sustainable rate itself a backlog would stay for ever.
        account.killed = Some(attempt(scenario, (rate_per_s / 2).max(1), true)?);
    }
    Ok(account.settle())
}

/// Repeats the trial at a rate as often as the scenario says.
fn repeat(
    scenario: &BenchScenario,
    rate_per_s: u64,
    console: Console,
    account: &mut Account<'_>,
) -> Result<()> {
    for _ in 0..scenario.repetitions + SLIPS_MADE_UP_FOR {
        if account.valid() >= scenario.repetitions as usize {
            break;
        }
        let outcome = attempt(scenario, rate_per_s, false)?;
        console.remark(&format!("again: {}", outcome.line()));
        account.repeated.push(outcome);
    }
    Ok(())
}

fn attempt(scenario: &BenchScenario, rate_per_s: u64, kill: bool) -> Result<TrialOutcome> {
    Trial { scenario, rate_per_s, kill }.run()
}
