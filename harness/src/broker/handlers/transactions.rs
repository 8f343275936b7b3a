//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn.

use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    self, AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse,
};
use stormproof_chaos::log::{
    LogError, Outcome, Producer, ProducerEpoch, ProducerId, TopicPartition,
};

use super::code;
use crate::broker::dispatch::Asked;
use crate::broker::node::{Node, now_ms};

/// Kafka's error codes.
const INVALID_PRODUCER_EPOCH: i16 = 47;
const OPERATION_NOT_ATTEMPTED: i16 = 55;
const PRODUCER_FENCED: i16 = 90;

/// Clients of before PRODUCER_FENCED know another name for it.
fn as_known_since(code: i16, asked: &Asked, since_version: i16) -> i16 {
    if code == PRODUCER_FENCED && asked.version < since_version {
        return INVALID_PRODUCER_EPOCH;
    }
    code
}

pub(super) fn producer(id: messages::ProducerId, epoch: i16) -> Producer {
    Producer { id: ProducerId(id.0), epoch: ProducerEpoch(epoch) }
}

/// A producer id, with or without a transactional one.
pub(in crate::broker) fn init_producer_id(
    node: &mut Node,
    request: &InitProducerIdRequest,
    asked: &Asked,
) -> InitProducerIdResponse {
    let made = match &request.transactional_id {
        None => node.log.new_producer(),
        Some(name) => {
            let claimed = (request.producer_id.0 >= 0)
                .then(|| producer(request.producer_id, request.producer_epoch));
            let timeout_ms = request.transaction_timeout_ms;
            let taken = node.log.take_transactional_id(name, timeout_ms, claimed, now_ms());
            taken.map(|(producer, touched)| {
                node.wake(&touched);
                producer
            })
        }
    };
    let response =
        InitProducerIdResponse::default().with_error_code(as_known_since(code(&made), asked, 4));
    match made {
        Ok(producer) => response
            .with_producer_id(messages::ProducerId(producer.id.0))
            .with_producer_epoch(producer.epoch.0),
        Err(_) => response.with_producer_id(messages::ProducerId(-1)).with_producer_epoch(-1),
    }
}

/// Takes partitions into a transaction: all of them, or none.
pub(in crate::broker) fn add_partitions(
    node: &mut Node,
    request: &AddPartitionsToTxnRequest,
    asked: &Asked,
) -> AddPartitionsToTxnResponse {
    let topics = &request.v3_and_below_topics;
    let unknown = |name: &str, index: &i32| node.log.find(name, *index).is_err();
    let has_unknown =
        topics.iter().any(|topic| topic.partitions.iter().any(|index| unknown(&topic.name, index)));
    let known: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|index| node.log.find(&topic.name, *index)))
        .flatten()
        .collect();
    let code_of_all = if has_unknown {
        OPERATION_NOT_ATTEMPTED
    } else {
        let name = &request.v3_and_below_transactional_id;
        let producer =
            producer(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch);
        let added = node.log.add_partitions_to_transaction(name, producer, known, now_ms());
        as_known_since(code(&added), asked, 2)
    };
    let results = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            let code = match node.log.find(&topic.name, *index) {
                Ok(_) => code_of_all,
                Err(error) => error.code(),
            };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

/// Takes a group's offsets into a transaction.
pub(in crate::broker) fn add_offsets(
    node: &mut Node,
    request: &AddOffsetsToTxnRequest,
    asked: &Asked,
) -> AddOffsetsToTxnResponse {
    let producer = producer(request.producer_id, request.producer_epoch);
    let name = &request.transactional_id;
    let added = node.log.add_group_to_transaction(name, producer, &request.group_id, now_ms());
    AddOffsetsToTxnResponse::default().with_error_code(as_known_since(code(&added), asked, 2))
}

/// Ends a transaction.
pub(in crate::broker) fn end(
    node: &mut Node,
    request: &EndTxnRequest,
    asked: &Asked,
) -> EndTxnResponse {
    let producer = producer(request.producer_id, request.producer_epoch);
    let outcome = if request.committed { Outcome::Commit } else { Outcome::Abort };
    let name = &request.transactional_id;
    let ended: Result<(), LogError> = node
        .log
        .end_transaction(name, producer, outcome, now_ms())
        .map(|touched| node.wake(&touched));
    EndTxnResponse::default().with_error_code(as_known_since(code(&ended), asked, 2))
}
