//! Checkpoints that overlap: several under way at once, some of them given up, while subtasks stand
//! still between their barriers.
//!
//! What one checkpoint leaves behind at a gate or a sink is then met by the next one, and what is
//! forgotten with one that is given up is missed by its neighbours.

use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::runtime::CheckpointMode;
use stormproof_engine::seam::Step;

use super::{at_step, struck};
use crate::fault::{Fault, FaultAction, FaultTarget, FaultTrigger};
use crate::sim::core::Span;
use crate::sim::draw::Draw;
use crate::sim::plan::{Plan, VERTICES};
use crate::sim::weather::{Disturbance, Window};

/// Lets checkpoints follow each other faster than they complete.
pub(super) fn make_room(plan: &mut Plan, draw: &mut Draw) {
    let checkpoint = &mut plan.checkpoint;
    checkpoint.max_concurrent = draw.of(&[2, 3, 4]);
    checkpoint.min_pause_ms = 0;
    checkpoint.tolerable_failures = draw.of(&[1, 2, 3, 10]);
    if plan.topology.parallelism[0].largest() < 200 {
        checkpoint.interval_ms = checkpoint.interval_ms.min(draw.range(2, 6));
    }
    if draw.one_in(2) {
        // What one worker was told of a checkpoint another hears much later.
        plan.topology.workers = plan.topology.workers.max(2);
        plan.pace.message = Span { min_us: 50, max_us: 10_000 };
    }
    if plan.sink.transactional_us.is_none() && !draw.one_in(4) {
        // Several wait at the sink for one slow database.
        plan.sink.design = BufferDesign::FlushOnBarrier;
        plan.services.database.latency = draw.span(300, 3_000);
    }
}

/// Checkpoints that are declined, and subtasks behind a gate that stand still while barriers come.
pub(super) fn troubles(plan: &mut Plan, has_lags: bool, draw: &mut Draw) -> Vec<Fault> {
    let mut troubles = match draw.one_in(if has_lags { 2 } else { 4 }) {
        true => fail_late(plan, draw),
        false => Vec::new(),
    };
    let plan = &*plan;
    let declines = draw.range(3, 6);
    let stills = if has_lags { draw.range(2, 6) } else { draw.range(0, 3) };
    let is_aligned = plan.checkpoint.mode == CheckpointMode::ExactlyOnce;
    let aligning = if is_aligned { Step::Aligning } else { Step::BarrierReceived };
    let others: Vec<u64> = plan.faults.iter().filter_map(armed_at_ms).collect();
    for n in 0..declines + stills {
        // Troubles that meet in one checkpoint find what each alone does not.
        let armed_at_ms = match others.is_empty() || draw.one_in(2) {
            true => draw.range(0, (plan.load.over_us / 1000).max(1)),
            false => draw.of(&others),
        };
        let interval_ms = plan.checkpoint.interval_ms;
        troubles.push(if n < declines {
            let step = draw.of(&[Step::SnapshotAsync, Step::SnapshotAsync, Step::Upload]);
            struck(FaultAction::Error, FaultTarget::AnySubtask, at_step(step, 1, armed_at_ms))
        } else {
            let vertex = if draw.one_in(4) { 2 } else { plan.gated()[0] };
            let parallelism = plan.vertices()[vertex].parallelism;
            let index = draw.range(0, u64::from(parallelism) - 1) as u16;
            let target = FaultTarget::Subtask { vertex: VERTICES[vertex].to_owned(), index };
            let ms = draw.range(interval_ms, 4 * interval_ms);
            let step = draw.of(&[Step::BarrierReceived, aligning, aligning, Step::Notified]);
            struck(FaultAction::Stall { ms }, target, at_step(step, 1, armed_at_ms))
        });
    }
    troubles
}

/// State files that fail to be written, after a while: their checkpoint is given up when all its
/// gates are done with it, and the next one has begun. Source subtasks that stand still behind their
/// barrier send the next one late, so that it is still being aligned then.
fn fail_late(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    plan.services.store = draw.span(2_000, 10_000);
    plan.checkpoint.tolerable_failures = 10;
    if draw.one_in(2) {
        // Records go on arriving behind the barriers.
        plan.checkpoint.alignment_timeout_ms = None;
        plan.exchange.credit_bytes = 4_000;
        plan.exchange.in_flight_target_ms = 0;
        plan.sink.max_pending_rows = 20_000;
        plan.services.database.latency = draw.span(20, 300);
    }
    let (from_us, for_us) = (draw.range(0, plan.load.over_us / 4), plan.load.over_us * 3 / 4);
    let per_mille = draw.of(&[100, 300]);
    let disturbance = Disturbance::StoreWriteFails;
    plan.windows.push(Window { disturbance, from_us, for_us, per_mille });
    let sources = u64::from(plan.topology.parallelism[0].source);
    if sources < 2 {
        return Vec::new();
    }
    let still = |_| {
        let (vertex, index) = (VERTICES[0].to_owned(), draw.range(0, sources - 1) as u16);
        let interval_ms = plan.checkpoint.interval_ms;
        let ms = draw.range(interval_ms + 1, 3 * interval_ms);
        let armed_at_ms = draw.range(0, (plan.load.over_us / 1_000).max(1));
        let when = at_step(Step::BarrierInjected, 1, armed_at_ms);
        struck(FaultAction::Stall { ms }, FaultTarget::Subtask { vertex, index }, when)
    };
    (0..8).map(still).collect()
}

fn armed_at_ms(fault: &Fault) -> Option<u64> {
    match fault.when {
        FaultTrigger::AtStep { armed_at_ms, .. } => Some(armed_at_ms),
        FaultTrigger::AtMs(_) | FaultTrigger::AtRecords(_) => None,
    }
}
