//! What waits at a worker is bounded by credit.
//!
//! An upstream subtask may send while it has credit left, so it has at most its credit and what one
//! record becomes under way on each lane, wherever at the receiver they lie: queued, parked or held. What a
//! restore brings along, and what an operator emits of its own (a timer's records), has no credit.

use stormproof_engine::graph::Partitioner;

use super::looks::{Broken, Look};

const RULE: &str = "bounded-in-flight";

/// A frame at most, besides the value: its header in the wide form, the longest key, a count.
const FRAME_BYTES: u64 = 96;
/// Before the value of the load: the number of the record.
const NUMBER_BYTES: u64 = 8;

impl Look<'_> {
    /// A sink takes nothing while as many rows as may are on their way into the database; besides
    /// these each subtask fills a batch.
    pub(super) fn at_rows(&self) -> Option<Broken> {
        let (sink, pending) = (&self.plan.sink, self.opened.pending_rows());
        let is_below = pending <= sink.max_pending_rows as u64;
        if is_below || sink.transactional_us.is_some() || self.restores > 0 {
            return None;
        }
        let subtasks = self.plan.topology.parallelism.iter().map(|p| p.sink).max().unwrap_or(1);
        let workers = self.plan.workers_of(self.actor.process().0);
        let batches = u64::from(subtasks.div_ceil(workers)) + 1;
        let may = sink.max_pending_rows as u64 + batches * sink.batch_rows as u64;
        let at = self.actor;
        let broken = || (RULE, format!("{pending} rows wait in the sink of {at}, and {may} may"));
        (pending > may).then(broken)
    }

    /// Records larger than a lane's buffer share a credit on it, whoever has sent them.
    pub(super) fn at_large(&self) -> Option<Broken> {
        let credit = self.plan.exchange.large_credit_bytes as u64;
        if credit == 0 || self.plan.topology.hold_us > 0 {
            return None;
        }
        let may = credit + self.largest_emission();
        let mut lanes = self.opened.worker.open_buffers();
        let (vertex, lane) = lanes.find(|(_, lane)| lane.large_bytes > may)?;
        let (bytes, at) = (lane.large_bytes, self.actor);
        let what = format!(
            "{bytes} bytes of large records of vertex {vertex} are under way on a lane from {at}, \
             and {may} may be"
        );
        Some((RULE, what))
    }

    /// What waits at the worker is what credit allows.
    pub(super) fn at_in_flight(&self) -> Option<Broken> {
        // Without a figure the engine chooses one that no simulated job uses up.
        let credit = self.plan.exchange.credit_bytes as u64;
        let (waiting_bytes, at) = (self.opened.waiting_bytes(), self.actor);
        let is_below = credit == 0 || waiting_bytes <= credit;
        if is_below || self.plan.topology.hold_us > 0 || self.restores > 0 {
            return None;
        }
        let parallelism = self.plan.parallelism_of(at.process().0);
        let upstream = match self.plan.topology.is_direct {
            true => u64::from(parallelism.source),
            false => u64::from(parallelism.source) + u64::from(parallelism.count),
        };
        // A record for every subtask is parked once for each.
        let copies = match self.plan.topology.into_count {
            Partitioner::Broadcast => {
                parallelism.count.div_ceil(self.plan.workers_of(at.process().0))
            }
            _ => 1,
        };
        let may = upstream * (credit + self.largest_emission()) * u64::from(copies);
        let broken = || {
            let what = format!(
                "{waiting_bytes} bytes wait at {at}; {upstream} upstream subtasks may have {may} \
                 under way"
            );
            (RULE, what)
        };
        (waiting_bytes > may).then(broken)
    }

    /// What one record becomes leaves together.
    fn largest_emission(&self) -> u64 {
        let load = &self.plan.load;
        let value = u64::from(load.value_bytes.max(load.huge_value_bytes));
        let frame = FRAME_BYTES + NUMBER_BYTES + u64::from(load.key_bytes) + value;
        u64::from(self.plan.topology.outputs) * frame
    }
}
