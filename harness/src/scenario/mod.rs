//! The scenario: what is run, validated once.
//!
//! *Follow a value:* [`raw`] takes it from TOML (unknown fields are refused by name), options of
//! the command line override it, [`validate()`] turns everything into a [`Scenario`] or says what is
//! wrong and where, and [`print()`] writes a scenario back with its comments.
//!
//! Invariant: a [`Scenario`] is complete and within limits; nothing downstream checks it again.

mod place;
mod print;
mod raw;
mod reference;
mod storm;
mod validate;

pub(crate) use place::{DATABASE_IMAGE, KAFKA_IMAGE};
pub use print::print;
pub(crate) use raw::explain_toml;
pub use raw::{EnvironmentKind, Overrides, RawScenario, parse};
pub use reference::{fields, reference};
pub use validate::validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stormproof_chaos::fault::{Fault, VertexShape};
use stormproof_chaos::schedule::Schedule;
use stormproof_engine::runtime::{CheckpointConfig, RestartStrategy};

use crate::error::{Result, scenario};

/// How records go from the sources to the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// By the key's hash: all records of a key meet in one subtask, in order.
    #[default]
    KeyBy,
    /// In turn over all subtasks, whatever the key.
    Rebalance,
    /// In turn over a share of the subtasks; at equal parallelism one to one.
    Rescale,
    /// At random.
    Shuffle,
    /// One to one.
    Forward,
}

impl Exchange {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::KeyBy, Self::Rebalance, Self::Rescale, Self::Shuffle, Self::Forward];

    /// The name in scenarios and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyBy => "key-by",
            Self::Rebalance => "rebalance",
            Self::Rescale => "rescale",
            Self::Shuffle => "shuffle",
            Self::Forward => "forward",
        }
    }
}

/// What a sink does with its buffer at a barrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkDesign {
    /// The buffer becomes list state.
    #[default]
    BufferInState,
    /// The buffer is flushed before the acknowledgement.
    FlushOnBarrier,
}

impl SinkDesign {
    /// The name in scenarios and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::BufferInState => "buffer-in-state",
            Self::FlushOnBarrier => "flush-on-barrier",
        }
    }
}

/// What is written into the topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Records. 0 = nothing is written, the topic is judged as it is.
    pub records: u64,
    /// Bytes of a value.
    pub record_bytes: u32,
    /// Intended records per second.
    pub rate_per_s: u64,
    /// Different keys over all partitions.
    pub keys: u64,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Records in a row for one partition.
    pub run_length: u32,
}

impl Load {
    /// How long the load takes on its intended schedule, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        self.records * 1_000 / self.rate_per_s
    }
}

/// The job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobShape {
    /// Subtasks of every vertex.
    pub parallelism: u16,
    /// Subtasks of every vertex from the first SIGKILL on; `None` = as before.
    pub rescale_to: Option<u16>,
    /// Worker threads; 0 = one for each core.
    pub workers: u16,
    /// From the sources to the operator.
    pub partitioner: Exchange,
    /// What a sink does with its buffer at a barrier.
    pub sink_design: SinkDesign,
    /// Rows of a batch of one sink subtask.
    pub batch_rows: u32,
    /// The longest a row waits for its batch.
    pub batch_interval_ms: u64,
    /// Bytes that a source subtask may have under way to a worker; 0 = the engine chooses.
    pub credit_bytes: u64,
}

impl JobShape {
    /// The vertices, numbered as the job graph numbers them, with the subtasks that are always
    /// there: what faults may strike.
    pub fn vertices(&self) -> Vec<VertexShape> {
        let always = self.rescale_to.map_or(self.parallelism, |to| to.min(self.parallelism));
        crate::driver::vertices(always)
    }

    /// Key groups that serve every parallelism of the run; 0 = the engine's own choice.
    pub fn max_parallelism(&self) -> u16 {
        let Some(to) = self.rescale_to else { return 0 };
        let largest = u32::from(self.parallelism.max(to));
        (largest + largest / 2).next_power_of_two().clamp(128, 32_768) as u16
    }
}

