//! How batches that fail are tried again: after a pause, and as often as the sink may, no more and
//! no less.

use std::collections::{BTreeMap, BTreeSet};

use stormproof_engine::ids::AttemptId;
use stormproof_engine::seam::TimeUs;

use crate::sim::evidence::Breach;
use crate::sim::job::RETRY_BACKOFF_MS;
use crate::sim::plan::Retries;

/// A batch: the attempt that made it, and its number.
type BatchId = (AttemptId, u64);

/// With these words a sink gives a batch up.
const GIVEN_UP: &str = "times in a row at";

/// What is noted of the batches.
#[derive(Debug, Default)]
pub(super) struct Patience {
    retries: Retries,
    /// When a batch, or a look for it, was refused last.
    refused_us: BTreeMap<BatchId, TimeUs>,
    /// How often a batch, or a look for it, has failed or was left in doubt.
    failures: BTreeMap<BatchId, u32>,
    /// Tries whose outcome was left in doubt, by their numbers.
    doubted: BTreeSet<(BatchId, u32)>,
    breaches: Vec<Breach>,
}

impl Patience {
    pub(super) fn new(retries: Retries) -> Self {
        Self { retries, ..Self::default() }
    }

    pub(super) fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// The client hears that a batch was not written, or that nobody knows.
    pub(super) fn on_failed(&mut self, batch: BatchId) {
        *self.failures.entry(batch).or_default() += 1;
    }

    /// The client hears that nobody knows what became of a try.
    pub(super) fn on_doubt(&mut self, batch: BatchId, try_number: u32) {
        self.doubted.insert((batch, try_number));
        self.on_failed(batch);
    }

    /// A batch comes, to be written: its number counts the tries that were left in doubt.
    pub(super) fn on_write(&mut self, batch: BatchId, try_number: u32) {
        let doubts = self.doubted.range((batch, 0)..=(batch, u32::MAX)).count();
        if try_number as usize > doubts {
            let (attempt, number) = batch;
            let what = format!(
                "batch {number} of attempt {attempt} is written as try {try_number}, and {doubts} \
                 were left in doubt"
            );
            self.breach("retry-bound", what);
        }
        if self.doubted.contains(&(batch, try_number)) {
            let (attempt, number) = batch;
            let what = format!(
                "batch {number} of attempt {attempt} is written again as try {try_number}, which \
                 was left in doubt"
            );
            self.breach("retry-bound", what);
        }
    }

    /// The database has refused a batch, or a look for it.
    pub(super) fn on_refused(&mut self, batch: BatchId, now_us: TimeUs) {
        self.refused_us.insert(batch, now_us);
    }

    /// A batch comes, to be written or to be looked for.
    pub(super) fn on_call(&mut self, batch: BatchId, now_us: TimeUs) {
        let (attempt, number) = batch;
        let (failures, max) = (self.failures.get(&batch).copied().unwrap_or(0), self.retries.most);
        if failures > max {
            let what = format!(
                "batch {number} of attempt {attempt} came again after {failures} failures, and \
                 {max} retries are allowed"
            );
            self.breach("retry-bound", what);
        }
        let Some(refused_us) = self.refused_us.remove(&batch) else { return };
        let doubled = RETRY_BACKOFF_MS << failures.saturating_sub(1).min(20);
        let pause_ms = doubled.min(self.retries.longest_pause_ms);
        if now_us < refused_us + pause_ms * 1_000 {
            let what = format!(
                "batch {number} of attempt {attempt} was refused at {refused_us} us and came again \
                 at {now_us} us; after {failures} failures the pause is {pause_ms} ms at least"
            );
            self.breach("retry-pace", what);
        }
    }

    /// An attempt has failed: if it was over a batch, that one has failed often enough.
    pub(super) fn on_attempt_failed(&mut self, attempt: AttemptId, cause: &str) {
        let is_given_up = cause.contains(GIVEN_UP);
        let most = self.failures.iter().filter(|((of, _), _)| *of == attempt);
        let most = most.map(|(_, failures)| *failures).max().unwrap_or(0);
        if is_given_up && most <= self.retries.most {
            let what = format!(
                "attempt {attempt} gave a batch up after {most} failures, and {} retries are \
                 allowed: {cause}",
                self.retries.most
            );
            self.breach("retry-bound", what);
        }
    }

    fn breach(&mut self, rule: &'static str, what: String) {
        if self.breaches.iter().all(|breach| breach.rule != rule) {
            self.breaches.push(Breach { rule, what });
        }
    }
}
