//! Plans from seeds, swarm style: each seed draws its own shape of job, pace and trouble, so that
//! no two seeds look at the same corner. Small jobs are most likely: they are fast, and bugs are
//! rarely about size. In most plans checkpoints complete while records arrive; what befalls the job
//! is drawn in [`trouble`].

mod trouble;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::graph::Partitioner;
use stormproof_engine::runtime::{CheckpointConfig, CheckpointMode, ExchangeConfig};

use super::core::Span;
use super::database::DatabaseTraits;
use super::plan::{
    GrowingPause, Load, Pace, Parallelism, Plan, Services, SinkPlan, Topology, USUAL_PAUSE_MS,
};
use super::weather::{Disturbance, Window};
use super::world::HEALED_US;
use crate::fault::{Fault, FaultAction, FaultTrigger};

struct Draw(Pcg64Mcg);

impl Draw {
    fn range(&mut self, min: u64, max: u64) -> u64 {
        self.0.random_range(min..=max)
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.0.random_range(0..n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.random_range(0..choices.len())]
    }

    /// A number between `min` and `max`, whose order of magnitude is uniform.
    fn magnitude(&mut self, min: u64, max: u64) -> u64 {
        let (low, high) = ((min as f64).ln(), (max as f64).ln());
        let drawn = self.0.random_range(low..=high).exp();
        (drawn as u64).clamp(min, max)
    }

    fn span(&mut self, min: u64, max: u64) -> Span {
        let (a, b) = (self.magnitude(min, max), self.magnitude(min, max));
        Span { min_us: a.min(b), max_us: a.max(b) }
    }
}

