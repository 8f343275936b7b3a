//! Who is there: ApiVersions, Metadata, FindCoordinator. There is one node, and it leads and
//! coordinates everything.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, FindCoordinatorResponse, MetadataRequest, MetadataResponse,
    TopicName,
};
use stormproof_chaos::log::{LogError, TopicView};

use super::text;
use crate::broker::apis::APIS;
use crate::broker::node::{CLUSTER_ID, Endpoint, NODE_ID, Node};

/// What is implemented.
pub(in crate::broker) fn api_versions(error_code: i16) -> ApiVersionsResponse {
    let keys = APIS.iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.min)
            .with_max_version(api.max)
    });
    ApiVersionsResponse::default().with_error_code(error_code).with_api_keys(keys.collect())
}

/// The node and the topics. Topics are never made by asking for them.
pub(in crate::broker) fn metadata(
    node: &Node,
    endpoint: &Endpoint,
    request: &MetadataRequest,
    version: i16,
) -> MetadataResponse {
    let topics = match &request.topics {
        // In version 0 an empty list stands for all.
        Some(wanted) if version > 0 || !wanted.is_empty() => {
            let names = wanted.iter().filter_map(|topic| topic.name.as_ref());
            names.map(|name| named(node, name)).collect()
        }
        _ => node.log.topics().map(topic).collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(text(endpoint.host.clone()))
        .with_port(i32::from(endpoint.port));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(CLUSTER_ID)))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
}

fn named(node: &Node, name: &TopicName) -> MetadataResponseTopic {
    node.log.topic(name).map_or_else(
        || {
            MetadataResponseTopic::default()
                .with_error_code(LogError::UnknownTopicOrPartition.code())
                .with_name(Some(name.clone()))
        },
        topic,
    )
}

fn topic(view: TopicView<'_>) -> MetadataResponseTopic {
    let partitions = (0..view.partitions).map(|index| {
        MetadataResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(view.name))))
        .with_partitions(partitions.collect())
}

/// The node that coordinates a group or a transactional id.
pub(in crate::broker) fn find_coordinator(endpoint: &Endpoint) -> FindCoordinatorResponse {
    FindCoordinatorResponse::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(text(endpoint.host.clone()))
        .with_port(i32::from(endpoint.port))
}
