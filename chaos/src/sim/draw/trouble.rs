//! What befalls the job of a drawn plan: faults, bad service, and what is rare.
//!
//! Most plans have a *death*: a panic or a SIGKILL that strikes while records arrive and there is a
//! checkpoint to fall back on. Without one a schedule proves little. Some die *again*: in the
//! recovery, or before there is another checkpoint. In some, checkpoints *overlap*: the next begins
//! while the last ones wait, and single ones are given up between others.

mod early_drain;
mod insistent;
mod overlap;
mod together;

use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::graph::Partitioner;
use stormproof_engine::ids::AttemptId;
use stormproof_engine::runtime::CheckpointMode;
use stormproof_engine::seam::Step;

use super::{Draw, Span, feasible_ms};
use crate::fault::{CheckpointRef, Fault, FaultAction, FaultId, FaultTarget, FaultTrigger};
use crate::sim::plan::{PATIENT_US, Parallelism, Plan, Topology, Truncation, VERTICES};
use crate::sim::weather::{Disturbance, Window};

/// A checkpoint that may take longer is not waited for by a lag.
const PATIENCE_MS: u64 = 150;

/// Fills in the faults, the windows of bad service and what few plans have.
pub(super) fn befall(plan: &mut Plan, draw: &mut Draw) {
    kind(plan, draw);
    let has_lags = draw.range(0, 4) < 3;
    if has_lags {
        make_room_for_lags(plan, draw);
    }
    // Where channels are held in part, it matters most what the next barrier meets.
    let has_overlaps = if has_lags { !draw.one_in(4) } else { draw.one_in(3) };
    if has_overlaps {
        overlap::make_room(plan, draw);
    }
    let is_congested = if has_lags { !draw.one_in(4) } else { draw.one_in(6) };
    if is_congested {
        congest(plan, has_lags, draw);
    }
    plan.faults = faults(plan, draw);
    plan.windows = windows(plan, draw);
    // A transactional sink's contract has no answer to doubt, or to two processes at once.
    if draw.one_in(2) && plan.sink.transactional_us.is_none() {
        let faults = together::befall(plan, draw);
        plan.faults.extend(faults);
    }
    // Where a sink is transactional, no write lands late: there is nothing to die around.
    if draw.one_in(3) && plan.sink.transactional_us.is_none() {
        let deaths = match draw.one_in(2) {
            true => panics_beside_manifests(plan, draw).to_vec(),
            false => around_a_manifest(plan, draw).to_vec(),
        };
        plan.faults.extend(deaths);
    } else if !draw.one_in(12) {
        let death = death(plan, draw);
        plan.faults.push(death);
        if draw.one_in(2) {
            let again = again(plan, draw);
            plan.faults.push(again);
        }
    }
    if has_lags {
        let lags = lags(plan, draw);
        plan.faults.extend(lags);
    }
    if has_overlaps {
        let troubles = overlap::troubles(plan, has_lags, draw);
        plan.faults.extend(troubles);
    }
    if draw.one_in(8) {
        let faults = early_drain::befall(plan, draw);
        plan.faults.extend(faults);
    }
    retention(plan, draw);
    if draw.one_in(8) {
        let stalls = broadcast(plan, draw);
        plan.faults.extend(stalls);
    }
    let faults = insistent::befall(plan, draw);
    plan.faults.extend(faults);
    // What befell the load since the timeout was drawn.
    let feasible_ms = feasible_ms(&plan.load, &plan.sink);
    plan.checkpoint.timeout_ms = plan.checkpoint.timeout_ms.max(feasible_ms);
    for (fault, id) in plan.faults.iter_mut().zip(1..) {
        fault.id = FaultId(id);
    }
}

fn faults(plan: &Plan, draw: &mut Draw) -> Vec<Fault> {
    let count = draw.of(&[0, 1, 1, 2, 3, 5, 8]);
    // A swarm: each seed has its own few kinds of trouble.
    let kinds: Vec<u64> = (0..draw.range(1, 4)).map(|_| draw.range(0, 9)).collect();
    (0..count).map(|_| fault(&kinds, plan, draw)).collect()
}

/// Steps that this plan's job passes.
fn steps(plan: &Plan) -> Vec<Step> {
    let mode = plan.checkpoint.mode;
    let is_transactional = plan.sink.transactional_us.is_some();
    let is_passed = |step: &Step| match step {
        Step::Aligning => mode == CheckpointMode::ExactlyOnce,
        Step::Aligned => matches!(mode, CheckpointMode::ExactlyOnce | CheckpointMode::AtLeastOnce),
        Step::TransactionPreCommit
        | Step::TransactionCommitSent
        | Step::TransactionCommitConfirmed => is_transactional,
        Step::SinkFlushBegun | Step::SinkFlushSent | Step::SinkFlushConfirmed => !is_transactional,
        _ => true,
    };
    Step::ALL.iter().copied().filter(is_passed).collect()
}

