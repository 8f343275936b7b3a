//! A source subtask whose barriers come late, as a garbage collection pause would make them: whoever
//! aligns waits for the slowest.

use std::sync::OnceLock;
use std::time::Instant;

use stormproof_engine::ids::{CheckpointId, SubtaskIndex, VertexId};
use stormproof_engine::seam::{Probe, Step, StepAction, StepContext, StepHook};

/// When the subtask injected a barrier for the first time: checkpoints follow at their interval.
#[derive(Clone, Copy)]
struct First {
    checkpoint: CheckpointId,
    at: Instant,
}

/// A subtask stands still from each of its barriers until it is late for the next one.
struct LateForEach {
    vertex: VertexId,
    subtask: SubtaskIndex,
    interval_us: u64,
    late_us: u64,
    first: OnceLock<First>,
}

impl LateForEach {
    /// How long from now until the trigger of the checkpoint after this one is `late_us` old.
    fn stall_us(&self, checkpoint: CheckpointId) -> u64 {
        let first = self.first.get_or_init(|| First { checkpoint, at: Instant::now() });
        let triggers = checkpoint.0 - first.checkpoint.0 + 1;
        let until_us = triggers * self.interval_us + self.late_us;
        until_us.saturating_sub(first.at.elapsed().as_micros() as u64)
    }
}

impl StepHook for LateForEach {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        let is_it =
            step == Step::BarrierInjected && at.vertex == self.vertex && at.subtask == self.subtask;
        match is_it {
            true => StepAction::Stall { duration_us: self.stall_us(at.checkpoint) },
            false => StepAction::Proceed,
        }
    }
}

/// An armed probe with which `subtask` of the source `vertex` injects each barrier but the first
/// `late_us` after its trigger; triggers come every `interval_us`.
pub fn late_for_each(
    vertex: VertexId,
    subtask: SubtaskIndex,
    interval_us: u64,
    late_us: u64,
) -> Probe {
    let first = OnceLock::new();
    let probe = Probe::new(LateForEach { vertex, subtask, interval_us, late_us, first });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stall_ends_late_for_the_next_trigger() {
        let late = LateForEach {
            vertex: VertexId(0),
            subtask: SubtaskIndex(3),
            interval_us: 1_000_000,
            late_us: 50_000,
            first: OnceLock::new(),
        };
        let near = |stall_us: u64, wanted: u64| wanted - stall_us < 20_000;
        assert!(near(late.stall_us(CheckpointId(4)), 1_050_000));
        // The next barrier comes 50 ms late, and so does the one after it: lateness does not add up.
        assert!(near(late.stall_us(CheckpointId(5)), 2_050_000));
    }
}
