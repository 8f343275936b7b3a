//! Committed offsets: OffsetCommit, OffsetFetch, TxnOffsetCommit.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;
use stormproof_chaos::log::{Committed, LogError, Offsets};

use super::transactions::producer;
use super::{code, text};
use crate::broker::dispatch::Asked;
use crate::broker::node::{Node, now_ms};

/// Collects offsets of partitions that exist; tells the others.
#[derive(Default)]
struct Offered(Offsets);

impl Offered {
    /// Takes one; returns the error code if its partition does not exist.
    fn take(
        &mut self,
        node: &Node,
        topic: &TopicName,
        index: i32,
        offset: i64,
        metadata: Option<&StrBytes>,
    ) -> i16 {
        let found = node.log.find(topic, index);
        if let Ok(at) = &found {
            let metadata = metadata.map(ToString::to_string).unwrap_or_default();
            let partitions = self.0.entry(topic.to_string()).or_default();
            partitions.insert(at.partition, Committed { offset, metadata });
        }
        code(&found)
    }
}

/// Commits offsets of a group.
pub(in crate::broker) fn commit(
    node: &mut Node,
    request: &OffsetCommitRequest,
    _asked: &Asked,
) -> OffsetCommitResponse {
    let (group, member) = (&request.group_id, &request.member_id);
    let generation = request.generation_id_or_member_epoch;
    let allowed = node.groups.may_commit(group, member, generation, now_ms());
    let mut offered = Offered::default();
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|wanted| {
            let (index, offset) = (wanted.partition_index, wanted.committed_offset);
            let metadata = wanted.committed_metadata.as_ref();
            let unknown = offered.take(node, &topic.name, index, offset, metadata);
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(allowed.err().unwrap_or(unknown))
        });
        let partitions = partitions.collect();
        topics.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    if allowed.is_ok() && !offered.0.is_empty() {
        let failed = code(&node.log.commit_offsets(group, offered.0));
        let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.filter(|partition| partition.error_code == 0).for_each(|partition| {
            partition.error_code = failed;
        });
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// Tells committed offsets.
pub(in crate::broker) fn fetch(
    node: &mut Node,
    request: &OffsetFetchRequest,
    _asked: &Asked,
) -> OffsetFetchResponse {
    let group = &request.group_id;
    let wanted: BTreeMap<String, Vec<i32>> = match &request.topics {
        Some(topics) => {
            let named = topics.iter();
            named.map(|topic| (topic.name.to_string(), topic.partition_indexes.clone())).collect()
        }
        None => {
            let all = node.log.all_committed(group).into_iter().flatten();
            all.map(|(topic, partitions)| {
                (topic.clone(), partitions.keys().map(|index| *index as i32).collect())
            })
            .collect()
        }
    };
    let topics = wanted.into_iter().map(|(topic, indexes)| {
        let partitions = indexes.into_iter().map(|index| {
            let partition = u32::try_from(index).map_err(|_| LogError::UnknownTopicOrPartition);
            let found = partition.and_then(|partition| {
                node.log.committed(group, &topic, partition, request.require_stable)
            });
            let response = OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_leader_epoch(-1)
                .with_error_code(code(&found));
            match found {
                Ok(Some(found)) => response
                    .with_committed_offset(found.offset)
                    .with_metadata(Some(text(found.metadata.clone()))),
                Ok(None) | Err(_) => {
                    response.with_committed_offset(-1).with_metadata(Some(StrBytes::new()))
                }
            }
        });
        OffsetFetchResponseTopic::default()
            .with_name(TopicName(text(topic.clone())))
            .with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

/// Commits offsets of a group when a transaction is committed.
pub(in crate::broker) fn commit_in_transaction(
    node: &mut Node,
    request: &TxnOffsetCommitRequest,
    _asked: &Asked,
) -> TxnOffsetCommitResponse {
    let group = &request.group_id;
    let allowed = if request.member_id.is_empty() && request.generation_id < 0 {
        Ok(())
    } else {
        node.groups.may_commit(group, &request.member_id, request.generation_id, now_ms())
    };
    let mut offered = Offered::default();
    let mut topics: Vec<TxnOffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|wanted| {
            let (index, offset) = (wanted.partition_index, wanted.committed_offset);
            let metadata = wanted.committed_metadata.as_ref();
            let unknown = offered.take(node, &topic.name, index, offset, metadata);
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(allowed.err().unwrap_or(unknown))
        });
        let partitions = partitions.collect();
        topics.push(
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    if allowed.is_ok() && !offered.0.is_empty() {
        let producer = producer(request.producer_id, request.producer_epoch);
        let name = &request.transactional_id;
        let kept = node.log.commit_offsets_in_transaction(name, producer, group, offered.0);
        let failed = code(&kept);
        let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.filter(|partition| partition.error_code == 0).for_each(|partition| {
            partition.error_code = failed;
        });
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}