/// A fault; its number comes later.
fn struck(action: FaultAction, target: FaultTarget, when: FaultTrigger) -> Fault {
    Fault { id: FaultId(0), action, target, when, heal_after_ms: 0 }
}

fn at_step(step: Step, nth: u32, armed_at_ms: u64) -> FaultTrigger {
    FaultTrigger::AtStep { step, checkpoint: CheckpointRef::Nth(nth), attempt: None, armed_at_ms }
}

fn fault(kinds: &[u64], plan: &Plan, draw: &mut Draw) -> Fault {
    let ms = draw.magnitude(1, 60);
    let action = match draw.of(kinds) {
        0..=2 => FaultAction::Panic,
        3..=5 => FaultAction::Sigkill,
        6 => FaultAction::Pause { ms },
        7 => FaultAction::Stall { ms },
        8 => FaultAction::Error,
        _ => FaultAction::Delay { ms },
    };
    // While records arrive there is something to lose; a job that has not begun loses nothing.
    let over_us = plan.load.over_us;
    let last_us = if draw.one_in(4) { plan.safety_us } else { over_us };
    let first_us = if draw.one_in(4) { 0 } else { over_us / 4 };
    let at_ms = draw.range(first_us / 1000, (last_us / 1000).max(1));
    let is_signal = matches!(action, FaultAction::Sigkill | FaultAction::Pause { .. });
    let (target, when) = if is_signal && draw.one_in(3) {
        (FaultTarget::Process, FaultTrigger::AtMs(at_ms))
    } else {
        let nth = draw.of(&[1, 1, 2, 3]);
        let step = draw.of(&steps(plan));
        // A recovery belongs to no checkpoint.
        let nth = if step >= Step::RestoreBegun { 1 } else { nth };
        (target(step, plan, draw), at_step(step, nth, at_ms))
    };
    Fault { heal_after_ms: draw.range(0, 20), ..struck(action, target, when) }
}

/// The death of most plans.
fn death(plan: &Plan, draw: &mut Draw) -> Fault {
    let over_ms = (plan.load.over_us / 1000).max(2);
    if draw.one_in(3) {
        let when = FaultTrigger::AtMs(draw.range(over_ms / 2, over_ms));
        return struck(FaultAction::Sigkill, FaultTarget::Process, when);
    }
    let mut steps = steps(plan);
    steps.retain(|step| *step < Step::RestoreBegun);
    if draw.one_in(3) {
        // Around the commit point there is most to do wrong.
        steps = vec![Step::Acked, Step::AllAcked, Step::AllAcked, Step::MetadataDurable];
    }
    let mut action = draw.of(&[FaultAction::Panic, FaultAction::Sigkill]);
    if plan.topology.parallelism.len() > 1 {
        // Only another process has another parallelism.
        action = FaultAction::Sigkill;
    }
    let when = at_step(draw.of(&steps), draw.of(&[2, 2, 3]), 0);
    struck(action, killed(action, draw), when)
}

/// A process dies while a manifest is on its way to a slow storage, and the next one before it has
/// a checkpoint of its own: what the one found unfinished, the one after it may find complete.
fn around_a_manifest(plan: &mut Plan, draw: &mut Draw) -> [Fault; 2] {
    plan.services.late_us = draw.of(&[10_000, 20_000]);
    plan.services.store = draw.span(500, 5_000);
    plan.pace.restart = draw.span(300, 3_000);
    let first = at_step(Step::AllAcked, draw.of(&[2, 3]), 0);
    let step = draw.of(&[Step::BarrierReceived, Step::SnapshotSync, Step::Upload, Step::Acked]);
    let again = FaultTrigger::AtStep {
        step,
        checkpoint: CheckpointRef::Nth(1),
        attempt: Some(AttemptId(2)),
        armed_at_ms: 0,
    };
    [
        struck(FaultAction::Sigkill, FaultTarget::Process, first),
        struck(FaultAction::Sigkill, killed(FaultAction::Sigkill, draw), again),
    ]
}

