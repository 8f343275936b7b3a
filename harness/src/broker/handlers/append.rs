//! Produce.

use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use stormproof_chaos::log::{Appended, LogError};

use super::text;
use crate::broker::node::{Node, now_ms};

/// Appends what a producer sent, partition by partition.
pub(in crate::broker) fn produce(node: &mut Node, request: &ProduceRequest) -> ProduceResponse {
    let now_ms = now_ms();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let answer = |data| append(node, &topic.name, data, now_ms);
        let partitions = topic.partition_data.iter().map(answer).collect();
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name.clone())
                .with_partition_responses(partitions),
        );
    }
    ProduceResponse::default().with_responses(responses)
}

fn append(
    node: &mut Node,
    topic: &str,
    data: &PartitionProduceData,
    now_ms: i64,
) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(data.index);
    match try_append(node, topic, data, now_ms) {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(appended.start_offset),
        Err(error) => response
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())))
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1),
    }
}

fn try_append(
    node: &mut Node,
    topic: &str,
    data: &PartitionProduceData,
    now_ms: i64,
) -> Result<Appended, LogError> {
    let at = node.log.find(topic, data.index)?;
    let none = || LogError::InvalidRecord("no records".to_owned());
    let batch = data.records.as_ref().ok_or_else(none)?;
    let appended = node.log.append(at, batch, now_ms)?;
    node.waiters.appended(at, batch.len());
    Ok(appended)
}
