//! What waits at a worker is bounded by credit.
//!
//! An upstream subtask may send while it has credit left, so it has at most its credit and one
//! record under way on each lane, wherever at the receiver they lie: queued, parked or held. What a
//! restore brings along, and what an operator emits of its own (a timer's records), has no credit.

use std::sync::PoisonError;

use stormproof_engine::graph::Partitioner;
use stormproof_engine::ids::WorkerIndex;

use super::{Process, World};
use crate::sim::core::ProcessId;

/// A frame at most, besides the value: its header in the wide form, the longest key, a count.
const FRAME_BYTES: u64 = 96;
/// Before the value of the load: the number of the record.
const NUMBER_BYTES: u64 = 8;

impl World<'_> {
    /// A sink takes nothing while as many rows as may are on their way into the database; besides
    /// these each subtask fills a batch.
    fn too_many_rows(
        &self,
        id: ProcessId,
        process: &Process,
        worker: WorkerIndex,
    ) -> Option<String> {
        let sink = self.plan.sink;
        let subtasks = self.plan.topology.parallelism.iter().map(|p| p.sink).max().unwrap_or(1);
        let batches = u64::from(subtasks.div_ceil(self.plan.workers_of(id.0))) + 1;
        let may = sink.max_pending_rows as u64 + batches * sink.batch_rows as u64;
        let pending = process.crew.pending_rows(worker);
        (sink.transactional_us.is_none() && pending > may)
            .then(|| format!("{pending} rows wait in the sink of worker {worker}, and {may} may"))
    }

    /// Records larger than a lane's buffer share a credit on it, whoever has sent them.
    fn too_much_of_large(&self, process: &Process, worker: WorkerIndex) -> Option<String> {
        let credit = self.plan.exchange.large_credit_bytes as u64;
        if credit == 0 || self.plan.topology.hold_us > 0 {
            return None;
        }
        let may = credit + self.largest_frame();
        let lanes = process.crew.open_buffers(worker);
        let mut lanes = lanes.into_iter().flat_map(|(vertex, lanes)| {
            lanes.into_iter().map(move |lane| (vertex, lane.large_bytes))
        });
        let (vertex, bytes) = lanes.find(|(_, bytes)| *bytes > may)?;
        Some(format!(
            "{bytes} bytes of large records of vertex {vertex} are under way on a lane from worker \
             {worker}, and {may} may be"
        ))
    }

    fn largest_frame(&self) -> u64 {
        let load = &self.plan.load;
        let value = u64::from(load.value_bytes.max(load.huge_value_bytes));
        FRAME_BYTES + NUMBER_BYTES + u64::from(load.key_bytes) + value
    }

    pub(super) fn look_at_in_flight(&self, id: ProcessId, worker: WorkerIndex) {
        let Some(process) = self.processes.get(&id) else { return };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = self.too_many_rows(id, process, worker).filter(|_| heard.restores == 0)
        {
            heard.conduct.breach("bounded-in-flight", what);
        }
        if let Some(what) = self.too_much_of_large(process, worker) {
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
        let record = self.largest_frame();
        // A record for every subtask is parked once for each.
        let copies = match self.plan.topology.into_count {
            Partitioner::Broadcast => parallelism.count.div_ceil(self.plan.workers_of(id.0)),
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