/// Subtasks panic while manifests are on their way to a storage that is slow now and then, and their
/// process starts the job again at once.
fn panics_beside_manifests(plan: &mut Plan, draw: &mut Draw) -> [Fault; 5] {
    plan.services.store = Span { min_us: 100, max_us: 600 };
    plan.windows.push(Window {
        disturbance: Disturbance::StoreSlow,
        from_us: 0,
        for_us: plan.safety_us,
        per_mille: draw.of(&[200, 500]),
    });
    plan.services.database.latency = draw.span(20, 200);
    plan.pace.message = draw.span(5, 200);
    (plan.restart_delay_ms, plan.max_restarts) = (0, 1_000);
    let checkpoint = &mut plan.checkpoint;
    (checkpoint.max_concurrent, checkpoint.min_pause_ms) = (draw.of(&[3, 4]), 0);
    checkpoint.interval_ms = checkpoint.interval_ms.min(5);
    checkpoint.timeout_ms = checkpoint.timeout_ms.max(PATIENCE_MS);
    let panic = |first: u32| {
        let step = draw.of(&[Step::BarrierReceived, Step::SnapshotSync, Step::Upload]);
        let when = at_step(step, draw.of(&[first, first + 1]), 0);
        struck(FaultAction::Panic, FaultTarget::AnySubtask, when)
    };
    // When the third begins, the first is on its way to be complete.
    [3, 5, 7, 9, 12].map(panic)
}

/// A process that is killed at a step may have done what the step is about.
fn killed(action: FaultAction, draw: &mut Draw) -> FaultTarget {
    let is_process = action == FaultAction::Sigkill && draw.one_in(2);
    if is_process { FaultTarget::Process } else { FaultTarget::AnySubtask }
}

/// Another death, while the job recovers from the first one or before it has a checkpoint of its
/// own again: what the first death left half done is then looked at a second time.
fn again(plan: &Plan, draw: &mut Draw) -> Fault {
    let mut steps = steps(plan);
    steps.retain(|step| *step <= Step::AllAcked || *step >= Step::RestoreBegun);
    let action = draw.of(&[FaultAction::Panic, FaultAction::Sigkill]);
    let (step, checkpoint) = (draw.of(&steps), CheckpointRef::Nth(1));
    let attempt = Some(AttemptId(2));
    let when = FaultTrigger::AtStep { step, checkpoint, attempt, armed_at_ms: 0 };
    struck(action, killed(action, draw), when)
}

/// Several source subtasks of a worker, and few keys behind their barriers: what a lane that is
/// held in part puts aside is then worth looking at.
fn make_room_for_lags(plan: &mut Plan, draw: &mut Draw) {
    let topology = &mut plan.topology;
    topology.workers = draw.of(&[1, 1, 1, 2]);
    for shape in &mut topology.parallelism {
        shape.source = shape.source.max(draw.range(2, 3) as u16);
        topology.max_parallelism = topology.max_parallelism.max(shape.source);
    }
    topology.partitions = topology.partitions.max(topology.parallelism[0].source.into());
    let load = &mut plan.load;
    load.keys = draw.range(4, 16) as u32;
    load.records = load.records.max(draw.of(&[200, 400, 600]));
    load.over_us = load.over_us.min(80_000);
    (load.hot_per_mille, load.skew_per_mille) = (draw.of(&[0, 0, 300]), 0);
    let feasible_ms = feasible_ms(load, &plan.sink);
    plan.checkpoint.timeout_ms = match draw.one_in(2) {
        true => feasible_ms,
        false => plan.checkpoint.timeout_ms.max(feasible_ms),
    };
    if draw.one_in(4) {
        return;
    }
    plan.checkpoint.mode = CheckpointMode::ExactlyOnce;
    plan.checkpoint.alignment_timeout_ms = draw.of(&[None, Some(1), Some(3), Some(3)]);
    plan.exchange.credit_bytes = plan.exchange.credit_bytes.max(400);
    plan.checkpoint.min_pause_ms = 0;
}

