//! A subtask that stalls at each checkpoint, as a garbage collection pause would make it.

use stormproof_engine::ids::{SubtaskIndex, VertexId};
use stormproof_engine::seam::{Probe, Step, StepAction, StepContext, StepHook};

/// The last subtask of a vertex stands still when a checkpoint's first barrier has reached it: the
/// worst moment.
struct StallAtBarrier {
    vertex: VertexId,
    subtask: SubtaskIndex,
    duration_us: u64,
}

impl StepHook for StallAtBarrier {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        let is_it =
            step == Step::BarrierReceived && at.vertex == self.vertex && at.subtask == self.subtask;
        if is_it {
            StepAction::Stall { duration_us: self.duration_us }
        } else {
            StepAction::Proceed
        }
    }
}

/// An armed probe that stalls `subtask` of `vertex` for `duration_us` at every checkpoint.
pub fn stall_at_barrier(vertex: VertexId, subtask: SubtaskIndex, duration_us: u64) -> Probe {
    let probe = Probe::new(StallAtBarrier { vertex, subtask, duration_us });
    probe.set_armed(true);
    probe
}

/// A hook that is never asked: the price of steps that are compiled in and off.
pub fn disarmed() -> Probe {
    struct Never;
    impl StepHook for Never {
        fn hit(&self, _step: Step, _at: &StepContext) -> StepAction {
            StepAction::Proceed
        }
    }
    Probe::new(Never)
}
