//! A plan: everything that a simulated run is made of, as data.
//!
//! Invariant: a plan is complete. Its `seed` drives the scheduler only; topology, load, timing and
//! every fault are written out, so a plan can be changed by hand or by a shrinker and run again.

use serde::{Deserialize, Serialize};
use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::graph::Partitioner;
use stormproof_engine::runtime::{
    CheckpointConfig, CheckpointMode, ExchangeConfig, RestartStrategy,
};

use super::core::Span;
use super::database::{DatabaseTraits, LATER};
use super::weather::{SLOWER, Window};
use crate::fault::{Fault, FaultAction, VertexShape};

/// The vertices of the simulated job, in the order of their ids.
pub const VERTICES: [&str; 3] = ["source", "count", "sink"];

/// A transaction that lives so long, in microseconds, outlives every downtime of a run.
pub(super) const PATIENT_US: u64 = 1_000_000_000;

/// Subtasks of each vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallelism {
    /// Source subtasks.
    pub source: u16,
    /// Counting subtasks.
    pub count: u16,
    /// Sink subtasks.
    pub sink: u16,
}

impl Parallelism {
    /// The largest of the three.
    pub fn largest(&self) -> u16 {
        self.source.max(self.count).max(self.sink)
    }
}

/// The job's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Workers.
    pub workers: u16,
    /// Workers from the second process on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later_workers: Option<u16>,
    /// Parallelism of the n-th process; the last one goes on for all later ones.
    pub parallelism: Vec<Parallelism>,
    /// Key groups.
    pub max_parallelism: u16,
    /// Partitions of the input topic.
    pub partitions: u32,
    /// Whether the input ends with its last record; otherwise the job is told to drain.
    #[serde(default)]
    pub is_bounded: bool,
    /// How long the counting operator holds back each record that it has counted, in microseconds;
    /// 0 is not at all. Not for `at-least-once`, whose cuts may hold such a record twice.
    #[serde(default)]
    pub hold_us: u64,
    /// Whether what is held back is union list state: a restore shows all of it to every subtask,
    /// which keeps what is its own by key. For jobs that are keyed into the counting operator.
    #[serde(default, skip_serializing_if = "is_not")]
    pub holds_in_union: bool,
    /// Whether there is no counting operator: `into_count` leads right into the sinks.
    #[serde(default, skip_serializing_if = "is_not")]
    pub is_direct: bool,
    /// How many records the counting operator sends on for each that it takes, each under a key of
    /// its own. Not with union state, which is found by key.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub outputs: u32,
    /// From the sources to the counting operator. What is broadcast is counted by the subtask that
    /// owns its key.
    pub into_count: Partitioner,
    /// From the counting operator to the sinks.
    pub into_sink: Partitioner,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_not(flag: &bool) -> bool {
    !*flag
}

fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_one(n: &u32) -> bool {
    *n == 1
}

/// The input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Records in all.
    pub records: u32,
    /// Distinct keys; each lives in one partition.
    pub keys: u32,
    /// How many of a thousand records have no key.
    pub null_keys_per_mille: u32,
    /// How many of a thousand keyed records belong to the first key.
    pub hot_per_mille: u32,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// Bytes of a key at least.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub key_bytes: u32,
    /// Whether one of the keys is empty, which is another one than none.
    #[serde(default, skip_serializing_if = "is_not")]
    pub has_empty_key: bool,
    /// Bytes of the value of one in thirty records; 0 is none that is larger than others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub huge_value_bytes: u32,
    /// The time over which records arrive.
    pub over_us: u64,
    /// Records that arrive together.
    pub burst: u32,
    /// How many of a thousand records go to partition 0, whatever their key.
    pub skew_per_mille: u32,
    /// How many of a thousand records have an offset before them that no record has, as compaction
    /// and the markers of transactions leave them.
    #[serde(default, skip_serializing_if = "is_never")]
    pub gaps_per_mille: u32,
}

/// How workers and messages move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// One step of a worker that moved something.
    pub step: Span,
    /// The longest sleep of a worker.
    pub poll_us: u64,
    /// From the coordinator to a worker and back.
    pub message: Span,
    /// Opening a worker.
    pub open: Span,
    /// From the death of a process to the start of the next one.
    pub restart: Span,
    /// A process that stands still for so long is taken for dead: the next one starts beside it.
    pub heartbeat_us: u64,
    /// How many of a thousand looks for credit miss what is there: it came back a moment later,
    /// while the worker was stepping.
    #[serde(default, skip_serializing_if = "is_never")]
    pub late_credit_per_mille: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_never(per_mille: &u32) -> bool {
    *per_mille == 0
}

