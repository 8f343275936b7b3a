//! Long runs: fresh seeds for hours, in bounded memory, with a rolling summary. What fails is
//! saved and shrunk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stormproof_chaos::sim::Plan;

use super::case::Case;
use crate::error::{Result, folder};
use crate::run::Interrupt;
use crate::sim::campaign::{Campaign, Summary};
use crate::sim::{Outcome, Saved};

/// Seeds between two looks at the clock.
const CHUNK: u64 = 2_000;
/// How long one failing schedule is shrunk.
const SHRINK_FOR: Duration = Duration::from_secs(10);
/// So many failing schedules are shrunk; of what comes after, only seeds are kept.
const SHRUNK_AT_MOST: usize = 50;

/// What to do.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The first seed.
    pub first_seed: u64,
    /// Schedules at most.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
    /// No new schedule begins after so long.
    pub time_limit: Duration,
    /// Where failing schedules are saved.
    pub out: PathBuf,
}

/// The rolling summary: sums only, whatever the time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rolling {
    /// The first seed.
    pub first_seed: u64,
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
    /// Restores.
    pub restores: u64,
    /// Effects.
    pub effects: u64,
    /// Virtual time of all schedules together, in seconds.
    pub virtual_s: f64,
    /// Schedules that failed.
    pub failed: u64,
    /// Seeds of the first failing schedules, with the rules they broke.
    pub failures: Vec<(u64, Vec<String>)>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Resident memory of this process at the end, in bytes.
    pub resident_bytes: u64,
    /// Whether somebody ended it before its time.
    #[serde(default)]
    pub was_interrupted: bool,
}

impl Rolling {
    fn add(&mut self, chunk: &Summary) {
        self.schedules += chunk.schedules;
        for (all, some) in [(&mut self.outcomes, &chunk.outcomes), (&mut self.cells, &chunk.cells)]
        {
            for (name, count) in some {
                *all.entry(name.clone()).or_default() += count;
            }
        }
        self.attempts += chunk.attempts;
        self.checkpoints += chunk.checkpoints;
        self.restores += chunk.restores;
        self.effects += chunk.effects;
        self.virtual_s += chunk.virtual_s;
        self.failed += chunk.failed;
        let room = SHRUNK_AT_MOST.saturating_sub(self.failures.len());
        let new = chunk.failures.iter().take(room);
        self.failures.extend(new.map(|failed| (failed.seed, failed.broken.clone())));
    }

    /// Schedules of an outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        let name = format!("{outcome:?}").to_lowercase();
        self.outcomes.get(&name).copied().unwrap_or(0)
    }
}

impl Soak {
    /// Runs until the time is up or somebody interrupts it; `look` sees the summary after each chunk
    /// of seeds, and so does the folder.
    ///
    /// # Errors
    /// When the summary or a failing schedule cannot be saved.
    pub fn run(&self, interrupt: &Interrupt, look: &(dyn Fn(&Rolling) + Sync)) -> Result<Rolling> {
        let started = Instant::now();
        let mut rolling = Rolling { first_seed: self.first_seed, ..Rolling::default() };
        while rolling.schedules < self.seeds
            && started.elapsed() < self.time_limit
            && !interrupt.is_raised()
        {
            let campaign = Campaign {
                first_seed: self.first_seed.wrapping_add(rolling.schedules),
                seeds: CHUNK.min(self.seeds - rolling.schedules),
                jobs: self.jobs,
                time_limit: Some(self.time_limit.saturating_sub(started.elapsed())),
                parallelism: None,
                out: Some(self.out.clone()),
            };
            let known = rolling.failures.len();
            rolling.add(&campaign.run(interrupt, &|_| {})?);
            rolling.was_interrupted = interrupt.is_raised();
            rolling.seconds = started.elapsed().as_secs_f64();
            rolling.resident_bytes = resident_bytes();
            for (seed, broken) in &rolling.failures[known..] {
                self.shrink(*seed, &broken[0])?;
            }
            self.save(&rolling)?;
            look(&rolling);
        }
        Ok(rolling)
    }

    /// Writes the summary beside the failing schedules.
    fn save(&self, rolling: &Rolling) -> Result<()> {
        let file = self.out.join("summary.json");
        let mut json = serde_json::to_string_pretty(rolling).expect("sums are plain data");
        json.push('\n');
        std::fs::create_dir_all(&self.out).and_then(|()| std::fs::write(&file, json)).map_err(
            |error| {
                folder(format!("cannot write the summary: {error}"))
                    .at(file.display().to_string())
                    .remedy("choose another folder with --out, or make room")
            },
        )
    }

    fn shrink(&self, seed: u64, rule: &str) -> Result<()> {
        let case = Case { plan: Plan::draw(seed), mutant: 0 };
        let least = case.shrunk(rule, SHRINK_FOR).plan;
        Saved::of(&least, &least.run(true)).save(&self.out.join("shrunk")).map(drop)
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
