//! Restart strategies: whether and when another attempt begins. Pure.

use super::RestartStrategy;
use crate::mutants;
use crate::seam::TimeUs;

/// A strategy and what it remembers.
#[derive(Clone, Debug)]
pub struct RestartPolicy {
    strategy: RestartStrategy,
    restarts: u32,
    delay_ms: u64,
    last_failure_us: Option<TimeUs>,
}

impl RestartPolicy {
    /// A policy that has seen no failure.
    pub fn new(strategy: RestartStrategy) -> Self {
        Self { strategy, restarts: 0, delay_ms: 0, last_failure_us: None }
    }

    /// A failure at `now`: the delay before the next attempt in milliseconds, or none when the
    /// job has to end.
    pub fn on_failure(&mut self, now: TimeUs) -> Option<u64> {
        let delay_ms = self.delay_of_next(now);
        match mutants::is_active(mutants::RESTARTS_AT_ONCE) {
            true => delay_ms.map(|_| 0),
            false => delay_ms,
        }
    }

    fn delay_of_next(&mut self, now: TimeUs) -> Option<u64> {
        let quiet_us = self.last_failure_us.map(|last| now.saturating_sub(last));
        if !self.is_in_a_row(quiet_us) || !mutants::is_active(mutants::QUIET_SINCE_RESET) {
            self.last_failure_us = Some(now);
        }
        match self.strategy {
            RestartStrategy::None => None,
            RestartStrategy::FixedDelay { delay_ms, max_restarts } => {
                self.restarts += 1;
                let is_allowed =
                    self.restarts <= max_restarts || mutants::is_active(mutants::RESTARTS_FOR_EVER);
                is_allowed.then_some(delay_ms)
            }
            RestartStrategy::ExponentialDelay { initial_ms, max_ms, factor, .. } => {
                self.delay_ms = if self.is_in_a_row(quiet_us) {
                    let has_end = !mutants::is_active(mutants::PAUSE_WITHOUT_END);
                    let max_ms = if has_end { max_ms } else { u64::MAX };
                    ((self.delay_ms as f64 * factor) as u64).clamp(initial_ms.min(max_ms), max_ms)
                } else {
                    initial_ms
                };
                Some(self.delay_ms)
            }
        }
    }

    /// Whether a failure so long after the one before makes the delay grow.
    fn is_in_a_row(&self, quiet_us: Option<TimeUs>) -> bool {
        let RestartStrategy::ExponentialDelay { reset_after_ms, .. } = self.strategy else {
            return false;
        };
        quiet_us.is_some_and(|quiet| quiet < reset_after_ms * 1000)
    }
}