impl Plan {
    /// The plan of a seed: the same on every machine.
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw(Pcg64Mcg::seed_from_u64(seed));
        let size = match draw.range(0, 999) {
            0 => draw.magnitude(200, 2000),
            1..=9 => draw.magnitude(12, 200),
            10..=199 => draw.range(5, 12),
            _ => draw.range(1, 4),
        } as u16;
        Self::of_size(seed, size, &mut draw)
    }

    /// The plan of a seed at about this parallelism.
    pub fn draw_sized(seed: u64, parallelism: u16) -> Self {
        Self::of_size(seed, parallelism.max(1), &mut Draw(Pcg64Mcg::seed_from_u64(seed)))
    }

    fn of_size(seed: u64, size: u16, draw: &mut Draw) -> Self {
        let mut topology = topology(size, draw);
        let load = load(&topology, draw);
        let sink = sink(draw);
        let checkpoint = checkpoint(size, &load, feasible_ms(&load, &sink), draw);
        if checkpoint.mode == CheckpointMode::AtLeastOnce {
            // A record that leaves between the cuts of two vertices is held in one and taken by
            // the other: rightly so in this mode, and nothing that the offsets could explain.
            topology.hold_us = 0;
        }
        let safety_us = load.over_us + draw.range(5_000, 60_000);
        let services = services(draw);
        let mut plan = Self {
            seed,
            exchange: exchange(draw),
            sink,
            pace: pace(draw),
            restart_delay_ms: draw.range(0, 10),
            max_restarts: draw.of(&[1000, 1000, 1, 3]),
            growing_pause: None,
            faults: Vec::new(),
            windows: Vec::new(),
            truncations: Vec::new(),
            safety_us,
            liveness_us: 30_000_000,
            drain_at_us: None,
            awaits_visibility: draw.one_in(4),
            topology,
            checkpoint,
            load,
            services,
        };
        trouble::befall(&mut plan, draw);
        plan.pace.late_credit_per_mille = draw.of(&[0, 0, 100, 500]);
        if plan.topology.parallelism[0].largest() <= 12 {
            plan.exchange.records_per_step = draw.of(&[0, 0, 0, 2, 10]);
            plan.sink.max_pending_bytes = draw.of(&[None, None, None, Some(500), Some(5_000)]);
        }
        if draw.one_in(3) {
            plan.growing_pause = Some(growing_pause(draw));
        }
        if plan.topology.parallelism[0].largest() <= 12 && draw.one_in(4) {
            // What has a length of its own, and what has it in one byte.
            plan.load.key_bytes = draw.of(&[254, 255, 256, 300]);
            let feasible_ms = feasible_ms(&plan.load, &plan.sink);
            plan.checkpoint.timeout_ms = plan.checkpoint.timeout_ms.max(feasible_ms);
        }
        if plan.topology.parallelism[0].largest() <= 12 {
            plan.exchange.large_credit_bytes = draw.of(&[0, 0, 300, 1_000]);
            plan.topology.later_workers = draw.of(&[None, None, Some(1), Some(2), Some(3)]);
            plan.sink.later_design =
                draw.of(&[None, None, None, Some(other_than(plan.sink.design))]);
        }
        // Transactions that were committed with a checkpoint cannot be taken back with it.
        if plan.sink.transactional_us.is_none() {
            plan.services.rots_per_mille = draw.of(&[0, 500, 1_000, 1_000]);
            plan.services.rot_takes_files = draw.one_in(2);
        }
        plan.load.has_empty_key = draw.one_in(4);
        if plan.topology.parallelism[0].largest() <= 4 && draw.one_in(8) {
            // On both sides of what a frame's length has in two bytes.
            plan.load.huge_value_bytes = draw.range(65_490, 65_540) as u32;
            plan.load.records = plan.load.records.min(100);
        }
        if draw.one_in(6) {
            let (disturbance, for_us) = (Disturbance::LogRepeats, plan.load.over_us);
            let per_mille = draw.of(&[50, 300]);
            plan.windows.push(Window { disturbance, from_us: 0, for_us, per_mille });
        }
        // Where a key's records keep their order the last one wins without a look at versions, if no
        // replay is cut short and then skipped: a checkpoint of a process that is dead, or was taken
        // for dead, may land when a later attempt has begun to write what was before it.
        let ends_a_process = |fault: &Fault| {
            matches!(fault.action, FaultAction::Sigkill | FaultAction::Pause { .. })
        };
        let is_over_soon = plan.growing_pause.is_none() && plan.max_restarts < 1_000;
        let comes_to_its_end = !is_over_soon && !plan.faults.iter().any(ends_a_process);
        if plan.is_keyed() && plan.is_ordered() && comes_to_its_end {
            plan.sink.versions_guarded = !draw.one_in(2);
            if !plan.sink.versions_guarded && draw.one_in(2) {
                crowd(&mut plan);
            }
        }
        if !plan.topology.is_direct && !plan.topology.holds_in_union && draw.one_in(6) {
            plan.topology.outputs = draw.range(2, 3) as u32;
            // As many rows as before.
            plan.load.records = (plan.load.records / plan.topology.outputs).max(20);
        }
        if plan.services.read_before == 0 && draw.one_in(6) {
            plan.services.removed_before = draw.range(1, 4) as u32;
        }
        if draw.one_in(6) {
            // On both sides of what an attempt has in one byte, and far beyond.
            let begun_before = draw.of(&[253, 254, 255, 65_535]);
            begin_later(&mut plan, begun_before);
        }
        give_time_for_copies(&mut plan);
        // Some pauses come to their longest with the third failure.
        plan.sink.retry_backoff_max_ms = draw.of(&[3, USUAL_PAUSE_MS]);
        plan
    }
}

/// An operator that holds records back looks at the clock for each, and behind a broadcast each is as
/// many as there are subtasks: at a microsecond each that is more than a large job's timeout.
fn give_time_for_copies(plan: &mut Plan) {
    let topology = &plan.topology;
    if topology.into_count == Partitioner::Broadcast && topology.hold_us > 0 {
        let subtasks = topology.parallelism.iter().map(|p| p.count).max().unwrap_or(1);
        let copies_us = u64::from(plan.load.records) * u64::from(subtasks);
        plan.checkpoint.timeout_ms = plan.checkpoint.timeout_ms.max(copies_us * 2 / 1_000);
    }
}

/// Many rows of few keys wait for each other, and go into one batch.
fn crowd(plan: &mut Plan) {
    plan.sink.batch_rows = 100;
    plan.sink.transaction_rows = 1_000;
    plan.sink.batch_interval_ms = 60;
    plan.load.keys = plan.load.keys.min(8);
    plan.load.burst = plan.load.burst.max(20);
    let feasible_ms = feasible_ms(&plan.load, &plan.sink);
    plan.checkpoint.timeout_ms = plan.checkpoint.timeout_ms.max(feasible_ms);
}

/// The job has begun so often before: what waits for an attempt waits for a later one.
fn begin_later(plan: &mut Plan, begun_before: u32) {
    plan.services.begun_before = begun_before;
    for fault in &mut plan.faults {
        if let FaultTrigger::AtStep { attempt: Some(attempt), .. } = &mut fault.when {
            attempt.0 += begun_before;
        }
    }
}

