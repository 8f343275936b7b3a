//! Buffer debloating: credit that follows the receiver's pace.
//!
//! A barrier waits behind what is in flight, so under backpressure too much credit means slow
//! checkpoints and long replays. A receiver that is behind for a whole period shrinks the credit
//! of its upstream subtasks until what is in flight takes it about the target time; one that runs
//! dry doubles it again, up to where it started (Flink's `BufferDebloater`, FLIP-183). Pure.

use crate::mutants;
use crate::seam::TimeUs;

/// How often credit is reconsidered.
pub const PERIOD_US: TimeUs = 20_000;
/// The smallest credit: a few records, so that lanes keep moving.
pub const FLOOR_BYTES: u64 = 1024;

/// The debloater of one inbox.
#[derive(Clone, Debug)]
pub struct Debloat {
    target_us: TimeUs,
    largest_bytes: u64,
    sources: u64,
    credit_bytes: u64,
    period_began_us: TimeUs,
    taken_before: u64,
    ran_dry: bool,
}

impl Debloat {
    /// For `sources` upstream subtasks that start with `largest_bytes` each; `target_us` 0 never
    /// shrinks.
    pub fn new(target_us: TimeUs, largest_bytes: u64, sources: u64) -> Self {
        assert!(sources > 0, "an inbox has upstream subtasks");
        Self {
            target_us,
            largest_bytes,
            sources,
            credit_bytes: largest_bytes,
            period_began_us: 0,
            taken_before: 0,
            ran_dry: true,
        }
    }

    /// After a step: `taken_bytes` have been taken so far, `queued_bytes` wait. Returns the new
    /// credit when it changes.
    pub fn on_step(&mut self, now_us: TimeUs, taken_bytes: u64, queued_bytes: u64) -> Option<u64> {
        if self.target_us == 0 {
            return None;
        }
        self.ran_dry |= queued_bytes == 0;
        let period_us = now_us.saturating_sub(self.period_began_us);
        if period_us < PERIOD_US {
            return None;
        }
        let taken = taken_bytes - self.taken_before;
        let wanted = if self.ran_dry {
            let growth = if mutants::is_active(mutants::CREDIT_NEVER_GROWS) { 1 } else { 2 };
            self.credit_bytes.saturating_mul(growth)
        } else {
            let in_flight = taken.saturating_mul(self.target_us) / period_us;
            // Halfway at a time: one slow period is not a trend.
            match mutants::is_active(mutants::CREDIT_NEVER_SHRINKS) {
                true => self.credit_bytes,
                false => (self.credit_bytes + in_flight / self.sources) / 2,
            }
        };
        self.period_began_us = now_us;
        self.taken_before = taken_bytes;
        self.ran_dry = queued_bytes == 0;
        let floor = if mutants::is_active(mutants::CREDIT_TO_NOTHING) { 0 } else { FLOOR_BYTES };
        let credit = wanted.clamp(floor.min(self.largest_bytes), self.largest_bytes);
        (std::mem::replace(&mut self.credit_bytes, credit) != credit).then_some(credit)
    }
}