/// The SQL sink's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkPlan {
    /// Where buffered rows are at a checkpoint.
    pub design: BufferDesign,
    /// Where they are from the second process on, which restores what the first one has written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later_design: Option<BufferDesign>,
    /// A transactional sink in the place of the SQL sink: how long a prepared transaction lives,
    /// in microseconds.
    #[serde(default)]
    pub transactional_us: Option<u64>,
    /// Rows that flush a subtask's buffer.
    pub batch_rows: usize,
    /// Age that flushes it.
    pub batch_interval_ms: u64,
    /// Rows of a transaction.
    pub transaction_rows: usize,
    /// Bytes of a transaction; without it the engine's default, which no simulated one reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_bytes: Option<usize>,
    /// Writers of a worker.
    pub connections: u16,
    /// Rows at which backpressure begins.
    pub max_pending_rows: usize,
    /// Bytes at which it begins; without it the engine's default, which no simulated one reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pending_bytes: Option<usize>,
    /// Failures of a batch in a row.
    pub max_retries: u32,
    /// The longest pause before a retry.
    #[serde(default = "usual_pause", skip_serializing_if = "is_usual_pause")]
    pub retry_backoff_max_ms: u64,
    /// A call that takes longer has failed.
    pub call_timeout_ms: u64,
    /// How long a fence may take.
    pub fence_timeout_ms: u64,
    /// Whether an upsert leaves a row alone that has a higher version.
    #[serde(default = "guarded", skip_serializing_if = "is_guarded")]
    pub versions_guarded: bool,
}

/// How a batch that failed may be tried again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retries {
    /// Failures in a row after which it may be tried once more.
    pub(super) most: u32,
    pub(super) longest_pause_ms: u64,
}

impl SinkPlan {
    pub(super) fn retries(&self) -> Retries {
        Retries { most: self.max_retries, longest_pause_ms: self.retry_backoff_max_ms }
    }
}

/// The longest pause before a retry, if nothing else is said.
pub(super) const USUAL_PAUSE_MS: u64 = 20;

fn guarded() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_guarded(versions_guarded: &bool) -> bool {
    *versions_guarded
}

fn usual_pause() -> u64 {
    USUAL_PAUSE_MS
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_usual_pause(ms: &u64) -> bool {
    *ms == USUAL_PAUSE_MS
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Services, when they are sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// One write to the checkpoint storage.
    pub store: Span,
    /// How many of a thousand writes under way are torn when their process dies.
    pub torn_per_mille: u32,
    /// How many of a thousand kills of the only process leave a byte of its last checkpoint changed,
    /// if there is another one to fall back on.
    #[serde(default, skip_serializing_if = "is_never")]
    pub rots_per_mille: u32,
    /// Whether what such a kill leaves is a state file less instead.
    #[serde(default, skip_serializing_if = "is_not")]
    pub rot_takes_files: bool,
    /// How long after the death of its process a write under way may still land, in microseconds; 0
    /// is not later than it would have without.
    #[serde(default)]
    pub late_us: u64,
    /// The database.
    pub database: DatabaseTraits,
    /// An offset commit.
    pub log_commit: Span,
    /// Whether a fresh start begins where the group has committed, or else with the oldest record.
    #[serde(default, skip_serializing_if = "is_not")]
    pub starts_at_committed: bool,
    /// How many offsets of each partition the group had committed before the job first began.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub read_before: u32,
    /// How many offsets of each partition retention had removed before the job first began.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub removed_before: u32,
    /// How often the job was begun before, in another life: its attempts go on from there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub begun_before: u32,
    /// How long the source waits for the answer to one; without it as long as by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_commit_timeout_ms: Option<u64>,
}

/// A pause before a restart that grows with each failure, until there is none for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowingPause {
    /// The first one, in milliseconds.
    pub initial_ms: u64,
    /// The longest one, in milliseconds.
    pub max_ms: u64,
    /// Each in percent of the one before.
    pub growth_percent: u32,
    /// After so long without a failure it starts over, in milliseconds.
    pub reset_after_ms: u64,
}

impl Services {
    /// How long at most what they had under way when they were healed may still last: a slow write, a
    /// commit in doubt that is done later, a transaction of which nobody knows and whose rows others
    /// wait for.
    pub(super) fn outlast_us(&self) -> u64 {
        let Self { store, database, .. } = self;
        let held_us = 2 * (database.idle_timeout_us + database.lock_timeout_us);
        SLOWER * (store.max_us + LATER * database.latency.max_us) + held_us
    }
}

/// Retention that removes the beginning of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    /// When, in microseconds of virtual time.
    pub at_us: u64,
    /// Which partition.
    pub partition: u32,
    /// Its new beginning.
    pub low: u64,
}