fn topology(size: u16, draw: &mut Draw) -> Topology {
    let near = |draw: &mut Draw| match draw.range(0, 3) {
        0 => draw.range(1, u64::from(size)) as u16,
        _ => size,
    };
    let into_count = draw.of(&[
        Partitioner::KeyBy,
        Partitioner::KeyBy,
        Partitioner::KeyBy,
        Partitioner::Rebalance,
        Partitioner::Shuffle,
        Partitioner::Rescale,
    ]);
    let into_sink = draw.of(&[
        Partitioner::Forward,
        Partitioner::Forward,
        Partitioner::KeyBy,
        Partitioner::Rebalance,
    ]);
    let shape = |draw: &mut Draw, some: &dyn Fn(&mut Draw) -> u16| {
        let count = some(draw);
        let sink = if into_sink == Partitioner::Forward { count } else { some(draw) };
        Parallelism { source: some(draw), count, sink }
    };
    let mut parallelism = vec![shape(draw, &near)];
    // Later processes are of any size, so that what is restored is shared out anew.
    let any = |draw: &mut Draw| draw.range(1, u64::from(size) + 1) as u16;
    while parallelism.len() < 4 && draw.one_in(3) {
        parallelism.push(shape(draw, &any));
    }
    let partitions = match draw.range(0, 2) {
        0 => draw.range(1, u64::from(size) * 2) as u32,
        _ => u32::from(size),
    };
    // With few key groups each one matters, and so do the borders between subtasks.
    let least = parallelism.iter().map(Parallelism::largest).max().unwrap_or(1);
    let usual = u16::max(128, (size + 1).next_power_of_two());
    let max_parallelism = draw.of(&[usual, usual, least, least.next_power_of_two()]);
    let workers = draw.of(&[1, 2, 2, 2, 3, 4]);
    // Drawn later: see `trouble`.
    let (is_bounded, is_direct, holds_in_union) = (false, false, false);
    let later_workers = None;
    let hold_us = if draw.one_in(4) { draw.magnitude(100, 20_000) } else { 0 };
    Topology {
        workers,
        later_workers,
        parallelism,
        max_parallelism,
        partitions,
        is_bounded,
        hold_us,
        holds_in_union,
        is_direct,
        outputs: 1,
        into_count,
        into_sink,
    }
}

fn load(topology: &Topology, draw: &mut Draw) -> Load {
    let records = draw.magnitude(20, 300) as u32 + topology.partitions * 2;
    Load {
        records,
        keys: draw.magnitude(1, 200) as u32,
        null_keys_per_mille: draw.of(&[0, 0, 20, 200]),
        hot_per_mille: draw.of(&[0, 0, 300, 900]),
        value_bytes: draw.of(&[0, 8, 24, 100]),
        // Drawn last of all.
        key_bytes: 0,
        has_empty_key: false,
        huge_value_bytes: 0,
        over_us: draw.magnitude(15_000, 150_000),
        burst: draw.of(&[1, 2, 5, 20]),
        skew_per_mille: draw.of(&[0, 0, 500, 900]),
        gaps_per_mille: draw.of(&[0, 0, 0, 50, 300]),
    }
}

fn checkpoint(size: u16, load: &Load, feasible_ms: u64, draw: &mut Draw) -> CheckpointConfig {
    // The work of a checkpoint grows with the job; a large one has fewer.
    let (shortest_ms, longest_ms) = if size >= 200 { (20, 100) } else { (2, 40) };
    let mut interval_ms = draw.magnitude(shortest_ms, longest_ms);
    if !draw.one_in(5) {
        interval_ms = interval_ms.min(load.over_us / 4_000).max(shortest_ms);
    }
    let mode = draw.of(&CheckpointMode::ALL);
    CheckpointConfig {
        mode,
        interval_ms,
        min_pause_ms: draw.of(&[0, 0, 1, 10]),
        timeout_ms: draw.of(&[20, 100, 1_000, 10_000]).max(feasible_ms),
        max_concurrent: draw.of(&[1, 1, 2, 3]),
        tolerable_failures: draw.of(&[0, 1, 2, 3, 10]),
        alignment_timeout_ms: draw.of(&[None, None, Some(1), Some(5)]),
        retained: draw.of(&[1, 2, 3, 5]),
    }
}

/// A large row of a simulated job.
const LARGE_ROW_BYTES: usize = 200;

