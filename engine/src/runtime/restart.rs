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
    /// When the last pause is over.
    paused_until_us: Option<TimeUs>,
}

impl RestartPolicy {
    /// A policy that has seen no failure.
    pub fn new(strategy: RestartStrategy) -> Self {
        Self { strategy, restarts: 0, delay_ms: 0, paused_until_us: None }
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
        match self.strategy {
            RestartStrategy::None => None,
            RestartStrategy::FixedDelay { delay_ms, max_restarts } => {
                self.restarts += 1;
                let is_allowed =
                    self.restarts <= max_restarts || mutants::is_active(mutants::RESTARTS_FOR_EVER);
                is_allowed.then_some(delay_ms)
            }
            RestartStrategy::ExponentialDelay { initial_ms, max_ms, factor, reset_after_ms } => {
                // Quiet is what follows the pause, as Flink counts it
                // (`ExponentialDelayRestartBackoffTimeStrategy`, `nextRestartTimestamp`).
                let quiet_us = self.paused_until_us.map(|until| now.saturating_sub(until));
                let is_in_a_row = quiet_us.is_some_and(|quiet| quiet < reset_after_ms * 1000);
                self.delay_ms = if is_in_a_row {
                    let has_end = !mutants::is_active(mutants::PAUSE_WITHOUT_END);
                    let max_ms = if has_end { max_ms } else { u64::MAX };
                    ((self.delay_ms as f64 * factor) as u64).clamp(initial_ms.min(max_ms), max_ms)
                } else if mutants::is_active(mutants::PAUSE_STAYS_GROWN) && self.delay_ms > 0 {
                    self.delay_ms
                } else {
                    initial_ms
                };
                if !is_in_a_row || !mutants::is_active(mutants::QUIET_SINCE_RESET) {
                    self.paused_until_us =
                        Some(now.saturating_add(self.delay_ms.saturating_mul(1000)));
                }
                Some(self.delay_ms)
            }
        }
    }
}