/// A simulated run, before it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Drives the scheduler.
    pub seed: u64,
    /// The job's shape.
    pub topology: Topology,
    /// Checkpoints.
    pub checkpoint: CheckpointConfig,
    /// The exchange.
    pub exchange: ExchangeConfig,
    /// The sink.
    pub sink: SinkPlan,
    /// The input.
    pub load: Load,
    /// How workers and messages move.
    pub pace: Pace,
    /// The services.
    pub services: Services,
    /// Before a restart inside a process.
    pub restart_delay_ms: u64,
    /// Restarts inside a process; the next one ends it.
    pub max_restarts: u32,
    /// In the place of both: pauses that grow, before as many restarts as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growing_pause: Option<GrowingPause>,
    /// Faults at steps and moments. Their times count from the start.
    pub faults: Vec<Fault>,
    /// Windows of bad service.
    pub windows: Vec<Window>,
    /// Retention.
    pub truncations: Vec<Truncation>,
    /// When everything is healed, in microseconds of virtual time.
    pub safety_us: u64,
    /// From then on the job must drain within so long.
    pub liveness_us: u64,
    /// When it is told to drain although more is to come, in microseconds of virtual time; whoever
    /// runs the job starts it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_at_us: Option<u64>,
    /// Whether it is told to drain only when every record is to be seen in the database, which must
    /// come by itself; otherwise as soon as everything is read.
    #[serde(default, skip_serializing_if = "is_not")]
    pub awaits_visibility: bool,
}

impl Plan {
    /// The parallelism of the n-th process.
    pub fn parallelism_of(&self, process: u32) -> Parallelism {
        let list = &self.topology.parallelism;
        let last = list.len() - 1;
        list[last.min(process as usize)]
    }

    /// Workers of the n-th process.
    pub fn workers_of(&self, process: u32) -> u16 {
        let Topology { workers, later_workers, .. } = self.topology;
        later_workers.filter(|_| process > 0).unwrap_or(workers)
    }

    /// Where the sink of the n-th process has its buffered rows at a checkpoint.
    pub fn design_of(&self, process: u32) -> BufferDesign {
        let SinkPlan { design, later_design, .. } = self.sink;
        later_design.filter(|_| process > 0).unwrap_or(design)
    }

    /// The restart strategy.
    pub fn restart(&self) -> RestartStrategy {
        match self.growing_pause {
            Some(GrowingPause { initial_ms, max_ms, growth_percent, reset_after_ms }) => {
                let factor = f64::from(growth_percent) / 100.0;
                RestartStrategy::ExponentialDelay { initial_ms, max_ms, factor, reset_after_ms }
            }
            None => RestartStrategy::FixedDelay {
                delay_ms: self.restart_delay_ms,
                max_restarts: self.max_restarts,
            },
        }
    }

    /// The vertices as faults see them, at their largest.
    pub fn vertices(&self) -> Vec<VertexShape> {
        let largest = |of: fn(&Parallelism) -> u16| {
            self.topology.parallelism.iter().map(of).max().unwrap_or(1)
        };
        let parallelism = [largest(|p| p.source), largest(|p| p.count), largest(|p| p.sink)];
        let shapes = VERTICES.iter().zip(parallelism);
        shapes
            .map(|(name, parallelism)| VertexShape { name: (*name).to_owned(), parallelism })
            .collect()
    }

    /// Whether the engine may have to give up: what it needs may be gone.
    pub fn may_refuse(&self) -> bool {
        !self.truncations.is_empty()
            || self.sink.transactional_us.is_some_and(|limit| limit < PATIENT_US)
    }

    /// How long somebody stands still at most: what began just before everything is healed goes on
    /// after that.
    pub(super) fn longest_stall_us(&self) -> u64 {
        let lasts_ms = |fault: &Fault| match fault.action {
            FaultAction::Stall { ms } | FaultAction::Delay { ms } | FaultAction::Pause { ms } => ms,
            _ => 0,
        };
        self.faults.iter().map(lasts_ms).max().unwrap_or(0) * 1_000
    }

    /// Whether checkpoints may hold records in flight.
    pub fn logs_records(&self) -> bool {
        match self.checkpoint.mode {
            CheckpointMode::AtLeastOnce => false,
            CheckpointMode::ExactlyOnce => self.checkpoint.alignment_timeout_ms.is_some(),
            CheckpointMode::ExactlyOnceUnaligned | CheckpointMode::AtLeastOnceFirstBarrier => true,
        }
    }

    /// Whether records are partitioned by key.
    pub fn is_keyed(&self) -> bool {
        !self.topology.is_direct
            && matches!(self.topology.into_count, Partitioner::KeyBy | Partitioner::Broadcast)
            && matches!(self.topology.into_sink, Partitioner::Forward | Partitioner::KeyBy)
    }

    /// Whether what a sink subtask gets of a key (of a partition, if the job is not keyed) keeps the
    /// order of the log: it comes on one way, and no restored buffer moves to another subtask.
    pub fn is_ordered(&self) -> bool {
        let shapes = &self.topology.parallelism;
        let is_rescaled = shapes.iter().any(|shape| *shape != shapes[0]);
        let comes_on_one_way = self.is_keyed()
            || self.topology.is_direct
            || self.topology.into_sink == Partitioner::Forward;
        !is_rescaled && comes_on_one_way
    }

    /// Places in [`VERTICES`] of what is behind a gate.
    pub(super) fn gated(&self) -> &'static [usize] {
        if self.topology.is_direct { &[2] } else { &[1, 2] }
    }

    /// The plan as JSON: what is saved, and compared byte for byte.
    ///
    /// # Panics
    /// Never: a plan is plain data.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a plan is plain data");
        json.push('\n');
        json
    }
}
