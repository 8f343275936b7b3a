//! What the harness asks a Kafka cluster, as an outside monitor: metadata, end and group offsets.
//!
//! Invariant: every request has a time limit, and no answer is an error with address and remedy.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::error::{HarnessError, Result, environment};

/// The longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The longest wait of who asks again anyway.
const HASTY_LIMIT: Duration = Duration::from_secs(3);
/// Between two questions for the same.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The version of the client library.
pub(crate) fn client_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// The replicas of a partition, as the cluster sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replicas {
    /// The number of the broker that leads it, if one does.
    pub(crate) leader: Option<u32>,
    /// How many there are.
    pub(crate) all: u32,
    /// How many have every record that was acknowledged.
    pub(crate) in_sync: u32,
}

/// A client that reads no records.
pub(crate) struct Client {
    consumer: BaseConsumer,
    brokers: String,
    /// The longest wait for an answer.
    limit: Duration,
}

impl Client {
    /// A client that looks at the offsets of `group`; proven by a request.
    pub(crate) fn connect(brokers: &str, group: &str) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", "10000")
            .create()
            .map_err(|error| refused(brokers, "cannot make a client", &error))?;
        let client = Self { consumer, brokers: brokers.to_owned(), limit: ANSWER_LIMIT };
        client
            .consumer
            .fetch_metadata(None, Duration::from_secs(5))
            .map_err(|error| refused(brokers, "Kafka does not answer", &error))?;
        Ok(client)
    }

    /// The same with less patience: for who asks again anyway.
    pub(crate) fn hasty(self) -> Self {
        Self { limit: HASTY_LIMIT, ..self }
    }

    /// Partitions of `topic`; `None` when there is no such topic.
    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<u32>> {
        let metadata = match self.consumer.fetch_metadata(Some(topic), self.limit) {
            Ok(metadata) => metadata,
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                return Ok(None);
            }
            Err(error) => return Err(refused(&self.brokers, "no metadata", &error)),
        };
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found
            .filter(|found| found.error().is_none() && !found.partitions().is_empty())
            .map(|found| found.partitions().len() as u32))
    }

    /// Partitions, of all topics, that nobody leads.
    pub(crate) fn partitions_without_leader(&self) -> Result<usize> {
        let metadata = self
            .consumer
            .fetch_metadata(None, self.limit)
            .map_err(|error| refused(&self.brokers, "no metadata", &error))?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        Ok(partitions.filter(|partition| partition.leader() < 0).count())
    }

    /// Who leads each partition of `topic`, and how many replicas of it are in sync.
    pub(crate) fn replication(&self, topic: &str) -> Result<Vec<Replicas>> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), self.limit)
            .map_err(|error| refused(&self.brokers, "no metadata", &error))?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        Ok(partitions
            .map(|partition| Replicas {
                leader: u32::try_from(partition.leader()).ok(),
                all: partition.replicas().len() as u32,
                in_sync: partition.isr().len() as u32,
            })
            .collect())
    }

    /// The log end offset of each partition.
    pub(crate) fn log_end_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<u64>> {
        self.ends(topic, partitions, Offset::End)
    }

    /// The first offset that each partition still has.
    pub(crate) fn log_start_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<u64>> {
        self.ends(topic, partitions, Offset::Beginning)
    }

    fn ends(&self, topic: &str, partitions: u32, which: Offset) -> Result<Vec<u64>> {
        let begun = Instant::now();
        loop {
            let at_once = list(topic, partitions, which)
                .and_then(|list| self.consumer.offsets_for_times(list, self.limit));
            // Some brokers do not answer for all partitions at once; they do one by one.
            let Ok(ends) = at_once else {
                let one = |partition| self.one_end(topic, partition, which);
                return (0..partitions).map(one).collect();
            };
            match answered(&ends) {
                Ok(()) => return Ok(offsets(&ends, partitions)),
                Err(error) if begun.elapsed() > self.limit => {
                    return Err(refused(&self.brokers, "no log end offsets", &error));
                }
                Err(_) => std::thread::sleep(ASK_AGAIN),
            }
        }
    }

    fn one_end(&self, topic: &str, partition: u32, which: Offset) -> Result<u64> {
        let (start, end) = self
            .consumer
            .fetch_watermarks(topic, partition as i32, self.limit)
            .map_err(|error| refused(&self.brokers, "no log end offsets", &error))?;
        let wanted = if which == Offset::Beginning { start } else { end };
        Ok(wanted.max(0) as u64)
    }

    /// The offsets that the group has committed; 0 where it has not.
    pub(crate) fn committed_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<u64>> {
        let committed = list(topic, partitions, Offset::Invalid)
            .and_then(|list| self.consumer.committed_offsets(list, self.limit))
            .map_err(|error| refused(&self.brokers, "no committed offsets", &error))?;
        Ok(offsets(&committed, partitions))
    }
}

fn list(topic: &str, partitions: u32, offset: Offset) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(partitions as usize);
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, offset)?;
    }
    Ok(list)
}

/// An answer for each partition: of several brokers one may be away.
fn answered(list: &TopicPartitionList) -> Result<(), KafkaError> {
    list.elements().iter().try_for_each(|element| element.error())
}

fn offsets(list: &TopicPartitionList, partitions: u32) -> Vec<u64> {
    let mut offsets = vec![0; partitions as usize];
    for element in list.elements() {
        if let (Offset::Offset(offset), Some(slot)) =
            (element.offset(), offsets.get_mut(element.partition() as usize))
        {
            *slot = offset as u64;
        }
    }
    offsets
}

/// An error of the cluster.
pub(crate) fn refused(brokers: &str, what: &str, error: &dyn std::fmt::Display) -> HarnessError {
    environment(format!("{what}: {error}"))
        .at(format!("kafka at {brokers}"))
        .remedy("check the address (--brokers), and that a broker listens there and can be reached")
}
