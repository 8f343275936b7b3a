//! Why the log says no; each reason has Kafka's error code, so that clients know what to do.

use std::io;

use thiserror::Error;

/// Result of the log.
pub type Result<T, E = LogError> = std::result::Result<T, E>;

/// A refusal, or a storage that failed.
#[derive(Debug, Error)]
pub enum LogError {
    /// Nothing is there under this name.
    #[error("there is no such topic or partition")]
    UnknownTopicOrPartition,
    /// The name is taken.
    #[error("there is a topic of this name already")]
    TopicAlreadyExists,
    /// The name is not one.
    #[error("a topic's name has 1 to 249 of the characters a-z A-Z 0-9 . _ -, and is not . or ..")]
    InvalidTopic,
    /// The number of partitions is impossible.
    #[error("impossible number of partitions: {0}")]
    InvalidPartitions(String),
    /// A setting of a topic is unknown or impossible.
    #[error("{0}")]
    InvalidSetting(String),
    /// Outside of what the log holds.
    #[error("offset {offset} is not within {start}..={end}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: i64,
        /// The log start offset.
        start: i64,
        /// The log end offset.
        end: i64,
    },
    /// The bytes are no batch, or not the ones that were sent.
    #[error("the batch is corrupt: {0}")]
    CorruptBatch(String),
    /// A batch that is whole, and wrong.
    #[error("invalid batch: {0}")]
    InvalidRecord(String),
    /// A batch of an old format.
    #[error("record format {0} is not supported: magic 2 is")]
    UnsupportedFormat(i8),
    /// A batch beyond the topic's limit.
    #[error("a batch of {bytes} bytes; the limit is {limit_bytes} (max.message.bytes)")]
    MessageTooLarge {
        /// The size of the batch.
        bytes: usize,
        /// The topic's limit.
        limit_bytes: usize,
    },
    /// Records are missing before this batch.
    #[error("sequence {found} where {expected} was expected")]
    OutOfOrderSequence {
        /// The batch's first sequence.
        found: i32,
        /// The one after the last that was appended.
        expected: i32,
    },
    /// A newer incarnation of this producer has written.
    #[error("the producer's epoch is old")]
    InvalidProducerEpoch,
    /// The transactional id belongs to a newer incarnation.
    #[error("fenced: a newer producer has this transactional id, or its transaction timed out")]
    ProducerFenced,
    /// The producer id does not belong to this transactional id.
    #[error("the producer id does not belong to this transactional id")]
    InvalidProducerIdMapping,
    /// Not possible in this state of the transaction.
    #[error("not possible now: {0}")]
    InvalidTxnState(&'static str),
    /// A timeout beyond the limit.
    #[error("transaction timeout: 1 to {limit_ms} ms")]
    InvalidTransactionTimeout {
        /// The limit.
        limit_ms: i32,
    },
    /// There is no such group.
    #[error("there is no such group")]
    GroupIdNotFound,
    /// Offsets of an open transaction are in the way.
    #[error("a transaction with offsets of this group is open")]
    UnstableOffsetCommit,
    /// The storage failed: nothing of the request was kept.
    #[error("storage: {what}: {error}")]
    Storage {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// The storage holds what nobody wrote, before its end.
    #[error("segment {segment} is corrupt at byte {position}: {what}")]
    CorruptStorage {
        /// The segment.
        segment: u32,
        /// Where in it.
        position: u64,
        /// What is wrong.
        what: String,
    },
}

impl LogError {
    /// Kafka's error code.
    pub fn code(&self) -> i16 {
        match self {
            Self::OffsetOutOfRange { .. } => 1,
            Self::CorruptBatch(_) => 2,
            Self::UnknownTopicOrPartition => 3,
            Self::MessageTooLarge { .. } => 10,
            Self::InvalidTopic => 17,
            Self::TopicAlreadyExists => 36,
            Self::InvalidPartitions(_) => 37,
            Self::InvalidSetting(_) => 40,
            Self::UnsupportedFormat(_) => 43,
            Self::OutOfOrderSequence { .. } => 45,
            Self::InvalidProducerEpoch => 47,
            Self::InvalidTxnState(_) => 48,
            Self::InvalidProducerIdMapping => 49,
            Self::InvalidTransactionTimeout { .. } => 50,
            Self::Storage { .. } | Self::CorruptStorage { .. } => 56,
            Self::GroupIdNotFound => 69,
            Self::InvalidRecord(_) => 87,
            Self::UnstableOffsetCommit => 88,
            Self::ProducerFenced => 90,
        }
    }

    pub(super) fn storage(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Storage { what: what.into(), error }
    }
}
