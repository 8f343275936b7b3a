//! How a job runs. Every value has a unit in its name and a default.

use serde::{Deserialize, Serialize};

/// When a checkpoint is consistent, and who waits for whom.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointMode {
    /// Aligned barriers: a channel whose barrier has arrived is held until all have. With an
    /// alignment timeout it turns into unaligned.
    #[default]
    ExactlyOnce,
    /// The snapshot starts with the first barrier; in-flight records are logged.
    ExactlyOnceUnaligned,
    /// Flink's at-least-once: the snapshot starts with the last barrier, nothing is held.
    AtLeastOnce,
    /// The article's rule made safe: the snapshot starts with the first barrier and logs what
    /// arrives on channels whose barrier is still missing.
    AtLeastOnceFirstBarrier,
}

impl CheckpointMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [
        Self::ExactlyOnce,
        Self::ExactlyOnceUnaligned,
        Self::AtLeastOnce,
        Self::AtLeastOnceFirstBarrier,
    ];

    /// The name in scenarios, manifests and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly-once",
            Self::ExactlyOnceUnaligned => "exactly-once-unaligned",
            Self::AtLeastOnce => "at-least-once",
            Self::AtLeastOnceFirstBarrier => "at-least-once-first-barrier",
        }
    }
}

/// Checkpointing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// The mode.
    pub mode: CheckpointMode,
    /// From one trigger to the next.
    pub interval_ms: u64,
    /// From the end of the last completed checkpoint to the next trigger, at least.
    pub min_pause_ms: u64,
    /// A checkpoint that takes longer is aborted.
    pub timeout_ms: u64,
    /// Checkpoints under way at the same time; a minimum pause implies 1.
    pub max_concurrent: usize,
    /// Failed checkpoints in a row before the job fails.
    pub tolerable_failures: u32,
    /// Aligned mode only: after so long the checkpoint goes on unaligned.
    pub alignment_timeout_ms: Option<u64>,
    /// Completed checkpoints that are kept.
    pub retained: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            mode: CheckpointMode::default(),
            interval_ms: 1000,
            min_pause_ms: 0,
            timeout_ms: 60_000,
            max_concurrent: 1,
            tolerable_failures: 3,
            alignment_timeout_ms: None,
            retained: 3,
        }
    }
}

/// What happens after a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RestartStrategy {
    /// No restart.
    None,
    /// The same delay each time, at most so many restarts.
    FixedDelay {
        /// Before each restart.
        delay_ms: u64,
        /// Restarts over the life of this process.
        max_restarts: u32,
    },
    /// A delay that grows, and starts over after a quiet period.
    ExponentialDelay {
        /// The first delay.
        initial_ms: u64,
        /// The largest delay.
        max_ms: u64,
        /// Growth from one to the next.
        factor: f64,
        /// After so long without a failure the delay starts over.
        reset_after_ms: u64,
    },
}

impl Default for RestartStrategy {
    fn default() -> Self {
        Self::FixedDelay { delay_ms: 50, max_restarts: 1000 }
    }
}

/// The exchange between workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExchangeConfig {
    /// Size of a lane buffer.
    pub lane_buffer_bytes: usize,
    /// How long a record waits for its buffer to fill.
    pub flush_interval_us: u64,
    /// Bytes that one upstream subtask may have under way to one worker. 0 = chosen from the
    /// parallelism: a share of 32 MiB for each lane, between 16 KiB and 4 MiB.
    pub credit_bytes: usize,
    /// Bytes of records larger than a lane buffer that one worker may have under way to another over
    /// one edge, from all of its subtasks together; one more record may pass. 0 = a share of 64 MiB
    /// for each worker.
    pub large_credit_bytes: usize,
    /// When a receiver falls behind, credit shrinks until what is in flight takes it about so long
    /// to process (Flink's buffer debloating). 0 = credit never shrinks.
    pub in_flight_target_ms: u64,
    /// Records that a worker's subtasks of a vertex process, or emit, before other vertices and
    /// control messages have their turn. 0 = 16,384 processed, 2,048 emitted by a source.
    pub records_per_step: usize,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self {
            lane_buffer_bytes: 32 * 1024,
            flush_interval_us: 2_000,
            credit_bytes: 0,
            large_credit_bytes: 0,
            in_flight_target_ms: 100,
            records_per_step: 0,
        }
    }
}

/// A job's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobConfig {
    /// The job's name, as in its manifests.
    pub job: String,
    /// Workers, each a thread. 0 = one for each core.
    pub workers: u16,
    /// Key groups; 0 = Flink's rule: the next power of two of 1.5 times the largest parallelism,
    /// between 128 and 32768.
    pub max_parallelism: u16,
    /// Checkpointing.
    pub checkpoint: CheckpointConfig,
    /// What happens after a failure.
    pub restart: RestartStrategy,
    /// The exchange.
    pub exchange: ExchangeConfig,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            job: "storm".to_owned(),
            workers: 0,
            max_parallelism: 0,
            checkpoint: CheckpointConfig::default(),
            restart: RestartStrategy::default(),
            exchange: ExchangeConfig::default(),
        }
    }
}
