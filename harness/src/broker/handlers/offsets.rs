//! ListOffsets and DeleteRecords.

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse,
};
use stormproof_chaos::log::{Isolation, LogError, OffsetAt};

use super::code;
use crate::broker::dispatch::Asked;
use crate::broker::node::Node;

/// Looks up offsets by time, or at either end.
pub(in crate::broker) fn list_offsets(
    node: &mut Node,
    request: &ListOffsetsRequest,
    asked: &Asked,
) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        0 => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    };
    let topics = request.topics.iter().map(|topic| {
        let answer = |wanted: &ListOffsetsPartition| {
            let found = look_up(node, &topic.name, wanted, isolation);
            let response = ListOffsetsPartitionResponse::default()
                .with_partition_index(wanted.partition_index)
                .with_error_code(code(&found));
            match found {
                Ok(Some((offset, timestamp_ms))) => response
                    .with_offset(offset)
                    .with_timestamp(timestamp_ms.unwrap_or(-1))
                    .with_leader_epoch(if asked.version >= 4 { 0 } else { -1 }),
                Ok(None) | Err(_) => response.with_offset(-1).with_timestamp(-1),
            }
        };
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(answer).collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn look_up(
    node: &Node,
    topic: &str,
    wanted: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Option<(i64, Option<i64>)>, LogError> {
    let at = node.log.find(topic, wanted.partition_index)?;
    let when = match wanted.timestamp {
        -1 => OffsetAt::Latest,
        -2 => OffsetAt::Earliest,
        -3 => OffsetAt::MaxTimestamp,
        timestamp_ms => OffsetAt::Since(timestamp_ms),
    };
    node.log.offset_at(at, when, isolation)
}

/// Moves log start offsets.
pub(in crate::broker) fn delete_records(
    node: &mut Node,
    request: &DeleteRecordsRequest,
    _asked: &Asked,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            // -1 stands for the high watermark.
            let offset = Some(wanted.offset).filter(|offset| *offset != -1);
            let deleted = node.log.find(&topic.name, wanted.partition_index).and_then(|at| {
                let start = node.log.delete_records(at, offset)?;
                node.wake(&[at]);
                Ok(start)
            });
            partitions.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(wanted.partition_index)
                    .with_error_code(code(&deleted))
                    .with_low_watermark(deleted.unwrap_or(-1)),
            );
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}
