//! Many seeds: run, judged, counted, on several threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stormproof_chaos::sim::{self, Plan};

use super::{Outcome, Saved, judge};
use crate::error::Result;
use crate::run::Interrupt;

/// Failing seeds that are kept by name.
const FAILURES_KEPT: usize = 100;

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
    /// No new schedule begins after so long.
    pub time_limit: Option<Duration>,
    /// About this parallelism for all, instead of drawing it.
    pub parallelism: Option<u16>,
    /// Where failing plans are saved.
    pub out: Option<PathBuf>,
}

/// A schedule that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// The rules that were broken.
    pub broken: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Schedules that ran.
    pub schedules: u64,
    /// Schedules by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Faults that landed, by step and action.
    pub cells: BTreeMap<String, u64>,
    /// Execution attempts.
    pub attempts: u64,
    /// Completed checkpoints.
    pub checkpoints: u64,
    /// Restores of a checkpoint.
    pub restores: u64,
    /// Effects in the database.
    pub effects: u64,
    /// Events of the scheduler.
    pub events: u64,
    /// Virtual time of all schedules together, in seconds.
    pub virtual_s: f64,
    /// Failing schedules by seed.
    pub failures: Vec<Failed>,
    /// Schedules that failed, also those that are not kept by name.
    pub failed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Whether somebody ended it before its time.
    pub was_interrupted: bool,
}

impl Summary {
    /// Schedules of an outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&name(outcome)).copied().unwrap_or(0)
    }

    /// Schedules for each second of wall-clock time.
    pub fn per_second(&self) -> f64 {
        self.schedules as f64 / self.seconds.max(1e-9)
    }
}

fn name(outcome: Outcome) -> String {
    format!("{outcome:?}").to_lowercase()
}

impl Campaign {
    /// The plan of a seed.
    pub fn plan(&self, seed: u64) -> Plan {
        match self.parallelism {
            Some(parallelism) => Plan::draw_sized(seed, parallelism),
            None => Plan::draw(seed),
        }
    }

    /// Runs it until it is over or interrupted; `progress` is shown the summary so far, every second.
    ///
    /// # Errors
    /// When a failing plan cannot be saved.
    pub fn run(
        &self,
        interrupt: &Interrupt,
        progress: &(dyn Fn(&Summary) + Sync),
    ) -> Result<Summary> {
        let started = Instant::now();
        let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let summary: Mutex<(Summary, Result<()>)> = Mutex::new((Summary::default(), Ok(())));
        let work = || {
            while !is_over.load(Ordering::Relaxed) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let is_late = self.time_limit.is_some_and(|l| started.elapsed() >= l);
                if n >= self.seeds || is_late || interrupt.is_raised() {
                    break;
                }
                let outcome = self.one(self.first_seed.wrapping_add(n), &summary);
                if outcome.is_err() {
                    is_over.store(true, Ordering::Relaxed);
                    summary.lock().expect("no thread panics here").1 = outcome;
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            let mut shown = Instant::now();
            while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                std::thread::sleep(Duration::from_millis(5));
                if shown.elapsed() >= Duration::from_secs(1) {
                    shown = Instant::now();
                    let mut so_far = summary.lock().expect("no thread panics here");
                    so_far.0.seconds = started.elapsed().as_secs_f64();
                    progress(&so_far.0);
                }
            }
        });
        let (mut summary, outcome) = summary.into_inner().expect("no thread panics here");
        outcome?;
        summary.seconds = started.elapsed().as_secs_f64();
        summary.was_interrupted = interrupt.is_raised();
        summary.failures.sort();
        Ok(summary)
    }

    fn one(&self, seed: u64, summary: &Mutex<(Summary, Result<()>)>) -> Result<()> {
        let plan = self.plan(seed);
        let run = sim::run(&plan, false);
        let judged = judge(&plan, &run);
        {
            let sum = &mut summary.lock().expect("no thread panics here").0;
            sum.schedules += 1;
            *sum.outcomes.entry(name(judged.outcome)).or_default() += 1;
            for landed in &run.landed {
                let step = landed.step.map_or("any moment", |step| step.name());
                let cell = format!("{step} x {}", landed.action);
                *sum.cells.entry(cell).or_default() += 1;
            }
            sum.attempts += u64::from(run.attempts);
            sum.checkpoints += run.completed;
            sum.restores += run.restores;
            sum.effects += run.evidence.audit.len() as u64;
            sum.events += run.events;
            sum.virtual_s += run.now_us as f64 / 1e6;
            if judged.outcome == Outcome::Violated {
                sum.failed += 1;
                if sum.failures.len() < FAILURES_KEPT {
                    sum.failures.push(Failed { seed, broken: judged.broken.clone() });
                }
            }
        }
        if judged.outcome == Outcome::Violated
            && let Some(folder) = &self.out
        {
            Saved::new(&plan, &judged).save(folder)?;
        }
        Ok(())
    }
}
