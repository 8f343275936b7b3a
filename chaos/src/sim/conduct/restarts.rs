//! Restarts within a process: each after the pause that the restart strategy asks for, and as many
//! as it allows, no more and no less. Whoever was fenced begins nothing more.

use std::collections::BTreeMap;

use stormproof_engine::error::EngineError;
use stormproof_engine::ids::AttemptId;
use stormproof_engine::seam::TimeUs;

use crate::sim::core::ProcessId;
use crate::sim::plan::Plan;

/// With this word an error says that a later attempt has taken over.
const FENCED: &str = "fenced";

/// How long, beside the pause, a process may take to claim its next attempt's number: what is on its
/// way to a slow storage is waited for.
const CLAIM_WITHIN_US: TimeUs = 2_000_000;

/// What has failed in a process so far.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last_us: TimeUs,
    was_fenced: bool,
}

/// The strategy, and what was heard of each process.
#[derive(Debug)]
pub(super) struct Restarts {
    delay_us: TimeUs,
    max: u32,
    failures: BTreeMap<ProcessId, Failures>,
}

impl Restarts {
    pub(super) fn of(plan: &Plan) -> Self {
        let delay_us = plan.restart_delay_ms * 1_000;
        Self { delay_us, max: plan.max_restarts, failures: BTreeMap::new() }
    }

    /// An attempt has failed, or its number could not be written down.
    pub(super) fn on_failed(&mut self, process: ProcessId, cause: &str, now_us: TimeUs) {
        let failures = self.failures.entry(process).or_default();
        failures.count += 1;
        failures.last_us = now_us;
        failures.was_fenced |= cause.starts_with(FENCED);
    }

    /// An attempt begins that was claimed at `claimed_us`: what is wrong with that.
    pub(super) fn on_begun(
        &self,
        process: ProcessId,
        attempt: AttemptId,
        claimed_us: TimeUs,
    ) -> Option<String> {
        let Failures { count, last_us, was_fenced } = *self.failures.get(&process)?;
        if was_fenced {
            return Some(format!("attempt {attempt} began in {process}, which had been fenced"));
        }
        let (max, delay_us) = (self.max, self.delay_us);
        if count > max {
            return Some(format!(
                "attempt {attempt} began after {count} failures in {process}, and {max} restarts \
                 are allowed"
            ));
        }
        let due_us = last_us + delay_us;
        (!(due_us..=due_us + CLAIM_WITHIN_US).contains(&claimed_us)).then(|| {
            let pause_us = claimed_us.saturating_sub(last_us);
            format!(
                "attempt {attempt} was claimed {pause_us} us after a failure in {process}, and the \
                 pause is {delay_us} us"
            )
        })
    }

    /// A process has ended over `error`: what is wrong with that.
    pub(super) fn on_over(&self, process: ProcessId, error: &EngineError) -> Option<String> {
        let Failures { count, .. } = *self.failures.get(&process)?;
        (error.is_retryable() && count <= self.max).then(|| {
            format!(
                "{process} ended after {count} failures, and {} restarts are allowed: {error}",
                self.max
            )
        })
    }
}
