//! Topics come and go.

use futures::executor::block_on;
use rdkafka::admin::{NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use crate::cluster::{Cluster, LIMIT, eventually, options, unique};

#[test]
fn two_thousand_partitions_are_made_written_enlarged_and_deleted() {
    let cluster = Cluster::start();
    let topic = cluster.topic(2_000);
    let sender = cluster.producer(&[("enable.idempotence", "true")]);
    for partition in 0..2_000 {
        sender.hand_over(&topic, partition, partition as usize, "x");
    }
    let outcomes = sender.outcomes();
    assert_eq!(outcomes.values().filter(|one| matches!(one, Ok(0))).count(), 2_000);
    let more = NewPartitions::new(&topic, 2_001);
    let enlarged = block_on(cluster.admin().create_partitions([&more], &options())).unwrap();
    assert!(enlarged[0].is_ok());
    let consumer = cluster.consumer("many", &[]);
    let partitions = || {
        let metadata = consumer.fetch_metadata(Some(&topic), LIMIT).unwrap();
        metadata.topics()[0].partitions().len()
    };
    eventually("there is one more partition", || partitions() == 2_001);
    let deleted = block_on(cluster.admin().delete_topics(&[&topic], &options())).unwrap();
    assert!(deleted[0].is_ok());
    eventually("the topic is gone", || partitions() == 0);
}

#[test]
fn a_name_that_is_taken_or_none_is_refused() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    assert_eq!(cluster.create(&topic, 1), Err(RDKafkaErrorCode::TopicAlreadyExists));
    assert_eq!(cluster.create("no name", 1), Err(RDKafkaErrorCode::InvalidTopic));
    assert_eq!(cluster.create(&unique("none"), 0), Err(RDKafkaErrorCode::InvalidPartitions));
    let too_many = unique("replicas");
    let new = NewTopic::new(&too_many, 1, TopicReplication::Fixed(3));
    let made = block_on(cluster.admin().create_topics([&new], &options())).unwrap();
    let code = made[0].as_ref().unwrap_err().1;
    assert_eq!(code, RDKafkaErrorCode::InvalidReplicationFactor);
    let gone = block_on(cluster.admin().delete_topics(&["nowhere"], &options())).unwrap();
    let code = gone[0].as_ref().unwrap_err().1;
    assert_eq!(code, RDKafkaErrorCode::UnknownTopicOrPartition);
}

#[test]
fn settings_of_a_topic_are_told() {
    let cluster = Cluster::start();
    let name = unique("settings");
    let new = NewTopic::new(&name, 1, TopicReplication::Fixed(1))
        .set("retention.ms", "3600000")
        .set("max.message.bytes", "2000000");
    block_on(cluster.admin().create_topics([&new], &options())).unwrap()[0].as_ref().unwrap();
    let asked = [ResourceSpecifier::Topic(&name)];
    let told = block_on(cluster.admin().describe_configs(&asked, &options())).unwrap();
    let told = told[0].as_ref().unwrap();
    let value = |name: &str| told.get(name).unwrap().value.clone().unwrap();
    assert_eq!(
        (value("retention.ms"), value("max.message.bytes")),
        ("3600000".into(), "2000000".into())
    );
    let bad = NewTopic::new("bad", 1, TopicReplication::Fixed(1)).set("retention.ms", "soon");
    let refused = block_on(cluster.admin().create_topics([&bad], &options())).unwrap();
    assert_eq!(refused[0].as_ref().unwrap_err().1, RDKafkaErrorCode::InvalidConfig);
}
