//! Restarts within a process: each after the pause that the restart strategy asks for, and as many
//! as it allows, no more and no less. Whoever was fenced begins nothing more.

use std::collections::BTreeMap;

use stormproof_engine::error::EngineError;
use stormproof_engine::ids::AttemptId;
use stormproof_engine::runtime::RestartStrategy;
use stormproof_engine::seam::TimeUs;

use super::EVENT_LATE_US;
use crate::fault::FaultAction;
use crate::sim::core::ProcessId;
use crate::sim::plan::Plan;
use crate::sim::weather::{Disturbance, SLOWER, Window};

/// With this word an error says that a later attempt has taken over.
pub(super) const FENCED: &str = "fenced";

/// How long, beside the pause and what is waited for, a process may take to claim its next attempt's
/// number.
const CLAIM_WITHIN_US: TimeUs = 100_000;

/// What has failed in a process so far.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last_us: TimeUs,
    was_fenced: bool,
    /// The pause that follows; `None` when nobody can tell whether it has started over.
    pause_us: Option<TimeUs>,
}

/// The strategy, and what was heard of each process.
#[derive(Debug)]
pub(super) struct Restarts {
    strategy: RestartStrategy,
    /// How much longer than the pause it may take: what is on its way to the storage is waited for,
    /// and the process may be made to stand still.
    late_us: TimeUs,
    failures: BTreeMap<ProcessId, Failures>,
}

impl Restarts {
    pub(super) fn of(plan: &Plan) -> Self {
        let is_slow = |window: &Window| window.disturbance == Disturbance::StoreSlow;
        let slower = if plan.windows.iter().any(is_slow) { SLOWER } else { 1 };
        let pauses = plan.faults.iter().map(|fault| match fault.action {
            FaultAction::Pause { ms } | FaultAction::Delay { ms } => ms * 1_000,
            _ => 0,
        });
        let late_us =
            CLAIM_WITHIN_US + 2 * plan.services.store.max_us * slower + pauses.sum::<u64>();
        Self { strategy: plan.restart(), late_us, failures: BTreeMap::new() }
    }

    /// How many restarts there may be.
    fn max(&self) -> u32 {
        match self.strategy {
            RestartStrategy::None => 0,
            RestartStrategy::FixedDelay { max_restarts, .. } => max_restarts,
            RestartStrategy::ExponentialDelay { .. } => u32::MAX,
        }
    }

    /// An attempt has failed, or its number could not be written down.
    pub(super) fn on_failed(&mut self, process: ProcessId, cause: &str, now_us: TimeUs) {
        let failures = self.failures.entry(process).or_default();
        failures.pause_us = pause_us(&self.strategy, *failures, now_us);
        failures.count += 1;
        failures.last_us = now_us;
        failures.was_fenced |= cause.starts_with(FENCED);
    }

    /// An attempt begins; `asked_since` says when its process has first asked for one since a moment:
    /// what is wrong with that.
    pub(super) fn on_begun(
        &self,
        process: ProcessId,
        attempt: AttemptId,
        asked_since: impl Fn(TimeUs) -> Option<TimeUs>,
    ) -> Option<String> {
        let Failures { count, last_us, was_fenced, pause_us } = *self.failures.get(&process)?;
        if was_fenced {
            return Some(format!("attempt {attempt} began in {process}, which had been fenced"));
        }
        let max = self.max();
        if count > max {
            return Some(format!(
                "attempt {attempt} began after {count} failures in {process}, and {max} restarts \
                 are allowed"
            ));
        }
        let pause_us = pause_us?;
        let after_us = asked_since(last_us)? - last_us;
        (!(pause_us..=pause_us + self.late_us).contains(&after_us)).then(|| {
            format!(
                "attempt {attempt} was asked for {after_us} us after failure {count} in {process}, and \
                 the pause is {pause_us} us"
            )
        })
    }

    /// Behind a step a process pauses until `until_us`: what is wrong with that.
    pub(super) fn at_pause(&self, process: ProcessId, until_us: TimeUs) -> Option<String> {
        let Failures { count, last_us, pause_us, .. } = *self.failures.get(&process)?;
        let (pause_us, chosen_us) = (pause_us?, until_us - last_us);
        (chosen_us.abs_diff(pause_us) > EVENT_LATE_US).then(|| {
            format!(
                "after failure {count} {process} pauses for {chosen_us} us, and the pause is \
                 {pause_us} us"
            )
        })
    }

    /// A process has ended over `error`: what is wrong with that.
    pub(super) fn on_over(&self, process: ProcessId, error: &EngineError) -> Option<String> {
        let Failures { count, .. } = *self.failures.get(&process)?;
        let max = self.max();
        (error.is_retryable() && count <= max).then(|| {
            format!(
                "{process} ended after {count} failures, and {max} restarts are allowed: {error}"
            )
        })
    }
}

/// The pause after a failure at `now_us`, in a process with such failures before.
fn pause_us(strategy: &RestartStrategy, before: Failures, now_us: TimeUs) -> Option<TimeUs> {
    match *strategy {
        RestartStrategy::None => None,
        RestartStrategy::FixedDelay { delay_ms, .. } => Some(delay_ms * 1_000),
        RestartStrategy::ExponentialDelay { initial_ms, max_ms, factor, reset_after_ms } => {
            if before.count == 0 {
                return Some(initial_ms * 1_000);
            }
            // Quiet is what follows the pause; of an unknown one, that it is not longer than any.
            let since_us = now_us - before.last_us;
            let quiet_us = since_us.saturating_sub(before.pause_us.unwrap_or(max_ms * 1_000));
            let reset_us = reset_after_ms * 1_000;
            if quiet_us > reset_us + EVENT_LATE_US {
                return Some(initial_ms * 1_000);
            }
            if quiet_us + EVENT_LATE_US > reset_us {
                return None;
            }
            // It grows by whole milliseconds.
            let grown_ms = (before.pause_us? as f64 / 1_000.0 * factor).floor();
            Some(grown_ms.min(max_ms as f64) as u64 * 1_000)
        }
    }
}
