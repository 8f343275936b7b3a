//! What can go wrong with a ledger: each error names the thing, the place and the remedy.

use std::path::PathBuf;

use super::{Offset, PartitionId};

/// Why a ledger could not be built, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A record arrived behind one that the ledger already holds.
    #[error(
        "offset {offset} of partition {partition} came after offset {last}: \
         push each partition's records in offset order"
    )]
    NotIncreasing {
        /// The partition of the record.
        partition: PartitionId,
        /// The offset that came too late.
        offset: Offset,
        /// The highest offset pushed before it.
        last: Offset,
    },
    /// A partition spans more offsets than a ledger can index.
    #[error(
        "partition {partition} spans {span} offsets, a ledger indexes at most {}: \
         use a shorter topic",
        u32::MAX
    )]
    TooLong {
        /// The partition.
        partition: PartitionId,
        /// Its log end offset minus its start offset.
        span: u64,
    },
    /// A record lies outside the bounds that were set for its partition.
    #[error("offset {offset} of partition {partition} lies outside its bounds [{start}, {end})")]
    OutOfBounds {
        /// The partition of the record.
        partition: PartitionId,
        /// The record's offset.
        offset: Offset,
        /// The start offset that was set.
        start: Offset,
        /// The log end offset that was set.
        end: Offset,
    },
    /// The ledger file could not be opened, read or written.
    #[error("cannot {action} the ledger file {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The ledger file is not one, is of another version, or is damaged.
    #[error(
        "{} is not a usable ledger: {reason}; read the topic again to write a new one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The broker refused a request.
    #[error("cannot {action} of topic {topic} at {brokers}: {source}")]
    Kafka {
        /// What was tried.
        action: &'static str,
        /// The topic.
        topic: String,
        /// The bootstrap servers.
        brokers: String,
        /// The client's answer.
        source: Box<rdkafka::error::KafkaError>,
    },
    /// The topic does not exist, or has no partitions.
    #[error("topic {topic} at {brokers} has no partitions: create it before the run")]
    NoTopic {
        /// The topic.
        topic: String,
        /// The bootstrap servers.
        brokers: String,
    },
    /// Records are gone that nobody had read yet.
    #[error(
        "the log of partition {partition} begins at {start}, and the records from {next} on were \
         never read back: retention or a deletion has taken part of the input; give the topic a \
         retention longer than the run"
    )]
    Gone {
        /// The partition.
        partition: PartitionId,
        /// The first offset that was not read.
        next: Offset,
        /// The first offset that is left.
        start: Offset,
    },
    /// Time ran out before all partitions were read.
    #[error(
        "topic {topic} was not read in {deadline_ms} ms: partition {partition} stands below its \
         log end offset {end} ({open} partitions unread); allow more time or check the broker"
    )]
    Deadline {
        /// The topic.
        topic: String,
        /// The time that was allowed.
        deadline_ms: u128,
        /// One partition that was not finished.
        partition: PartitionId,
        /// Its log end offset.
        end: Offset,
        /// How many partitions were not finished.
        open: usize,
    },
}
