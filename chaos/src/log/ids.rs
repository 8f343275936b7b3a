//! Names of the things in a log. Offsets, sequences and times are the wire's own integers (`i64`,
//! `i32`), with their unit in the name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A topic's number; never used again, so that a topic made anew is another one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TopicId(pub u32);

/// What Kafka calls a producer id.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ProducerId(pub i64);

/// The incarnation of a producer; an older one is fenced.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ProducerEpoch(pub i16);

impl ProducerEpoch {
    /// The next incarnation; `None` when the numbers are used up.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).filter(|epoch| *epoch < i16::MAX).map(Self)
    }
}

/// One incarnation of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Producer {
    /// Which producer.
    pub id: ProducerId,
    /// Which incarnation.
    pub epoch: ProducerEpoch,
}

impl fmt::Display for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer {} epoch {}", self.id.0, self.epoch.0)
    }
}

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition's index.
    pub partition: u32,
}

/// What a reader wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Everything below the high watermark.
    ReadUncommitted,
    /// What lies below the last stable offset, with the list of aborted transactions in it.
    ReadCommitted,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its records and offsets are visible, all at once.
    Commit,
    /// They never were.
    Abort,
}
