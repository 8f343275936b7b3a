//! An armed fault: which step of which subtask it waits for. Pure; shared by the hook of real runs
//! and the simulator's.

use stormproof_engine::ids::{CheckpointId, VertexId};
use stormproof_engine::seam::{Step, StepContext};

use crate::fault::{CheckpointRef, Fault, FaultTarget, FaultTrigger, VertexShape};

/// A fault that waits for its step.
#[derive(Clone, Debug)]
pub(crate) struct Armed {
    pub(crate) fault: Fault,
    vertex: Option<VertexId>,
    /// The first checkpoint of which a step was seen after arming.
    first_seen: Option<CheckpointId>,
}

impl Armed {
    /// Arms `fault` in a job of these vertices, numbered as the job graph numbers them.
    pub(crate) fn new(fault: Fault, vertices: &[VertexShape]) -> Self {
        let vertex = match &fault.target {
            FaultTarget::Subtask { vertex, .. } => {
                let at = vertices.iter().position(|shape| shape.name == *vertex);
                at.map(|index| VertexId(index as u16))
            }
            _ => None,
        };
        Self { fault, vertex, first_seen: None }
    }

    /// Notes that a step was reached, whoever reached it.
    pub(crate) fn saw(&mut self, step: Step, at: &StepContext) {
        if step.is_mid_checkpoint() && self.first_seen.is_none() {
            self.first_seen = Some(at.checkpoint);
        }
    }

    /// Whether the fault strikes here.
    pub(crate) fn matches(&self, step: Step, at: &StepContext) -> bool {
        if self.vertex.is_some_and(|vertex| vertex != at.vertex) {
            return false;
        }
        if let FaultTarget::Subtask { index, .. } = self.fault.target
            && index != at.subtask.0
        {
            return false;
        }
        match &self.fault.when {
            FaultTrigger::AtMs(_) | FaultTrigger::AtRecords(_) => true,
            FaultTrigger::AtStep { step: wanted, checkpoint, attempt, .. } => {
                *wanted == step
                    && attempt.is_none_or(|attempt| attempt == at.attempt)
                    && self.matches_checkpoint(*checkpoint, step, at.checkpoint)
            }
        }
    }

    fn matches_checkpoint(&self, wanted: CheckpointRef, step: Step, now: CheckpointId) -> bool {
        match wanted {
            CheckpointRef::Exactly(id) => id == now,
            // Flushes and recoveries belong to no checkpoint under way: the first one counts.
            CheckpointRef::Nth(1) if !step.is_mid_checkpoint() => true,
            CheckpointRef::Nth(n) => {
                let first = self.first_seen.map(|id| id.0);
                first.is_some_and(|first| now.0 >= first + u64::from(n) - 1)
            }
        }
    }
}
