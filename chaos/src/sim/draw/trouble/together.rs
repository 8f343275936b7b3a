//! Causes that do harm only together: a batch in doubt whose look-up fails as well; a manifest in
//! doubt, then a death; two processes that begin at once; two checkpoints of one number; a manifest
//! that lands when somebody else has taken over; a death, and a successor that cannot read or take its
//! fence; silence, and then the end.

use stormproof_engine::seam::Step;

use super::{at_step, feasible_ms, struck};
use crate::fault::{Fault, FaultAction, FaultTarget, FaultTrigger};
use crate::sim::core::Span;
use crate::sim::draw::Draw;
use crate::sim::plan::Plan;
use crate::sim::weather::{Disturbance, Window};

/// One of them; windows are added to the plan's, faults returned.
pub(super) fn befall(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    match draw.range(0, 20) {
        0..=2 => doubt_and_no_answer(plan, draw),
        3 | 4 => doubt_and_death(plan, draw),
        5 => twins(plan, draw),
        6 | 7 => death_and_blindness(plan, draw),
        8 | 9 => death_and_no_fence(plan, draw),
        10 | 11 => namesakes(plan, draw),
        12..=16 => overtaken(plan, draw),
        _ => late_silence(plan, draw),
    }
}

/// A process dies, and its successor cannot read the storage, or single files of it, now and then.
fn death_and_blindness(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    hasten_checkpoints(plan);
    let dies = death(plan, draw);
    let of_files = Disturbance::StoreFileUnreadable;
    let disturbance = draw.of(&[Disturbance::StoreReadFails, of_files, of_files]);
    let per_mille = draw.of(&[100, 300]);
    plan.windows.push(Window { disturbance, from_us: dies * 1_000, for_us: 40_000, per_mille });
    vec![struck(FaultAction::Sigkill, FaultTarget::Process, FaultTrigger::AtMs(dies))]
}

/// A process dies, and its successor finds no database for longer than a fence may take.
fn death_and_no_fence(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    plan.sink.fence_timeout_ms = draw.of(&[20, 50]);
    let dies = death(plan, draw);
    let for_us = draw.range(40_000, 100_000);
    let disturbance = Disturbance::DatabaseRefuses;
    plan.windows.push(Window { disturbance, from_us: dies * 1_000, for_us, per_mille: 1_000 });
    vec![struck(FaultAction::Sigkill, FaultTarget::Process, FaultTrigger::AtMs(dies))]
}

/// When a process dies that may have completed a checkpoint, in milliseconds.
fn death(plan: &Plan, draw: &mut Draw) -> u64 {
    draw.range(plan.load.over_us / 2_000, plan.load.over_us / 1_000).max(1)
}

/// There are several checkpoints by the time that half of the load has come.
fn hasten_checkpoints(plan: &mut Plan) {
    let most_ms = (plan.load.over_us / 8_000).max(2);
    plan.checkpoint.interval_ms = plan.checkpoint.interval_ms.min(most_ms);
}

/// Late in the run notifications are lost, or commits not answered: what is not made up for by the
/// next checkpoint is missing at the end.
fn late_silence(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    let (from_us, for_us) = (plan.safety_us / 2, plan.safety_us);
    let lost = Disturbance::NotificationLost;
    let disturbance = draw.of(&[lost, Disturbance::LogCommitUnanswered]);
    if draw.one_in(2) {
        // Undisturbed, the last commit finds another one that still waits for its answer.
        plan.faults.clear();
        plan.windows.clear();
        plan.services.log_commit_timeout_ms = Some(draw.of(&[200, 1_000]));
        hasten_checkpoints(plan);
    }
    let per_mille = draw.of(&[300, 1_000]);
    plan.windows.push(Window { disturbance, from_us, for_us, per_mille });
    Vec::new()
}

/// Commits in doubt, in most plans while connections break: whoever looks what became of a batch is
/// cut off, too.
fn doubt_and_no_answer(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    // On one worker nobody takes another's batch for his own.
    plan.topology.workers = plan.topology.workers.max(2);
    plan.sink.call_timeout_ms = draw.of(&[5, 50]);
    let from_us = draw.range(0, plan.load.over_us / 2);
    let for_us = draw.range(plan.load.over_us / 4, plan.load.over_us);
    if draw.one_in(3) {
        // Batch after batch is looked up, and some are not there as often as they may be tried.
        plan.sink.max_retries = draw.of(&[1, 2]);
        plan.sink.batch_rows = plan.sink.batch_rows.min(3);
        let disturbance = Disturbance::DatabaseCommitInDoubt;
        plan.windows.push(Window { disturbance, from_us, for_us, per_mille: 1_000 });
        return Vec::new();
    }
    plan.sink.max_retries = 8;
    let refuses = Some(Disturbance::DatabaseRefuses);
    let breaks = draw.of(&[None, refuses, refuses, refuses]);
    for disturbance in [Some(Disturbance::DatabaseCommitInDoubt), breaks].into_iter().flatten() {
        let per_mille = draw.of(&[200, 500]);
        plan.windows.push(Window { disturbance, from_us, for_us, per_mille });
    }
    Vec::new()
}

