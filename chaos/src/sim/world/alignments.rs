//! How long gates align: past the alignment timeout a checkpoint goes on unaligned.
//!
//! A gate lets one alignment time out in a step. So whoever was too old at the end of a step, as
//! the oldest of its gate, must be over at the end of the next one.

use std::collections::{BTreeMap, BTreeSet};

use stormproof_engine::ids::{CheckpointId, VertexId, WorkerIndex};

use super::World;
use crate::sim::core::{Actor, ProcessId};

/// Alignments that were too old when a step of their worker ended.
#[derive(Debug, Default)]
pub(super) struct Alignments(BTreeMap<Actor, BTreeSet<(VertexId, CheckpointId)>>);

impl Alignments {
    /// A worker begins anew.
    pub(super) fn forget(&mut self, actor: Actor) {
        self.0.remove(&actor);
    }
}

impl World<'_> {
    pub(super) fn look_at_alignments(&mut self, id: ProcessId, worker: WorkerIndex) {
        let Some(timeout_ms) = self.plan.checkpoint.alignment_timeout_ms else { return };
        let Some(process) = self.processes.get(&id) else { return };
        let actor = Actor { process: id, worker: Some(worker) };
        let now_us = self.core.step_began_us();
        let overdue: BTreeSet<(VertexId, CheckpointId)> = process
            .crew
            .alignments(worker)
            .into_iter()
            .filter(|alignment| alignment.since_us + timeout_ms * 1_000 <= now_us)
            .map(|alignment| (alignment.vertex, alignment.checkpoint))
            .collect();
        let before = self.alignments.0.insert(actor, overdue.clone()).unwrap_or_default();
        if let Some((vertex, checkpoint)) = overdue.intersection(&before).next() {
            let what = format!(
                "vertex {vertex} at {actor} still aligns checkpoint {checkpoint}, two steps after \
                 its timeout of {timeout_ms} ms"
            );
            self.tell_conduct(|conduct| conduct.breach("alignment-timeout", what));
        }
    }
}
