//! The wall-clock decision about one figure, pair by pair. Pure: told ratios, it says whether it
//! wants more of them or what the answer is.
//!
//! *Follow a trial:* the first look comes after [`Rule::first_pairs`], later ones after every few
//! pairs. An interval wholly below the threshold ends the trial: no regression. One wholly above
//! zero, whose middle reaches the threshold, is a suspicion: the pairs are put away, and a
//! confirmation begins from nothing. Its length is fixed when it begins, and it is looked at once:
//! many looks find something in any noise. Only what fails twice, in pairs that are independent, is
//! a regression. Whoever is undecided at the end of a round gets no verdict.
//!
//! Invariants: a regression rests on at least twice [`Rule::first_pairs`]; the size that is told of
//! it comes from the confirmation alone, since the pairs that raised a suspicion were chosen for
//! it; one pair never changes an answer that was given.

use super::interval::{Estimate, bootstrap};

/// When to look, and what is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Pairs before the first look; at least 5.
    pub first_pairs: usize,
    /// Pairs after which a round ends without an answer.
    pub max_pairs: usize,
    /// The smallest slowdown that matters, as a share: 0.02 = 2 %.
    pub worse: f64,
    /// Confidence of each interval: 0.95 = 95 %.
    pub confidence: f64,
}

/// What a figure has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not worse than the threshold.
    Pass,
    /// Worse, twice.
    Regression,
    /// Too noisy to say.
    NoVerdict,
}

/// The second round.
#[derive(Clone, Copy, Debug)]
struct Confirmation {
    /// Pairs that raised the suspicion.
    suspected: usize,
    /// Pairs after which it is looked at, once.
    wanted: usize,
}

/// A decision under way.
#[derive(Clone, Debug)]
pub struct Trial {
    rule: Rule,
    confirmation: Option<Confirmation>,
    pairs: Vec<f64>,
    answer: Option<Answer>,
}

impl Trial {
    /// A trial that has seen nothing.
    pub fn new(rule: Rule) -> Self {
        Self { rule, confirmation: None, pairs: Vec::new(), answer: None }
    }

    /// The answer, once there is one.
    pub fn answer(&self) -> Option<Answer> {
        self.answer
    }

    /// Whether a confirmation is under way or was made.
    pub fn is_confirmation(&self) -> bool {
        self.confirmation.is_some()
    }

    /// Pairs of both rounds.
    pub fn pairs(&self) -> usize {
        self.pairs.len() + self.confirmation.map_or(0, |round| round.suspected)
    }

    /// The slowdown in the current round: the logarithm of head over base, positive = worse.
    pub fn estimate(&self) -> Option<Estimate> {
        bootstrap(&self.pairs, self.rule.confidence)
    }

    /// Takes the logarithm of how much worse head was than base in a pair.
    pub fn told(&mut self, log_worse: f64) {
        if self.answer.is_some() {
            return;
        }
        self.pairs.push(log_worse);
        if self.is_look() {
            self.look();
        }
    }

    fn is_look(&self) -> bool {
        let (n, first) = (self.pairs.len(), self.rule.first_pairs);
        if let Some(round) = self.confirmation {
            return n == round.wanted;
        }
        let between = first.div_ceil(2).max(1);
        n == self.rule.max_pairs || (n >= first && (n - first).is_multiple_of(between))
    }

    fn look(&mut self) {
        let Some(found) = self.estimate() else {
            return self.undecided();
        };
        let worse = self.rule.worse.ln_1p();
        if found.high < worse {
            self.answer = Some(Answer::Pass);
        } else if found.low > 0.0 && found.value >= worse {
            match self.confirmation {
                Some(_) => self.answer = Some(Answer::Regression),
                None => self.suspect(),
            }
        } else {
            self.undecided();
        }
    }

    fn suspect(&mut self) {
        let suspected = self.pairs.len();
        // More than raised it: what was just enough by luck is not enough again.
        let wanted = (suspected + self.rule.first_pairs).min(self.rule.max_pairs);
        self.pairs.clear();
        self.confirmation = Some(Confirmation { suspected, wanted });
    }

    fn undecided(&mut self) {
        if self.confirmation.is_some() || self.pairs.len() >= self.rule.max_pairs {
            self.answer = Some(Answer::NoVerdict);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: Rule = Rule { first_pairs: 5, max_pairs: 20, worse: 0.02, confidence: 0.95 };

    fn decide(mut next: impl FnMut(usize) -> f64) -> Trial {
        let mut trial = Trial::new(RULE);
        let mut n = 0;
        while trial.answer().is_none() {
            trial.told(next(n));
            n += 1;
            assert!(n <= 2 * RULE.max_pairs, "it comes to an end");
        }
        trial
    }

    /// Values around `middle`, without chance.
    fn around(middle: f64, spread: f64) -> impl FnMut(usize) -> f64 {
        move |n| middle + spread * [0.3, -1.0, 0.9, -0.4, 0.2, 1.0, -0.8, -0.2][n % 8]
    }

    #[test]
    fn nothing_changed_passes_after_the_first_look() {
        let trial = decide(around(0.0, 0.005));
        assert_eq!((trial.answer(), trial.pairs()), (Some(Answer::Pass), 5));
    }

    #[test]
    fn a_slowdown_is_a_regression_only_when_it_is_confirmed() {
        let trial = decide(around(0.05, 0.005));
        assert_eq!((trial.answer(), trial.pairs()), (Some(Answer::Regression), 15));
        assert!(trial.is_confirmation());
        // The machine was busy during the first five only.
        let mut slow = around(0.05, 0.005);
        let mut quiet = around(0.0, 0.005);
        let trial = decide(|n| if n < 5 { slow(n) } else { quiet(n) });
        assert_eq!(trial.answer(), Some(Answer::Pass));
        assert!(trial.is_confirmation());
    }

    #[test]
    fn noise_gets_no_verdict() {
        let trial = decide(around(0.01, 0.3));
        assert_eq!((trial.answer(), trial.pairs()), (Some(Answer::NoVerdict), 20));
    }

    #[test]
    fn a_gain_passes() {
        assert_eq!(decide(around(-0.3, 0.05)).answer(), Some(Answer::Pass));
    }

    proptest! {
        #[test]
        fn every_trial_ends_and_no_regression_comes_from_one_round(
            values in prop::collection::vec(-0.2f64..0.2, 40),
        ) {
            let trial = decide(|n| values[n]);
            if trial.answer() == Some(Answer::Regression) {
                prop_assert!(trial.pairs() >= 2 * RULE.first_pairs);
                let found = trial.estimate().expect("a round");
                prop_assert!(found.low > 0.0 && found.value >= RULE.worse.ln_1p());
            }
        }

        #[test]
        fn what_is_uniformly_worse_is_never_passed(
            worse in 0.021f64..1.0,
            values in prop::collection::vec(0.0f64..0.0005, 40),
        ) {
            let trial = decide(|n| worse.ln_1p() + values[n]);
            prop_assert_eq!(trial.answer(), Some(Answer::Regression));
        }
    }
}
