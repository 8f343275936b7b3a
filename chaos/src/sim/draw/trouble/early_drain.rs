//! A job that is told to drain in the middle of its work, and started again.
//!
//! With the last checkpoint everything must leave it, also while source subtasks fall behind each
//! other, and when that checkpoint has to be tried again.

use stormproof_engine::seam::Step;

use super::{at_step, struck};
use crate::fault::{Fault, FaultAction, FaultTarget};
use crate::sim::draw::Draw;
use crate::sim::plan::{Plan, VERTICES};
use crate::sim::weather::{Disturbance, Window};

/// Plans the moment; returns what is to happen around it.
pub(super) fn befall(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    let over_us = plan.load.over_us;
    let at_us = draw.range(over_us / 4, over_us);
    plan.drain_at_us = Some(at_us);
    let mut faults = Vec::new();
    if draw.one_in(2) {
        // The last commits are refused, and tried again.
        let (disturbance, per_mille) = (Disturbance::LogCommitFails, draw.of(&[500, 900]));
        let for_us = plan.safety_us;
        plan.windows.push(Window { disturbance, from_us: at_us, for_us, per_mille });
    }
    if draw.one_in(2) {
        faults.extend(stall_of_a_source(plan, at_us, draw));
    }
    if draw.one_in(3) {
        let step = draw.of(&[Step::SnapshotAsync, Step::Upload, Step::Acked]);
        let when = at_step(step, 1, at_us / 1_000);
        faults.push(struck(FaultAction::Error, FaultTarget::AnySubtask, when));
    }
    faults
}

/// A source subtask sends its last barrier late, while its neighbours have sent theirs.
fn stall_of_a_source(plan: &mut Plan, at_us: u64, draw: &mut Draw) -> Vec<Fault> {
    let topology = &mut plan.topology;
    topology.workers = draw.of(&[1, 1, 2]);
    for shape in &mut topology.parallelism {
        shape.source = shape.source.max(draw.range(2, 3) as u16);
        topology.max_parallelism = topology.max_parallelism.max(shape.source);
    }
    let sources = topology.parallelism[0].source;
    topology.partitions = topology.partitions.max(sources.into());
    let interval_ms = plan.checkpoint.interval_ms;
    let armed_at_ms = (at_us / 1_000).saturating_sub(interval_ms);
    let ms = draw.range(interval_ms, 3 * interval_ms);
    let index = draw.range(0, u64::from(sources) - 1) as u16;
    let target = FaultTarget::Subtask { vertex: VERTICES[0].to_owned(), index };
    let step = draw.of(&[Step::BarrierInjected, Step::Notified]);
    vec![struck(FaultAction::Stall { ms }, target, at_step(step, 1, armed_at_ms))]
}
