//! Questions to the brokers: partitions, bounds, committed offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::client::Consumer;
use super::error::{is_nothing_committed, log_error};
use crate::connectors::Split;
use crate::connectors::kafka::log::{LogError, Meaning};
use crate::ids::{Offset, PartitionId};

/// Number of partitions of the topic.
pub(super) fn count_partitions(
    client: &Consumer,
    topic: &str,
    timeout: Duration,
) -> Result<u32, LogError> {
    let unknown = || LogError { meaning: Meaning::Unknown, what: "unknown topic".to_owned() };
    let metadata = client.fetch_metadata(Some(topic), timeout).map_err(|e| log_error(&e))?;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
        return Err(unknown());
    };
    if let Some(code) = found.error() {
        return Err(log_error(&KafkaError::MetadataFetch(code.into())));
    }
    match found.partitions().len() {
        0 => Err(unknown()),
        count => Ok(count as u32),
    }
}

/// The committed offsets of the consumer group, where there are any.
pub(super) fn committed_offsets(
    client: &Consumer,
    topic: &str,
    partitions: &[PartitionId],
    timeout: Duration,
) -> KafkaResult<BTreeMap<PartitionId, Offset>> {
    let list = partition_list(topic, partitions, KafkaOffset::Invalid);
    let answer = match list.and_then(|list| client.committed_offsets(list, timeout)) {
        Ok(answer) => answer,
        Err(error) if is_nothing_committed(&error) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let committed = answer.elements().into_iter().filter_map(|element| match element.offset() {
        KafkaOffset::Offset(next) => {
            Some((PartitionId(element.partition() as u32), Offset(next as u64)))
        }
        _ => None,
    });
    Ok(committed.collect())
}

/// Every partition at the same offset.
fn partition_list(
    topic: &str,
    partitions: &[PartitionId],
    offset: KafkaOffset,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(topic, partition.0 as i32).set_offset(offset)?;
    }
    Ok(list)
}

/// Each split at its own offset.
pub(super) fn split_list(topic: &str, splits: &[Split]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(splits.len());
    for split in splits {
        let offset = KafkaOffset::Offset(split.next.0 as i64);
        list.add_partition(topic, split.partition.0 as i32).set_offset(offset)?;
    }
    Ok(list)
}

/// The first or last offsets of many partitions, by one request to each leader.
pub(super) fn query_offsets(
    client: &Consumer,
    topic: &str,
    partitions: &[PartitionId],
    which: KafkaOffset,
    timeout: Duration,
) -> KafkaResult<Vec<u64>> {
    let asked = partition_list(topic, partitions, which)?;
    let answer = client.offsets_for_times(asked, timeout)?;
    let elements = answer.elements();
    assert_eq!(elements.len(), partitions.len(), "an answer for each partition");
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        element.error()?;
        match element.offset() {
            KafkaOffset::Offset(offset) => Ok(offset as u64),
            _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)),
        }
    };
    elements.iter().map(offset).collect()
}
