//! What waits at a worker is bounded by credit.
//!
//! An upstream subtask may send while it has credit left, so it has at most its credit and one
//! record under way on each lane, wherever at the receiver they lie: queued, parked or held. What a
//! restore brings along, and what an operator emits of its own (a timer's records), has no credit.

use std::sync::PoisonError;

use stormproof_engine::graph::Partitioner;
use stormproof_engine::ids::WorkerIndex;

use super::{Plan, Process, World};
use crate::sim::core::ProcessId;

/// A frame at most, besides the value: its header in the wide form, the longest key, a count.
const FRAME_BYTES: u64 = 96;
/// Before the value of the load: the number of the record.
const NUMBER_BYTES: u64 = 8;

impl World<'_> {
    /// A sink takes nothing while as many rows as may are on their way into the database; besides
    /// these each subtask fills a batch.
    fn too_many_rows(&self, process: &Process, worker: WorkerIndex) -> Option<String> {
        let Plan { sink, topology, .. } = self.plan;
        let subtasks = topology.parallelism.iter().map(|p| p.sink).max().unwrap_or(1);
        let batches = u64::from(subtasks.div_ceil(topology.workers)) + 1;
        let may = sink.max_pending_rows as u64 + batches * sink.batch_rows as u64;
        let pending = process.crew.pending_rows(worker);
        (sink.transactional_us.is_none() && pending > may)
            .then(|| format!("{pending} rows wait in the sink of worker {worker}, and {may} may"))
    }

    pub(super) fn look_at_in_flight(&self, id: ProcessId, worker: WorkerIndex) {
        let Some(process) = self.processes.get(&id) else { return };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = self.too_many_rows(process, worker).filter(|_| heard.restores == 0) {
            heard.conduct.breach("bounded-in-flight", what);
        }
        // Without a figure the engine chooses one that no simulated job uses up.
        let credit = self.plan.exchange.credit_bytes as u64;
        if credit == 0 || self.plan.topology.hold_us > 0 || heard.restores > 0 {
            return;
        }
        let waiting_bytes = process.crew.waiting_bytes(worker);
        let parallelism = self.plan.parallelism_of(id.0);
        let upstream = match self.plan.topology.is_direct {
            true => u64::from(parallelism.source),
            false => u64::from(parallelism.source) + u64::from(parallelism.count),
        };
        let load = &self.plan.load;
        let record = FRAME_BYTES + NUMBER_BYTES + u64::from(load.key_bytes + load.value_bytes);
        // A record for every subtask is parked once for each.
        let copies = match self.plan.topology.into_count {
            Partitioner::Broadcast => parallelism.count.div_ceil(self.plan.topology.workers),
            _ => 1,
        };
        let may = upstream * (credit + record) * u64::from(copies);
        if waiting_bytes > may {
            let what = format!(
                "{waiting_bytes} bytes wait at worker {worker} of {id}; {upstream} upstream \
                 subtasks may have {may} under way"
            );
            heard.conduct.breach("bounded-in-flight", what);
        }
    }
}
