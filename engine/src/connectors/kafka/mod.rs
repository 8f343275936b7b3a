//! The Kafka source: few clients, many partitions, offsets as state.
//!
//! Follow a record: a client's fetcher thread fills one queue for each partition and raises the
//! partition's ready flag ([`ready`]) -> the reader ([`reader`]) visits ready partitions round
//! robin and takes a message only when its subtask may emit it -> the payload is copied once, into
//! the lane. So there is never a message in between: the position in a snapshot is exactly that of
//! the next message to emit.
//!
//! Follow an offset: resolved at the start ([`start`]) -> counted up by the reader -> snapshotted
//! -> committed to the consumer group ([`commit`]) after the checkpoint is complete, for people and
//! dashboards only: recovery reads the checkpoint.
//!
//! All of that is the same over every log ([`LogService`], [`LogClient`]): real brokers ([`rdkafka`]) or
//! the simulator's.
//!
//! Invariants: a partition is read by one subtask; partitions are assigned by hand, there is no
//! group membership and no rebalance; a position that is gone is an error, never a reset.
//!
//! What it does not do: discover partitions that are added while the job runs (restart it from a
//! savepoint of its own and they are still not read: splits are state; start a new job for them),
//! read several topics, or decode values.

mod commit;
mod config;
mod error;
mod factory;
mod log;
mod rdkafka;
mod reader;
mod ready;
mod start;

pub use config::{KafkaSourceConfig, StartFrom};
pub use factory::{KafkaSourceFactory, brokers};
pub use log::{Bounds, LogClient, LogError, LogRecord, LogService, Meaning, Polled};
pub use ready::ReadyFlags;

/// What errors call the service.
const SERVICE: &str = "kafka";
