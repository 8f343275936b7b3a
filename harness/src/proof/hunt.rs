//! The hunt: every seeded bug against drawn schedules, and the sound engine against the same ones.
//!
//! A bug is caught by the first schedule that breaks an invariant which sees more than the end
//! state. The hunt is repeated in rounds with seeds of their own, because one lucky seed says
//! little: what counts is the worst round, and the median of all.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stormproof_chaos::sim::Plan;
use stormproof_engine::mutants::{self, Mutant};

use super::case::Case;
use super::invariants::is_telling;
use super::parallel;
use crate::run::Interrupt;

/// What to hunt.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The first seed.
    pub first_seed: u64,
    /// Schedules for each bug and round; then it is missed.
    pub seeds: u64,
    /// Rounds, each with seeds of its own.
    pub rounds: u64,
    /// Threads.
    pub jobs: usize,
    /// This bug only.
    pub only: Option<u32>,
    /// No new schedule begins after so long.
    pub time_limit: Option<Duration>,
}

/// A bug in one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Schedules that were run.
    pub schedules: u64,
    /// The schedule that caught it.
    pub caught: Option<Caught>,
    /// Schedules before it that broke the end state only.
    pub only_end_state: u64,
}

/// What caught a bug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caught {
    /// The seed.
    pub seed: u64,
    /// The rules that were broken.
    pub broken: Vec<String>,
    /// What the first of them says.
    pub reason: String,
}

/// What came of one bug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunted {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its rounds.
    pub rounds: Vec<Round>,
}

/// A seed that the sound engine did not survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convicted {
    /// The seed.
    pub seed: u64,
    /// The rules that were broken.
    pub broken: Vec<String>,
}

/// What came of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Each bug.
    pub mutants: Vec<Hunted>,
    /// Schedules of the sound engine: the same seeds.
    pub sound_schedules: u64,
    /// Those it did not survive: there must be none.
    pub sound_convicted: Vec<Convicted>,
    /// Whether the time was up before every bug had its schedules.
    pub was_cut_short: bool,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Hunted {
    /// Whether every round caught it.
    pub fn is_caught(&self) -> bool {
        self.rounds.iter().all(|round| round.caught.is_some())
    }

    /// The schedules of the worst round.
    pub fn worst(&self) -> u64 {
        self.rounds.iter().map(|round| round.schedules).max().unwrap_or(0)
    }

    /// The median of its rounds.
    pub fn median(&self) -> u64 {
        median(self.rounds.iter().map(|round| round.schedules))
    }
}

impl Report {
    /// Bugs that were missed in some round.
    pub fn missed(&self) -> impl Iterator<Item = &Hunted> {
        self.mutants.iter().filter(|hunted| !hunted.is_caught())
    }

    /// The median over all bugs and rounds.
    pub fn median(&self) -> u64 {
        let rounds = self.mutants.iter().flat_map(|hunted| &hunted.rounds);
        median(rounds.map(|round| round.schedules))
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

impl Hunt {
    /// Hunts until all is over, the time is up or somebody interrupts it; `look` sees how many of how
    /// many rounds are over.
    pub fn run(&self, interrupt: &Interrupt, look: &(dyn Fn(usize, usize) + Sync)) -> Report {
        let started = Instant::now();
        let is_late = || self.time_limit.is_some_and(|limit| started.elapsed() >= limit);
        let is_over = || is_late() || interrupt.is_raised();
        let chosen = mutants::ALL.iter().filter(|m| self.only.is_none_or(|only| only == m.number));
        let rounds: Vec<(&Mutant, u64)> =
            chosen.flat_map(|m| (0..self.rounds).map(move |round| (m, round))).collect();
        let all = rounds.len();
        let hunted = parallel::each(
            &rounds,
            self.jobs,
            |(mutant, round)| self.round(mutant, *round, &is_over),
            &|done| look(done, all),
        );
        let mut mutants: Vec<Hunted> = Vec::new();
        for ((mutant, _), round) in rounds.iter().zip(hunted) {
            match mutants.last_mut() {
                Some(last) if last.number == mutant.number => last.rounds.push(round),
                _ => mutants.push(Hunted {
                    number: mutant.number,
                    name: mutant.name.to_owned(),
                    rounds: vec![round],
                }),
            }
        }
        let (sound_schedules, sound_convicted) = self.sound(&mutants, &is_over);
        Report {
            mutants,
            sound_schedules,
            sound_convicted,
            was_cut_short: is_over(),
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    /// The first seed of a round.
    fn first_of(&self, round: u64) -> u64 {
        self.first_seed.wrapping_add(round * self.seeds)
    }

    fn round(&self, mutant: &Mutant, round: u64, is_over: &dyn Fn() -> bool) -> Round {
        let mut only_end_state = 0;
        for n in 0..self.seeds {
            if is_over() {
                return Round { schedules: n, caught: None, only_end_state };
            }
            let seed = self.first_of(round).wrapping_add(n);
            let case = Case { plan: Plan::draw(seed), mutant: mutant.number };
            let judged = case.run(false).judged;
            if is_telling(&judged.broken, mutant) {
                let reason = judged.reasons.first().cloned().unwrap_or_default();
                let caught = Some(Caught { seed, broken: judged.broken, reason });
                return Round { schedules: n + 1, caught, only_end_state };
            }
            only_end_state += u64::from(!judged.broken.is_empty());
        }
        Round { schedules: self.seeds, caught: None, only_end_state }
    }

    /// The sound engine on every seed that was used.
    fn sound(
        &self,
        hunted: &[Hunted],
        is_over: &(dyn Fn() -> bool + Sync),
    ) -> (u64, Vec<Convicted>) {
        let used = |round: u64| {
            let of = |hunted: &Hunted| hunted.rounds[round as usize].schedules;
            hunted.iter().map(of).max().unwrap_or(0)
        };
        let seeds: Vec<u64> = (0..self.rounds)
            .flat_map(|round| (0..used(round)).map(move |n| (round, n)))
            .map(|(round, n)| self.first_of(round).wrapping_add(n))
            .collect();
        let judged = parallel::each(
            &seeds,
            self.jobs,
            |seed| {
                let case = || Case { plan: Plan::draw(*seed), mutant: 0 };
                (!is_over()).then(|| Convicted { seed: *seed, broken: case().broken() })
            },
            &|_| {},
        );
        let ran: Vec<Convicted> = judged.into_iter().flatten().collect();
        let schedules = ran.len() as u64;
        (schedules, ran.into_iter().filter(|convicted| !convicted.broken.is_empty()).collect())
    }
}
