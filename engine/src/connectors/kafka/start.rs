//! Where reading begins: positions resolved and checked before the first message.
//!
//! Invariant: after [`resolve`] every split has a real offset that the log holds (or its end), so
//! the first snapshot is as good as any, and nothing was skipped.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::client::{Consumer, is_nothing_committed};
use super::config::{KafkaSourceConfig, StartFrom};
use super::error::{Meaning, meaning, refused, service, unknown};
use crate::connectors::Split;
use crate::error::{EngineError, Result};
use crate::ids::{Offset, PartitionId};

/// A split with the end of its partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positioned {
    pub(super) split: Split,
    pub(super) high_watermark: u64,
}

/// How a position was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A fresh start: choose.
    Start,
    /// A checkpoint: exactly this offset.
    Exactly(Offset),
}

/// Number of partitions of the topic.
pub(super) fn count_partitions(client: &Consumer, config: &KafkaSourceConfig) -> Result<u32> {
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let metadata = client
        .fetch_metadata(Some(&config.topic), timeout)
        .map_err(|error| judge("could not read the topic's metadata", config, &error))?;
    let Some(topic) = metadata.topics().iter().find(|t| t.name() == config.topic) else {
        return Err(unknown(&config.topic, &config.brokers));
    };
    if let Some(code) = topic.error() {
        let error = KafkaError::MetadataFetch(code.into());
        return Err(judge("could not read the topic's metadata", config, &error));
    }
    match topic.partitions().len() {
        0 => Err(unknown(&config.topic, &config.brokers)),
        count => Ok(count as u32),
    }
}

fn judge(what: &str, config: &KafkaSourceConfig, error: &KafkaError) -> EngineError {
    match meaning(error) {
        Meaning::Unknown => unknown(&config.topic, &config.brokers),
        Meaning::Refused => refused(&config.topic, error),
        _ => service(what, &config.brokers, error),
    }
}

/// Gives every wanted partition its position.
pub(super) fn resolve(
    client: &Consumer,
    config: &KafkaSourceConfig,
    wanted: &[(PartitionId, Wanted)],
) -> Result<Vec<Positioned>> {
    let partitions: Vec<_> = wanted.iter().map(|(partition, _)| *partition).collect();
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let ask = |offset| {
        query_offsets(client, &config.topic, &partitions, offset, timeout)
            .map_err(|error| judge("could not read the topic's offsets", config, &error))
    };
    let (low, high) = (ask(KafkaOffset::Beginning)?, ask(KafkaOffset::End)?);
    let is_fresh = wanted.iter().any(|(_, wanted)| *wanted == Wanted::Start);
    let committed = match config.start {
        StartFrom::Committed if is_fresh => committed_offsets(client, config, &partitions)?,
        _ => BTreeMap::new(),
    };
    let positions = wanted.iter().zip(low.into_iter().zip(high));
    positions
        .map(|((partition, wanted), (low, high))| {
            let next = match wanted {
                Wanted::Exactly(next) => *next,
                Wanted::Start => committed.get(partition).copied().unwrap_or(Offset(low)),
            };
            check_range(&config.topic, *partition, next, low, high)?;
            let split = Split { partition: *partition, next };
            Ok(Positioned { split, high_watermark: high })
        })
        .collect()
}

/// Refuses a position that the log does not hold.
pub(super) fn check_range(
    topic: &str,
    partition: PartitionId,
    next: Offset,
    low: u64,
    high: u64,
) -> Result<()> {
    if next.0 < low {
        return Err(EngineError::Input(format!(
            "kafka topic `{topic}`, partition {partition}: the job is at offset {next}, but the \
             log begins at {low} (low watermark): retention has passed the checkpoint and {} \
             records are gone; start without the checkpoint to read on from {low} and accept the \
             gap, and give the topic a longer retention",
            low - next.0
        )));
    }
    if next.0 > high {
        return Err(EngineError::Input(format!(
            "kafka topic `{topic}`, partition {partition}: the job is at offset {next}, but the \
             log ends at {high} (low watermark {low}): the topic was deleted and made anew, or \
             this is another cluster; start without the checkpoint"
        )));
    }
    Ok(())
}

/// The committed offsets of the consumer group, where there are any.
pub(super) fn committed_offsets(
    client: &Consumer,
    config: &KafkaSourceConfig,
    partitions: &[PartitionId],
) -> Result<BTreeMap<PartitionId, Offset>> {
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let list = partition_list(&config.topic, partitions, KafkaOffset::Invalid);
    let answer = match list.and_then(|list| client.committed_offsets(list, timeout)) {
        Ok(answer) => answer,
        Err(error) if is_nothing_committed(&error) => return Ok(BTreeMap::new()),
        Err(error) => return Err(judge("could not read committed offsets", config, &error)),
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
pub(super) fn partition_list(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_outside_the_log_is_refused_with_the_remedy() {
        let check = |next| check_range("storm-input", PartitionId(417), Offset(next), 900, 1000);
        for inside in [900, 950, 1000] {
            check(inside).expect("the log holds it");
        }
        let message = check(812).expect_err("retention has passed it").to_string();
        for part in ["partition 417", "offset 812", "900", "88 records", "retention", "start"] {
            assert!(message.contains(part), "`{part}` is missing: {message}");
        }
        assert!(matches!(check(1001), Err(EngineError::Input(_))));
    }
}
