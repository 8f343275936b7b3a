//! What a log must offer to the Kafka source.
//!
//! The reader's logic is above this line and the same for all: what is emitted, what is state, what
//! is committed and when, where a recovery starts, what a lost position means. Clients and their
//! threads are below it: [`super::rdkafka`], or the simulator's. Nothing here blocks a worker,
//! except the questions that are asked while a reader opens.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::ready::ReadyFlags;
use crate::connectors::Split;
use crate::ids::{Offset, PartitionId, WorkerIndex};
use crate::seam::Ticket;

/// What an error means for the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It passes: keep polling.
    Transient,
    /// The position is not in the log.
    PositionGone,
    /// The topic or the partition does not exist.
    Unknown,
    /// The cluster refuses this client.
    Refused,
    /// The client is broken; a new one may work.
    Broken,
}

/// An error of a log, in the client's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogError {
    /// What it means.
    pub meaning: Meaning,
    /// What the client says.
    pub what: String,
}

/// The first offset that a partition holds, and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The low watermark.
    pub low: u64,
    /// The high watermark.
    pub high: u64,
}

/// A record of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Its place.
    pub offset: Offset,
    /// Its timestamp, microseconds of the wall clock; 0 when there is none.
    pub event_time_us: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
}

/// What a look into a partition's queue has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// A record, which was handed over.
    Record,
    /// Nothing is there.
    Empty,
    /// An error came instead.
    Failed(LogError),
}

/// A log service, for all workers and attempts of a process.
pub trait LogService: Send + Sync + Debug {
    /// A client for `worker`.
    ///
    /// # Errors
    /// When its settings cannot work.
    fn client(&self, worker: WorkerIndex) -> Result<Box<dyn LogClient>, LogError>;
}

/// One worker's client of one topic. Partitions are assigned once; dropping the client gives them
/// up.
pub trait LogClient: Send {
    /// Number of partitions of the topic.
    ///
    /// # Errors
    /// When the topic is not there or nobody answers.
    fn count_partitions(&mut self) -> Result<u32, LogError>;

    /// The bounds of each of `partitions`.
    ///
    /// # Errors
    /// When nobody answers.
    fn bounds(&mut self, partitions: &[PartitionId]) -> Result<Vec<Bounds>, LogError>;

    /// What the consumer group has committed of `partitions`, where it has.
    ///
    /// # Errors
    /// When nobody answers.
    fn committed(
        &mut self,
        partitions: &[PartitionId],
    ) -> Result<BTreeMap<PartitionId, Offset>, LogError>;

    /// Begins to fetch. From now on a partition is named by its place in `splits`; its flag in
    /// `ready` is raised when it has something. `high` are the known high watermarks.
    ///
    /// # Errors
    /// When the assignment is refused.
    fn assign(
        &mut self,
        splits: &[Split],
        high: &[u64],
        ready: &Arc<ReadyFlags>,
    ) -> Result<(), LogError>;

    /// The next error of the client as a whole. Asked on every step.
    fn poll_errors(&mut self) -> Option<LogError>;

    /// Takes the next record of the partition at `index`, if one is there. One that was there before may
    /// come once more: whoever reads knows it by its offset.
    fn poll(&mut self, index: usize, take: &mut dyn FnMut(LogRecord<'_>)) -> Polled;

    /// Commits offsets for the consumer group. A ticket without an answer: nobody will say.
    fn commit(&mut self, splits: &[Split]) -> Ticket<Result<(), String>>;

    /// The newest known high watermark of the partition at `index`.
    fn high_watermark(&self, index: usize) -> u64;

    /// The wall clock, which event times are compared with: microseconds since the Unix epoch.
    fn wall_us(&self) -> i64;

    /// The client must not be used for another reader.
    fn condemn(&mut self);
}