/// A sink that is slower than its input: everything before it waits in queues, and what a barrier
/// overtakes there, of few keys, is worth looking at.
fn congest(plan: &mut Plan, has_lags: bool, draw: &mut Draw) {
    let Plan { topology, sink, load, exchange, services, checkpoint, pace, .. } = plan;
    sink.max_pending_rows = draw.of(&[4, 4, 20]);
    sink.batch_rows = draw.of(&[1, 3]);
    // Where checkpoints overlap, the database may be slow already.
    if services.database.latency.max_us < 1_500 {
        services.database.latency = draw.span(100, 1_500);
    }
    if draw.one_in(2) {
        // What an alignment has let go still waits for the database when the next one ends.
        services.database.latency = draw.span(500, 5_000);
        sink.design = BufferDesign::FlushOnBarrier;
        sink.max_pending_rows = 4;
    }
    exchange.credit_bytes = draw.of(&[100, 400, 400, 2_000]);
    load.burst = draw.of(&[2, 5, 20]);
    load.keys = draw.range(1, 12) as u32;
    // Slow steps find more than one thing to do.
    pace.step = draw.span(100, 2_000);
    let is_told_apart = if has_lags { !draw.one_in(4) } else { draw.one_in(2) };
    if is_told_apart {
        // A barrier that overtakes, and an order that can be told.
        topology.into_count = Partitioner::KeyBy;
        if topology.into_sink == Partitioner::Rebalance {
            topology.into_sink = Partitioner::KeyBy;
        }
        if !topology.holds_in_union {
            topology.parallelism.truncate(1);
        }
        checkpoint.mode = draw.of(&[
            CheckpointMode::ExactlyOnceUnaligned,
            CheckpointMode::ExactlyOnce,
            CheckpointMode::ExactlyOnce,
        ]);
        checkpoint.alignment_timeout_ms = Some(draw.of(&[1, 1, 3]));
        if has_lags {
            // Room for what comes behind a barrier, and is held.
            exchange.credit_bytes = draw.of(&[400, 2_000, 4_000]);
            exchange.in_flight_target_ms = draw.of(&[0, 100]);
        }
        if draw.one_in(2) && topology.parallelism[0].largest() < 200 {
            // One alignment after the other.
            checkpoint.interval_ms = checkpoint.interval_ms.min(draw.range(2, 5));
            checkpoint.min_pause_ms = 0;
        }
    } else if !draw.one_in(4) {
        // Records of keys that are in flight when another parallelism takes over.
        topology.into_count = Partitioner::KeyBy;
        rescale_once(topology, draw);
        checkpoint.mode = CheckpointMode::ExactlyOnceUnaligned;
    } else if checkpoint.mode == CheckpointMode::AtLeastOnce
        && topology.hold_us == 0
        && draw.one_in(2)
    {
        checkpoint.mode = CheckpointMode::ExactlyOnceUnaligned;
    }
    checkpoint.timeout_ms = checkpoint.timeout_ms.max(feasible_ms(load, sink));
}

/// The second process counts with another parallelism than the first.
fn rescale_once(topology: &mut Topology, draw: &mut Draw) {
    let before = topology.parallelism[0];
    let count = draw.range(1, u64::from(before.count) + 2) as u16;
    let sink = if topology.into_sink == Partitioner::Forward { count } else { before.sink };
    topology.parallelism.truncate(1);
    topology.parallelism.push(Parallelism { count, sink, ..before });
    topology.max_parallelism = topology.max_parallelism.max(count);
}

/// Source subtasks that fall behind the others of their worker: their barriers come late, and what
/// their neighbours send meanwhile is held on lanes that go on.
fn lags(plan: &Plan, draw: &mut Draw) -> Vec<Fault> {
    let sources = plan.vertices()[0].parallelism;
    let interval_ms = plan.checkpoint.interval_ms;
    let count = draw.range(6, 16);
    let lag = |_| {
        // Past the next trigger; or so long that the checkpoint is given up, and the barrier comes
        // after that.
        let ms = match plan.checkpoint.timeout_ms <= PATIENCE_MS && draw.one_in(8) {
            true => plan.checkpoint.timeout_ms + draw.range(0, interval_ms),
            false => draw.range(interval_ms, 3 * interval_ms),
        };
        let index = draw.range(0, u64::from(sources) - 1) as u16;
        let target = FaultTarget::Subtask { vertex: VERTICES[0].to_owned(), index };
        let step = draw.of(&[Step::BarrierInjected, Step::Notified]);
        let armed_at_ms = draw.range(0, (plan.load.over_us / 1000).max(1));
        struck(FaultAction::Stall { ms }, target, at_step(step, 1, armed_at_ms))
    };
    (0..count).map(lag).collect()
}

/// Any subtask, or one of a vertex that passes the step.
fn target(step: Step, plan: &Plan, draw: &mut Draw) -> FaultTarget {
    let among: &[usize] = match step {
        Step::AllAcked
        | Step::MetadataDurable
        | Step::RestoreBegun
        | Step::StateRead
        | Step::RestoreDone => return FaultTarget::AnySubtask,
        Step::BarrierInjected | Step::OffsetCommitted => &[0],
        Step::BarrierReceived | Step::Aligning | Step::Aligned => plan.gated(),
        Step::SinkFlushBegun | Step::SinkFlushSent | Step::SinkFlushConfirmed => &[2],
        _ if plan.topology.is_direct => &[0, 2],
        _ => &[0, 1, 2],
    };
    if !draw.one_in(4) {
        return FaultTarget::AnySubtask;
    }
    let at = draw.of(among);
    let parallelism = plan.vertices()[at].parallelism;
    let index = draw.range(0, u64::from(parallelism) - 1) as u16;
    FaultTarget::Subtask { vertex: VERTICES[at].to_owned(), index }
}

