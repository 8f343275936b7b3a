//! What the harness asks a Kafka cluster, as an outside monitor: metadata, end and group offsets.
//!
//! Invariant: every request has a time limit, and no answer is an error with address and remedy.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::error::{HarnessError, Result, environment};

/// The longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The version of the client library.
pub(crate) fn client_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// A client that reads no records.
pub(crate) struct Client {
    consumer: BaseConsumer,
    brokers: String,
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
        let client = Self { consumer, brokers: brokers.to_owned() };
        client
            .consumer
            .fetch_metadata(None, Duration::from_secs(5))
            .map_err(|error| refused(brokers, "Kafka does not answer", &error))?;
        Ok(client)
    }

    /// Partitions of `topic`; `None` when there is no such topic.
    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<u32>> {
        let metadata = match self.consumer.fetch_metadata(Some(topic), ANSWER_LIMIT) {
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
            .fetch_metadata(None, ANSWER_LIMIT)
            .map_err(|error| refused(&self.brokers, "no metadata", &error))?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        Ok(partitions.filter(|partition| partition.leader() < 0).count())
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
        let at_once = list(topic, partitions, which)
            .and_then(|list| self.consumer.offsets_for_times(list, ANSWER_LIMIT));
        match at_once {
            Ok(ends) => Ok(offsets(&ends, partitions)),
            // Some brokers do not answer for all partitions at once; they do one by one.
            Err(_) => {
                let one = |partition| self.one_end(topic, partition, which);
                (0..partitions).map(one).collect()
            }
        }
    }

    fn one_end(&self, topic: &str, partition: u32, which: Offset) -> Result<u64> {
        let (start, end) = self
            .consumer
            .fetch_watermarks(topic, partition as i32, ANSWER_LIMIT)
            .map_err(|error| refused(&self.brokers, "no log end offsets", &error))?;
        let wanted = if which == Offset::Beginning { start } else { end };
        Ok(wanted.max(0) as u64)
    }

    /// The offsets that the group has committed; 0 where it has not.
    pub(crate) fn committed_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<u64>> {
        let committed = list(topic, partitions, Offset::Invalid)
            .and_then(|list| self.consumer.committed_offsets(list, ANSWER_LIMIT))
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
