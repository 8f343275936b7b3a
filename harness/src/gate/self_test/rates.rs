//! Rates of answers: the same decision, thousands of times, over measured noise. Pure.
//!
//! A trial's pairs are drawn from a measured A/A series, centred, each moved by the planted
//! slowdown; the decision is the gate's own. So the rates are those of this machine's noise, not of
//! a bell curve; what they leave out is that neighbouring pairs may be alike.

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use super::super::interval::trimmed_mean;
use super::super::trial::{Answer, Rule, Trial};
use super::PLANTS;

/// How often which answer was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The figure whose noise it is.
    pub figure: String,
    /// The plant.
    pub planted_percent: f64,
    /// Trials.
    pub draws: usize,
    /// The share that was a regression.
    pub regression: f64,
    /// The share that passed.
    pub pass: f64,
    /// The share without a verdict.
    pub no_verdict: f64,
    /// Pairs that a trial took.
    pub mean_pairs: f64,
}

/// The rates of every figure and plant.
pub fn rates(noise: &BTreeMap<String, Vec<f64>>, rule: Rule, draws: usize) -> Vec<Rate> {
    let all = noise.iter().flat_map(|(figure, noise)| {
        PLANTS.map(|planted_percent| rate(figure, noise, planted_percent, rule, draws))
    });
    all.collect()
}

fn rate(figure: &str, noise: &[f64], planted_percent: f64, rule: Rule, draws: usize) -> Rate {
    let middle = trimmed_mean(noise);
    let moved = (planted_percent / 100.0).ln_1p() - middle;
    let mut random = Pcg64Mcg::seed_from_u64(planted_percent.to_bits());
    let (mut regressions, mut passes, mut pairs) = (0_usize, 0_usize, 0_usize);
    for _ in 0..draws {
        let mut trial = Trial::new(rule);
        while !noise.is_empty() && trial.answer().is_none() {
            trial.told(noise[random.random_range(0..noise.len())] + moved);
        }
        regressions += usize::from(trial.answer() == Some(Answer::Regression));
        passes += usize::from(trial.answer() == Some(Answer::Pass));
        pairs += trial.pairs();
    }
    let share = |count: usize| count as f64 / draws.max(1) as f64;
    Rate {
        figure: figure.to_owned(),
        planted_percent,
        draws,
        regression: share(regressions),
        pass: share(passes),
        no_verdict: share(draws - regressions - passes),
        mean_pairs: share(pairs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { first_pairs: 6, max_pairs: 30, worse: 0.02, confidence: 0.95 };

    fn of(spread: f64) -> Vec<Rate> {
        let mut random = Pcg64Mcg::seed_from_u64(3);
        let mut bell = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let noise = (0..60).map(|_| spread * bell()).collect();
        rates(&BTreeMap::from([("cpu".to_owned(), noise)]), RULE, 150)
    }

    #[test]
    fn on_a_quiet_machine_plants_are_found_and_a_a_passes() {
        let rates = of(0.01);
        assert!(rates[0].regression <= 0.01 && rates[0].pass > 0.9, "{:?}", rates[0]);
        assert!(rates[2].regression > 0.95, "{:?}", rates[2]);
        assert!(rates[3].regression > 0.99, "{:?}", rates[3]);
    }

    #[test]
    fn on_a_noisy_machine_there_are_no_false_alarms_but_no_verdicts() {
        let rates = of(0.20);
        assert!(rates[0].regression <= 0.01, "{:?}", rates[0]);
        assert!(rates[0].no_verdict > 0.5, "{:?}", rates[0]);
    }

    #[test]
    fn no_noise_has_no_verdict() {
        let rates = rates(&BTreeMap::from([("cpu".to_owned(), Vec::new())]), RULE, 10);
        assert!(rates.iter().all(|rate| rate.no_verdict == 1.0), "{rates:?}");
    }
}
