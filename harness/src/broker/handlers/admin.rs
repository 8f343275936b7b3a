//! Topics and their settings: CreateTopics, DeleteTopics, CreatePartitions, DescribeConfigs.

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
};
use stormproof_chaos::log::{LogError, TopicSettings};

use super::{code, text};
use crate::broker::dispatch::Asked;
use crate::broker::node::{NODE_ID, Node};

/// Kafka's error code for more replicas than nodes.
const INVALID_REPLICATION_FACTOR: i16 = 38;
/// Kafka's resource types.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Kafka's source of a setting: the topic's own.
const TOPIC_SETTING: i8 = 1;

/// Makes topics.
pub(in crate::broker) fn create_topics(
    node: &mut Node,
    request: &CreateTopicsRequest,
    asked: &Asked,
) -> CreateTopicsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let result = CreatableTopicResult::default().with_name(topic.name.clone());
        if topic.replication_factor > 1 {
            let why = "there is one broker: the replication factor is 1";
            let refused = result.with_error_code(INVALID_REPLICATION_FACTOR);
            topics.push(refused.with_error_message(Some(text(why))));
            continue;
        }
        let made = create_topic(node, topic, request.validate_only);
        let result = result.with_error_code(code(&made));
        topics.push(match made {
            Ok(partitions) if asked.version >= 5 => result
                .with_num_partitions(partitions as i32)
                .with_replication_factor(1)
                .with_configs(Some(Vec::new())),
            Ok(_) => result,
            Err(error) => result.with_error_message(Some(text(error.to_string()))),
        });
    }
    CreateTopicsResponse::default().with_topics(topics)
}

fn create_topic(
    node: &mut Node,
    topic: &CreatableTopic,
    only_check: bool,
) -> Result<u32, LogError> {
    let partitions = match topic.num_partitions {
        // -1 stands for the broker's default, or for the partitions in the assignments.
        -1 => topic.assignments.len().max(1) as i32,
        number => number,
    };
    let partitions = u32::try_from(partitions)
        .map_err(|_| LogError::InvalidPartitions(partitions.to_string()))?;
    let pairs = topic.configs.iter().filter_map(|config| {
        let value = config.value.as_ref()?;
        Some((config.name.as_str(), value.as_str()))
    });
    let settings = TopicSettings::parse(pairs)?;
    if only_check {
        node.log.check_topic(&topic.name, partitions)?;
    } else {
        node.log.create_topic(&topic.name, partitions, settings)?;
    }
    Ok(partitions)
}

/// Deletes topics.
pub(in crate::broker) fn delete_topics(
    node: &mut Node,
    request: &DeleteTopicsRequest,
    _asked: &Asked,
) -> DeleteTopicsResponse {
    let responses = request.topic_names.iter().map(|name| {
        let deleted = node.log.delete_topic(name);
        DeletableTopicResult::default()
            .with_name(Some(name.clone()))
            .with_error_code(code(&deleted))
            .with_error_message(deleted.err().map(|error| text(error.to_string())))
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

/// Enlarges topics.
pub(in crate::broker) fn create_partitions(
    node: &mut Node,
    request: &CreatePartitionsRequest,
    _asked: &Asked,
) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| {
        let count = u32::try_from(topic.count).unwrap_or(0);
        let added = if request.validate_only {
            node.log.topic(&topic.name).map(drop).ok_or(LogError::UnknownTopicOrPartition)
        } else {
            node.log.add_partitions(&topic.name, count)
        };
        CreatePartitionsTopicResult::default()
            .with_name(topic.name.clone())
            .with_error_code(code(&added))
            .with_error_message(added.err().map(|error| text(error.to_string())))
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

/// Tells the settings of topics. The broker itself has none that could be asked for.
pub(in crate::broker) fn describe_configs(
    node: &mut Node,
    request: &DescribeConfigsRequest,
    _asked: &Asked,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| describe(node, resource));
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe(node: &Node, resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    let settings = match resource.resource_type {
        TOPIC => node.log.topic(&resource.resource_name).map(|topic| topic.settings.pairs()),
        BROKER if *resource.resource_name == NODE_ID.to_string() => return result,
        _ => None,
    };
    let Some(settings) = settings else {
        let error = LogError::UnknownTopicOrPartition;
        return result
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())));
    };
    let is_wanted = |name: &str| {
        let keys = resource.configuration_keys.as_ref();
        keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == name))
    };
    let wanted = settings.into_iter().filter(|(name, _)| is_wanted(name));
    let configs = wanted.map(|(name, value)| {
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_config_source(TOPIC_SETTING)
            .with_read_only(true)
    });
    result.with_configs(configs.collect())
}
