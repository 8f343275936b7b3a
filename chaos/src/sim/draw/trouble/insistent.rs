//! Trouble that insists: one thing goes wrong all the while, or again and again, and meets what a
//! single blow rarely does.

use stormproof_engine::ids::AttemptId;
use stormproof_engine::seam::Step;

use super::{Span, feasible_ms, killed, struck};
use crate::fault::{CheckpointRef, Fault, FaultAction, FaultTarget, FaultTrigger};
use crate::sim::draw::Draw;
use crate::sim::plan::Plan;
use crate::sim::weather::{Disturbance, SLOWER, Window};

/// Makes a plan worse; most stay as they are.
pub(super) fn befall(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    match draw.range(0, 16) {
        0 => commits_fail_late(plan, draw),
        1 => files_are_unreadable(plan, draw),
        2 => rows_join_a_slow_transaction(plan, draw),
        3 => return dies_with_each_checkpoint(plan, draw),
        5 => slow_manifests(plan, draw),
        // Where a sink is transactional, no write lands late.
        4 if plan.sink.transactional_us.is_none() => return manifests_land_late(plan, draw),
        _ => {}
    }
    Vec::new()
}

/// Checkpoints are almost too old when their manifests are written, and that takes its time.
fn slow_manifests(plan: &mut Plan, draw: &mut Draw) {
    let timeout_us = feasible_ms(&plan.load, &plan.sink) * 1_000;
    if timeout_us > 250_000 {
        // A restart, which waits for such a storage as well, would come too late.
        return;
    }
    // The least that is left below.
    plan.checkpoint.timeout_ms = 0;
    plan.checkpoint.tolerable_failures = 1_000;
    let slow_us = |percent| timeout_us * percent / 100 / SLOWER;
    plan.services.store = Span { min_us: slow_us(30), max_us: slow_us(draw.of(&[60, 80])) };
    plan.safety_us = plan.load.over_us + 8 * timeout_us;
    all_the_while(plan, Disturbance::StoreSlow, 1_000);
}

fn all_the_while(plan: &mut Plan, disturbance: Disturbance, per_mille: u32) {
    let window = Window { disturbance, from_us: 0, for_us: plan.safety_us, per_mille };
    plan.windows.push(window);
}

/// Many offset commits are never answered: the next ones wait when that becomes clear, the last of all
/// among them.
fn commits_fail_late(plan: &mut Plan, draw: &mut Draw) {
    plan.services.log_commit_timeout_ms = Some(draw.of(&[200, 1_000]));
    plan.checkpoint.interval_ms = plan.checkpoint.interval_ms.min(10);
    all_the_while(plan, Disturbance::LogCommitUnanswered, draw.of(&[300, 600]));
}

/// Every restore meets a storage that cannot read single files.
fn files_are_unreadable(plan: &mut Plan, draw: &mut Draw) {
    plan.checkpoint.retained = plan.checkpoint.retained.max(3);
    plan.max_restarts = 1_000;
    all_the_while(plan, Disturbance::StoreFileUnreadable, draw.of(&[200, 400]));
}

/// Rows come while their subtask's last ones are being written, and then no more do.
fn rows_join_a_slow_transaction(plan: &mut Plan, draw: &mut Draw) {
    plan.awaits_visibility = true;
    plan.services.database.latency = draw.span(2_000, 20_000);
    let sink = &mut plan.sink;
    sink.batch_interval_ms = draw.of(&[1, 5]);
    sink.batch_rows = 100;
    sink.max_pending_rows = 20_000;
    sink.call_timeout_ms = 1_000;
    plan.load.keys = draw.range(1, 8) as u32;
    plan.load.over_us = plan.load.over_us.min(40_000);
}

/// Every other process dies while a manifest is on its way, and the one after it before it has a
/// checkpoint of its own.
fn manifests_land_late(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    plan.services.late_us = draw.of(&[10_000, 20_000]);
    plan.services.store = draw.span(500, 5_000);
    plan.pace.restart = draw.span(300, 3_000);
    plan.checkpoint.interval_ms = plan.checkpoint.interval_ms.min(8);
    let death = |attempt: u32| {
        let (step, nth) = match attempt % 2 {
            1 => (Step::AllAcked, draw.of(&[1, 2])),
            _ => (draw.of(&[Step::BarrierReceived, Step::SnapshotSync, Step::Acked]), 1),
        };
        let checkpoint = CheckpointRef::Nth(nth);
        let attempt = Some(AttemptId(attempt));
        let when = FaultTrigger::AtStep { step, checkpoint, attempt, armed_at_ms: 0 };
        struck(FaultAction::Sigkill, FaultTarget::Process, when)
    };
    (1..=6).map(death).collect()
}

/// The first attempts die as soon as they have a checkpoint or two: each restore asks whether the
/// checkpoint before it was whole.
fn dies_with_each_checkpoint(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    plan.max_restarts = 1_000;
    let death = |attempt: u32| {
        let action = draw.of(&[FaultAction::Panic, FaultAction::Sigkill]);
        let when = FaultTrigger::AtStep {
            step: draw.of(&[Step::MetadataDurable, Step::Notified]),
            checkpoint: CheckpointRef::Nth(draw.of(&[1, 2, 2, 3])),
            attempt: Some(AttemptId(attempt)),
            armed_at_ms: 0,
        };
        struck(action, killed(action, draw), when)
    };
    (1..=4).map(death).collect()
}
