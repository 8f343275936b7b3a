//! Nothing waits at a worker for longer than it has to: rows for company, batches for another try,
//! records behind a subtask that is not theirs.

use super::looks::{Broken, Look};

impl Look<'_> {
    /// Rows that wait for company, and batches that wait for another try.
    pub(super) fn at_sinks(&self) -> Option<Broken> {
        let (actor, began_us) = (self.actor, self.began_us);
        self.opened.worker.sink_waits().find_map(|(vertex, waits)| {
            let since_us = waits.filling_since_us.unwrap_or(began_us);
            let may_ms = self.plan.sink.batch_interval_ms;
            if began_us > since_us + may_ms * 1_000 {
                let what = format!(
                    "a row of vertex {vertex} at {actor} has waited for company since {since_us} us, \
                     at {began_us} us still; {may_ms} ms is the batch interval"
                );
                return Some(("batch-interval", what));
            }
            let (retry_at_us, longest_ms) = (waits.retry_at_us?, self.plan.sink.retry_backoff_max_ms);
            (retry_at_us > began_us + longest_ms * 1_000).then(|| {
                let what = format!(
                    "a batch of vertex {vertex} at {actor} waits until {retry_at_us} us, at \
                     {began_us} us; the longest pause is {longest_ms} ms"
                );
                ("retry-pace", what)
            })
        })
    }

    /// Records parked for a subtask that could take them. Where credit comes to be seen late, nobody
    /// knows whether the worker could see it.
    pub(super) fn at_parked(&self) -> Option<Broken> {
        if self.plan.pace.late_credit_per_mille > 0 {
            return None;
        }
        let (vertex, subtask) = self.opened.worker.needless_waits(self.began_us).next()?;
        let (at, began_us) = (self.actor, self.began_us);
        let what = format!(
            "subtask {subtask} of vertex {vertex} at {at} neither stalls nor lacks credit or room, \
             and what is parked for it waits after the step at {began_us} us"
        );
        Some(("work-conserving", what))
    }
}
