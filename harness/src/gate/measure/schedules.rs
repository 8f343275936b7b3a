//! What becomes of simulated schedules, written down so that two binaries can be compared.
//!
//! Invariants: the first [`TWICE`] seeds are run twice, and a difference is told as such; the digest
//! covers everything that a run leaves behind, the letters only its verdict.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use stormproof_chaos::sim::{self, Plan};
use xxhash_rust::xxh3::Xxh3;

use crate::sim::{Outcome, judge};

/// Seeds whose course is checked against itself.
pub const TWICE: u64 = 20;

/// What became of seeds that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The first seed.
    pub first_seed: u64,
    /// One letter for each seed: `p` proven, `v` vacuous, `u` unknown, `X` violated.
    pub letters: String,
    /// Of everything that all of them left behind.
    pub digest: String,
    /// Seeds of which two runs differed.
    pub unstable: Vec<u64>,
}

impl Outcomes {
    /// How many seeds have `letter`.
    pub fn count(&self, letter: char) -> u64 {
        self.letters.chars().filter(|c| *c == letter).count() as u64
    }

    /// The seeds that have `letter`.
    pub fn seeds(&self, letter: char) -> impl Iterator<Item = u64> {
        let all = (self.first_seed..).zip(self.letters.chars());
        all.filter(move |(_, c)| *c == letter).map(|(seed, _)| seed)
    }
}

/// The letter of an outcome.
fn letter(outcome: Outcome) -> char {
    match outcome {
        Outcome::Proven => 'p',
        Outcome::Vacuous => 'v',
        Outcome::Unknown => 'u',
        Outcome::Violated => 'X',
    }
}

/// Verdict and digest of one seed.
fn one(seed: u64) -> (char, u64) {
    let plan = Plan::draw(seed);
    let run = sim::run(&plan, false);
    let judged = judge(&plan, &run);
    let mut digest = Xxh3::new();
    run.evidence.hash(&mut digest);
    run.end.hash(&mut digest);
    (run.events, run.now_us, run.attempts, run.completed, run.restores).hash(&mut digest);
    (letter(judged.outcome), digest.finish())
}

/// Runs `seeds` seeds from `first_seed` on, on all cores.
pub fn run(first_seed: u64, seeds: u64) -> Outcomes {
    let next = AtomicU64::new(0);
    let found: Mutex<Vec<(u64, char, u64)>> = Mutex::default();
    let unstable: Mutex<Vec<u64>> = Mutex::default();
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= seeds {
                break;
            }
            let seed = first_seed.wrapping_add(n);
            let (letter, digest) = one(seed);
            if n < TWICE && one(seed) != (letter, digest) {
                unstable.lock().expect("no thread panics here").push(seed);
            }
            found.lock().expect("no thread panics here").push((n, letter, digest));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().expect("no thread panics here");
    found.sort_unstable();
    let mut all = Xxh3::new();
    found.iter().for_each(|(_, _, digest)| all.write_u64(*digest));
    let mut unstable = unstable.into_inner().expect("no thread panics here");
    unstable.sort_unstable();
    Outcomes {
        first_seed,
        letters: found.iter().map(|(_, letter, _)| letter).collect(),
        digest: format!("{:016x}", all.finish()),
        unstable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seeds_have_the_same_outcomes_and_others_another_digest() {
        let outcomes = run(1, 12);
        assert_eq!(outcomes, run(1, 12));
        assert_eq!(outcomes.letters.len(), 12);
        assert!(outcomes.unstable.is_empty());
        assert!(outcomes.count('p') > 0 && outcomes.count('X') == 0, "{outcomes:?}");
        assert_ne!(outcomes.digest, run(2, 12).digest);
        let proven: Vec<u64> = outcomes.seeds('p').collect();
        assert_eq!(run(proven[0], 1).letters, "p");
    }
}