/// The faults.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultPlan {
    /// So many, drawn from the seed.
    Storm(u32),
    /// Written by hand.
    ByHand(Vec<Fault>),
}

/// The brokers of an environment that starts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaCluster {
    /// How many.
    pub brokers: u32,
    /// Replicas that must have a record before it is acknowledged (`min.insync.replicas`).
    pub min_insync_replicas: u32,
}

impl KafkaCluster {
    /// One broker, without replicas.
    pub const SINGLE: Self = Self { brokers: 1, min_insync_replicas: 1 };

    /// Replicas of each partition.
    pub fn replicas(&self) -> u32 {
        self.brokers.min(3)
    }
}

/// Where the run takes place.
#[derive(Clone, Debug, PartialEq)]
pub enum EnvironmentChoice {
    /// The broker in this process; the database too, in the run's folder, unless one is given.
    Embedded {
        /// `mysql://user:password@host:port/database`; `None` = SQLite in the run's folder.
        database: Option<String>,
    },
    /// Installed services, as child processes.
    Local {
        /// Kafka's distribution folder; `None` = `KAFKA_HOME`.
        kafka_home: Option<PathBuf>,
        /// Where services keep their data; `None` = memory, if there is room.
        data: Option<PathBuf>,
        /// The brokers.
        cluster: KafkaCluster,
    },
    /// Services in containers.
    Containers {
        /// `repository:tag` of Kafka.
        kafka_image: String,
        /// `repository:tag` of MySQL or MariaDB.
        database_image: String,
        /// Where services keep their data; `None` = memory, if there is room.
        data: Option<PathBuf>,
    },
    /// Services that run already.
    External {
        /// Kafka's bootstrap servers.
        brokers: String,
        /// The topic; `None` = a new one for this run.
        topic: Option<String>,
        /// `mysql://user:password@host:port/database`.
        database: String,
    },
}

/// A validated scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The seed of load and storm.
    pub seed: u64,
    /// Wall-clock limit of the whole run.
    pub time_limit_s: u64,
    /// Where the engine process serves its figures on loopback; 0 = any port, `None` = nowhere.
    pub metrics_port: Option<u16>,
    /// What is written into the topic.
    pub load: Load,
    /// The job.
    pub job: JobShape,
    /// Checkpointing.
    pub checkpoint: CheckpointConfig,
    /// What happens after a failure of the job inside its process.
    pub restart: RestartStrategy,
    /// The faults.
    pub faults: FaultPlan,
    /// Faults of services, links and the disk that a storm has beside its own.
    pub service_faults: u32,
    /// Where.
    pub environment: EnvironmentChoice,
    /// The longest wait for a service that is started, in seconds.
    pub ready_limit_s: u64,
    /// A seeded bug of the engine; 0 = none. Test builds only.
    pub mutant: u8,
}

impl Scenario {
    /// The schedule of this scenario: the same one each time.
    ///
    /// # Errors
    /// When a fault written by hand can never land in this job.
    pub fn schedule(&self) -> Result<Schedule> {
        match &self.faults {
            FaultPlan::Storm(faults) => {
                let storm = self.storm(*faults);
                let schedule = Schedule::storm(self.seed, &storm);
                Ok(match self.service_faults {
                    0 => schedule,
                    // On a slow machine they come later than they say: the load shall outlast them.
                    count => {
                        let spread_ms = storm.duration_ms * 8 / 10;
                        schedule.with_outside(count, self.outside(), spread_ms)
                    }
                })
            }
            FaultPlan::ByHand(faults) => Schedule::by_hand(faults.clone(), &self.job.vertices())
                .map_err(|error| {
                    scenario(format!("{}: {}", error.id, error.problem))
                        .at("[[faults.schedule]]")
                        .remedy(error.remedy)
                }),
        }
    }
}

#[cfg(test)]
mod tests;