/// Checkpoints are complete, and nobody knows: then the process dies.
fn doubt_and_death(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    let over_us = plan.load.over_us;
    plan.checkpoint.tolerable_failures = 10;
    hasten_checkpoints(plan);
    let (from_us, for_us) = (draw.range(over_us / 8, over_us / 2), over_us / 2);
    let disturbance = Disturbance::ManifestInDoubt;
    plan.windows.push(Window { disturbance, from_us, for_us, per_mille: 1_000 });
    let dies_ms = draw.range(from_us / 1_000, (from_us + for_us) / 1_000).max(1);
    vec![struck(FaultAction::Sigkill, FaultTarget::Process, FaultTrigger::AtMs(dies_ms))]
}

/// A process stands still with a checkpoint of which nothing is written yet, until that one is too
/// old; whoever takes over begins one of the same number meanwhile.
fn namesakes(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    let interval_ms = feasible_ms(&plan.load, &plan.sink);
    let checkpoint = &mut plan.checkpoint;
    (checkpoint.interval_ms, checkpoint.timeout_ms) = (interval_ms, interval_ms);
    (checkpoint.min_pause_ms, checkpoint.max_concurrent) = (0, 1);
    plan.pace.heartbeat_us = draw.of(&[1_000, 2_000, 5_000]);
    plan.services.store = draw.span(50, 3_000);
    plan.services.database.latency = draw.span(20, 500);
    // Two checkpoints, or three, before anybody stands still; one or two while he does.
    plan.load.over_us = plan.load.over_us.max(interval_ms * 5_000);
    plan.safety_us = plan.safety_us.max(plan.load.over_us + 20_000);
    let ms = interval_ms + draw.range(5, 5 + 2 * interval_ms);
    let when = at_step(Step::BarrierInjected, draw.of(&[2, 2, 3]), 0);
    vec![struck(FaultAction::Pause { ms }, FaultTarget::AnySubtask, when)]
}

/// A process stands still while a manifest of its own is on its way, and goes on when another one has
/// taken over: the checkpoint is complete, and not its own any more.
fn overtaken(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    hasten_checkpoints(plan);
    plan.pace.heartbeat_us = draw.of(&[1_000, 2_000, 5_000]);
    plan.services.store = draw.span(200, 4_000);
    let mut ms = plan.pace.heartbeat_us / 1_000 + draw.range(3, 12);
    if draw.one_in(2) {
        // Whether somebody has cannot be read, either, and it takes others longer to do so.
        ms += draw.range(5, 30);
        plan.pace.restart = Span { min_us: 200, max_us: 1_000 };
        let (from_us, for_us) = (plan.load.over_us / 8, plan.safety_us);
        let (disturbance, per_mille) = (Disturbance::StoreReadFails, draw.of(&[200, 300]));
        plan.windows.push(Window { disturbance, from_us, for_us, per_mille });
        plan.max_restarts = 1_000;
    }
    let stands_still = |nth| {
        let when = at_step(Step::AllAcked, nth, 0);
        struck(FaultAction::Pause { ms }, FaultTarget::AnySubtask, when)
    };
    [1, draw.of(&[3, 4])].map(stands_still).to_vec()
}

/// A process that has just begun stands still, and the one that is started in its place does what
/// the first was about to do.
fn twins(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    plan.pace.heartbeat_us = draw.of(&[1_000, 2_000, 5_000]);
    plan.pace.restart = Span { min_us: 200, max_us: 1_000 };
    plan.services.store = draw.span(1_000, 8_000);
    let dies_ms = draw.range(plan.load.over_us / 4_000, plan.load.over_us / 1_000).max(1);
    let dies = struck(FaultAction::Sigkill, FaultTarget::Process, FaultTrigger::AtMs(dies_ms));
    let stands_still = |n: u64| {
        let ms = plan.pace.heartbeat_us / 1_000 + draw.range(1, 6);
        let at = FaultTrigger::AtMs(dies_ms + 1 + n * 2 + draw.range(0, 2));
        struck(FaultAction::Pause { ms }, FaultTarget::Process, at)
    };
    std::iter::once(dies).chain((0..4).map(stands_still)).collect()
}