/// A timeout within which the last checkpoint, which flushes whatever has queued up, can complete
/// once everything is healed. A job with less would never drain, and rightly so.
fn feasible_ms(load: &Load, sink: &SinkPlan) -> u64 {
    let row_bytes = LARGE_ROW_BYTES + load.key_bytes as usize;
    let by_bytes = sink.transaction_bytes.map_or(usize::MAX, |bytes| bytes / row_bytes);
    let batch = sink.transaction_rows.min(sink.batch_rows).min(by_bytes) as u64;
    let transactions = u64::from(load.records) / batch.max(1) + 1;
    let statements_us = transactions * 4 * HEALED_US;
    let steps_us = u64::from(load.records) * 3 * HEALED_US;
    20 + (statements_us + steps_us) / 1_000
}

fn exchange(draw: &mut Draw) -> ExchangeConfig {
    ExchangeConfig {
        lane_buffer_bytes: draw.of(&[64, 256, 1024, 32 * 1024]),
        flush_interval_us: draw.of(&[0, 200, 2_000]),
        credit_bytes: draw.of(&[0, 100, 400, 2_000, 4_000]),
        in_flight_target_ms: draw.of(&[0, 5, 5, 100]),
        // Drawn last of all.
        large_credit_bytes: 0,
        records_per_step: 0,
    }
}

fn sink(draw: &mut Draw) -> SinkPlan {
    SinkPlan {
        design: draw.of(&[BufferDesign::BufferInState, BufferDesign::FlushOnBarrier]),
        // Drawn last of all.
        later_design: None,
        transactional_us: None,
        batch_rows: draw.of(&[1, 3, 10, 100]),
        batch_interval_ms: draw.of(&[1, 5, 20, 60]),
        transaction_rows: draw.of(&[1, 5, 50, 1_000]),
        transaction_bytes: draw.of(&[None, None, None, Some(200), Some(1_000)]),
        max_pending_bytes: None,
        connections: draw.of(&[1, 1, 2, 3]),
        max_pending_rows: draw.of(&[4, 20, 20_000]),
        max_retries: draw.of(&[1, 3, 8]),
        // Drawn last of all.
        retry_backoff_max_ms: USUAL_PAUSE_MS,
        call_timeout_ms: draw.of(&[5, 50, 1_000]),
        fence_timeout_ms: draw.of(&[200, 2_000]),
        versions_guarded: true,
    }
}

fn other_than(design: BufferDesign) -> BufferDesign {
    match design {
        BufferDesign::BufferInState => BufferDesign::FlushOnBarrier,
        BufferDesign::FlushOnBarrier => BufferDesign::BufferInState,
    }
}

fn pace(draw: &mut Draw) -> Pace {
    Pace {
        step: draw.span(5, 2_000),
        poll_us: draw.of(&[2_000, 5_000, 20_000]),
        message: draw.span(5, 3_000),
        open: draw.span(50, 5_000),
        restart: draw.span(500, 20_000),
        heartbeat_us: draw.of(&[5_000, 20_000, 1_000_000]),
        late_credit_per_mille: 0,
    }
}

fn growing_pause(draw: &mut Draw) -> GrowingPause {
    GrowingPause {
        initial_ms: draw.of(&[1, 3]),
        max_ms: draw.of(&[10, 40, 400]),
        growth_percent: draw.of(&[150, 200, 300, 100_000]),
        reset_after_ms: draw.of(&[5, 20, 60]),
    }
}

fn services(draw: &mut Draw) -> Services {
    let starts_at_committed = draw.one_in(3);
    Services {
        store: if draw.one_in(6) { draw.span(1_000, 20_000) } else { draw.span(50, 10_000) },
        torn_per_mille: draw.of(&[0, 0, 300]),
        // Drawn last of all.
        rots_per_mille: 0,
        rot_takes_files: false,
        late_us: draw.of(&[0, 10_000, 60_000]),
        database: DatabaseTraits {
            latency: draw.span(20, 5_000),
            lock_timeout_us: draw.of(&[5_000, 50_000]),
            idle_timeout_us: draw.of(&[20_000, 100_000]),
        },
        log_commit: draw.span(50, 20_000),
        starts_at_committed,
        read_before: if starts_at_committed { draw.of(&[0, 0, 1, 3]) } else { 0 },
        removed_before: 0,
        begun_before: 0,
        log_commit_timeout_ms: Some(draw.of(&[30, 200, 1_000])),
    }
}