/// What few jobs are: a bounded input, a transactional sink, nothing between source and sink, union
/// state.
fn kind(plan: &mut Plan, draw: &mut Draw) {
    plan.topology.is_bounded = draw.one_in(4);
    if draw.one_in(6) {
        let patience_us = draw.of(&[PATIENT_US, 30_000, 10_000]);
        plan.sink.transactional_us = Some(patience_us);
        // Its contract has no answer to two processes at once.
        plan.pace.heartbeat_us = PATIENT_US;
    } else if draw.one_in(8) {
        plan.topology.is_direct = true;
        plan.topology.hold_us = 0;
    }
    let topology = &mut plan.topology;
    topology.holds_in_union =
        topology.hold_us > 0 && topology.into_count == Partitioner::KeyBy && !draw.one_in(4);
    if topology.holds_in_union {
        topology.hold_us = topology.hold_us.max(5_000);
        if !draw.one_in(4) {
            rescale_once(topology, draw);
        }
    }
}

/// Every counting subtask gets every record, and some stand still while the others go on. Copies in
/// flight are for a subtask each: where they are logged, a restore has as many subtasks.
fn broadcast(plan: &mut Plan, draw: &mut Draw) -> Vec<Fault> {
    if plan.topology.is_direct {
        return Vec::new();
    }
    if plan.logs_records() {
        let topology = &mut plan.topology;
        let count = topology.parallelism[0].count;
        for shape in &mut topology.parallelism {
            shape.count = count;
            if topology.into_sink == Partitioner::Forward {
                shape.sink = count;
            }
        }
    }
    plan.topology.into_count = Partitioner::Broadcast;
    plan.exchange.credit_bytes = draw.of(&[100, 400, plan.exchange.credit_bytes]);
    plan.load.records = plan.load.records.max(200);
    plan.load.over_us = plan.load.over_us.min(60_000);
    let subtasks = u64::from(plan.topology.parallelism[0].count);
    let stall = |_| {
        let (vertex, index) = (VERTICES[1].to_owned(), draw.range(0, subtasks - 1) as u16);
        let armed_at_ms = draw.range(0, (plan.load.over_us / 1_000).max(1));
        let action = FaultAction::Stall { ms: draw.range(10, 40) };
        let when = at_step(Step::BarrierReceived, 1, armed_at_ms);
        struck(action, FaultTarget::Subtask { vertex, index }, when)
    };
    (0..3).map(stall).collect()
}

/// In few plans retention removes what the job may still need.
fn retention(plan: &mut Plan, draw: &mut Draw) {
    if !draw.one_in(12) {
        return;
    }
    let partition = draw.range(0, u64::from(plan.topology.partitions) - 1) as u32;
    let most = u64::from(plan.load.records) * 2 / u64::from(plan.topology.partitions) + 1;
    let at_us = draw.range(plan.safety_us / 4, plan.safety_us);
    // At most everything that is there; a restart soon after meets it.
    let low = draw.range(1, most);
    let low = draw.of(&[low, most]);
    plan.truncations.push(Truncation { at_us, partition, low });
    let when = FaultTrigger::AtMs(at_us / 1000 + draw.range(0, 2));
    plan.faults.push(struck(FaultAction::Sigkill, FaultTarget::Process, when));
}

fn windows(plan: &Plan, draw: &mut Draw) -> Vec<Window> {
    let count = draw.of(&[0, 0, 1, 2, 4]);
    // A transactional sink's contract has no answer to a lost notification, or to a checkpoint of
    // which nobody knows whether it is complete.
    let beyond = [
        Disturbance::NotificationLost,
        Disturbance::StoreWriteInDoubt,
        Disturbance::ManifestInDoubt,
    ];
    let is_answered = |window: &Window| {
        plan.sink.transactional_us.is_none() || !beyond.contains(&window.disturbance)
    };
    (0..count)
        .map(|_| Window {
            disturbance: draw.of(Disturbance::ALL),
            from_us: draw.range(0, plan.safety_us),
            for_us: draw.magnitude(1_000, 60_000),
            per_mille: draw.of(&[50, 300, 1000]),
        })
        .filter(is_answered)
        .collect()
}
