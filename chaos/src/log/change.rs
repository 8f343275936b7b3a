//! What can happen to the state besides a batch: one entry each, written before it is applied.

use serde::{Deserialize, Serialize};

use super::groups::Offsets;
use super::ids::{Outcome, Producer, TopicId, TopicPartition};
use super::topics::TopicSettings;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    TopicCreated {
        topic: TopicId,
        name: String,
        partitions: u32,
        settings: TopicSettings,
    },
    PartitionsAdded {
        topic: TopicId,
        partitions: u32,
    },
    TopicDeleted {
        topic: TopicId,
    },
    /// New log start offsets.
    StartsMoved {
        starts: Vec<(TopicPartition, i64)>,
    },
    /// A new producer id, for an idempotent producer without transactions.
    ProducerMade {
        producer: Producer,
    },
    /// A transactional id has a new incarnation.
    TransactionalIdTaken {
        transactional_id: String,
        producer: Producer,
        timeout_ms: i32,
    },
    /// A transaction takes in partitions and groups; the first time, that is its begin.
    TransactionJoined {
        transactional_id: String,
        partitions: Vec<TopicPartition>,
        groups: Vec<String>,
        now_ms: i64,
    },
    /// A transaction has ended. The entry's body has one control batch for each partition, so
    /// that the end is one entry: in all partitions and groups, or in none.
    TransactionEnded {
        transactional_id: String,
        /// Its incarnation from now on: a later one when the old one is fenced.
        producer: Producer,
        outcome: Outcome,
        markers: Vec<TopicPartition>,
        now_ms: i64,
    },
    OffsetsCommitted {
        group: String,
        offsets: Offsets,
    },
    /// Offsets that become visible when the producer's transaction is committed.
    OffsetsPending {
        group: String,
        producer: Producer,
        offsets: Offsets,
    },
    GroupDeleted {
        group: String,
    },
    /// Idempotent producers that have been silent for too long are forgotten.
    ProducersForgotten {
        before_ms: i64,
    },
}
