//! What experiments in the simulation share: a calm plan to start from, the moments at which steps
//! were passed, and tallies over many drawn plans.
//!
//! Invariant: everything is a function of the seed.

use std::collections::BTreeMap;

use stormproof_chaos::sim::{
    self, DatabaseTraits, Load, Pace, Parallelism, Plan, Services, SimRun, SinkPlan, Span, Topology,
};
use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::graph::Partitioner;
use stormproof_engine::ids::CheckpointId;
use stormproof_engine::runtime::{CheckpointConfig, ExchangeConfig};
use stormproof_engine::seam::Step;

use super::Context;
use crate::oracle::checkpoint_reader::{CheckpointObjects, CheckpointSource as _};
use crate::proof::case::Case;
use crate::proof::each;

/// Where such experiments were carried out.
pub(super) const SIMULATION: &str = "the simulation: the engine itself, virtual time, exact";

pub(super) fn span(min_us: u64, max_us: u64) -> Span {
    Span { min_us, max_us }
}

/// A small job in which nothing fails.
pub(super) fn calm(seed: u64) -> Plan {
    let over_us = 100_000;
    Plan {
        seed,
        topology: Topology {
            workers: 2,
            later_workers: None,
            parallelism: vec![Parallelism { source: 4, count: 4, sink: 4 }],
            max_parallelism: 128,
            partitions: 4,
            is_bounded: false,
            hold_us: 0,
            holds_in_union: false,
            is_direct: false,
            outputs: 1,
            into_count: Partitioner::KeyBy,
            into_sink: Partitioner::Forward,
        },
        checkpoint: CheckpointConfig {
            interval_ms: 20,
            timeout_ms: 60_000,
            retained: 3,
            ..CheckpointConfig::default()
        },
        exchange: ExchangeConfig::default(),
        sink: SinkPlan {
            design: BufferDesign::BufferInState,
            later_design: None,
            transactional_us: None,
            batch_rows: 10,
            batch_interval_ms: 10,
            transaction_rows: 50,
            transaction_bytes: None,
            connections: 1,
            max_pending_rows: 20_000,
            max_pending_bytes: None,
            max_retries: 8,
            retry_backoff_max_ms: 20,
            call_timeout_ms: 10_000,
            fence_timeout_ms: 10_000,
            versions_guarded: true,
        },
        load: Load {
            records: 400,
            keys: 50,
            null_keys_per_mille: 0,
            hot_per_mille: 0,
            value_bytes: 8,
            key_bytes: 0,
            has_empty_key: false,
            huge_value_bytes: 0,
            over_us,
            burst: 1,
            skew_per_mille: 0,
            gaps_per_mille: 0,
        },
        pace: Pace {
            step: span(5, 200),
            poll_us: 1_000,
            message: span(5, 300),
            open: span(50, 500),
            restart: span(500, 2_000),
            heartbeat_us: 1_000_000,
            late_credit_per_mille: 0,
        },
        services: Services {
            store: span(200, 2_000),
            torn_per_mille: 0,
            rots_per_mille: 0,
            rot_takes_files: false,
            late_us: 0,
            database: DatabaseTraits {
                latency: span(200, 2_000),
                lock_timeout_us: 50_000,
                idle_timeout_us: 100_000,
            },
            log_commit: span(200, 2_000),
            starts_at_committed: false,
            read_before: 0,
            removed_before: 0,
            begun_before: 0,
            log_commit_timeout_ms: None,
        },
        restart_delay_ms: 5,
        max_restarts: 1_000,
        growing_pause: None,
        faults: Vec::new(),
        windows: Vec::new(),
        truncations: Vec::new(),
        safety_us: over_us + 20_000,
        liveness_us: 30_000_000,
        drain_at_us: None,
        awaits_visibility: false,
    }
}

/// When the first and when the last subtask passed a step, by checkpoint.
pub(super) fn passed(run: &SimRun, step: Step) -> BTreeMap<CheckpointId, (u64, u64)> {
    let mut moments: BTreeMap<CheckpointId, (u64, u64)> = BTreeMap::new();
    for passed in run.passed.iter().filter(|passed| passed.step == step) {
        let at_us = passed.at_us;
        let moment = moments.entry(passed.at.checkpoint).or_insert((at_us, at_us));
        *moment = (moment.0.min(at_us), moment.1.max(at_us));
    }
    moments
}

/// The records before the cut of each completed checkpoint: the sum of its offsets.
pub(super) fn records_before(run: &SimRun) -> BTreeMap<CheckpointId, u64> {
    let mut objects = CheckpointObjects::new(&run.evidence.objects);
    let listed = objects.list().unwrap_or_default();
    let manifests = listed.into_iter().filter_map(|listed| listed.manifest.ok());
    manifests
        .filter_map(|manifest| {
            let state = objects.state(&manifest).ok()?;
            let records = state.splits.iter().map(|split| split.next_offset.0).sum();
            Some((CheckpointId(manifest.checkpoint.0), records))
        })
        .collect()
}

/// How many records have arrived by a moment.
pub(super) struct Arrived(Vec<(u64, u64)>);

impl Arrived {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut total = 0;
        let sums = sim::arrivals(plan).into_iter().map(|arrival| {
            total += u64::from(arrival.records);
            (arrival.at_us, total)
        });
        Self(sums.collect())
    }

    pub(super) fn by(&self, at_us: u64) -> u64 {
        let before = self.0.partition_point(|(t, _)| *t <= at_us);
        before.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

/// What many drawn plans have come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Plans that ran.
    pub(super) schedules: u64,
    /// Seeds whose plan broke one of the rules.
    pub(super) broke: Vec<u64>,
}

impl Tally {
    /// So many of so many.
    pub(super) fn told(&self) -> String {
        format!("{} of {} schedules", self.broke.len(), self.schedules)
    }
}

/// Draws plans, changes each, runs them with a seeded bug on (0 is none), and counts those that
/// break one of `rules`.
pub(super) fn tally(
    context: &Context,
    mutant: u32,
    rules: &[&str],
    change: impl Fn(&mut Plan) + Sync,
) -> Tally {
    let seeds: Vec<u64> = (0..context.schedules).map(|n| context.seed.wrapping_add(n)).collect();
    let is_broken = |seed: &u64| {
        let case = drawn(*seed, mutant, &change);
        case.broken().iter().any(|broken| rules.contains(&broken.as_str()))
    };
    let broke = each(&seeds, context.jobs, is_broken, &|_| {});
    let broke = seeds.iter().zip(broke).filter(|(_, broke)| *broke).map(|(seed, _)| *seed);
    Tally { schedules: context.schedules, broke: broke.collect() }
}

/// The case of a seed, changed.
pub(super) fn drawn(seed: u64, mutant: u32, change: impl Fn(&mut Plan)) -> Case {
    let mut plan = Plan::draw(seed);
    plan.sink.versions_guarded = true;
    change(&mut plan);
    Case { plan, mutant }
}
