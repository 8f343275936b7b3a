//! Long polling: not too early, not too late.
//!
//! "At once" is told from "at the limit of waiting" by limits far apart, not by speed: a machine may
//! have much else to do.

use std::time::{Duration, Instant};

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, TopicName};

use crate::cluster::{Cluster, LIMIT};
use crate::raw::{Connection, batch, produce};

/// Longer than anything takes that does not wait.
const LONG_MS: i32 = 2 * LIMIT.as_millis() as i32;

fn fetch(topic: &str, partitions: i32, min_bytes: i32, max_wait_ms: i32) -> FetchRequest {
    let partitions = (0..partitions).map(|partition| {
        FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(0)
            .with_current_leader_epoch(-1)
            .with_partition_max_bytes(1_000_000)
    });
    let topic = FetchTopic::default()
        .with_topic(TopicName(topic.to_owned().into()))
        .with_partitions(partitions.collect());
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(min_bytes)
        .with_max_bytes(10_000_000)
        .with_topics(vec![topic])
}

fn produce_to(cluster: &Cluster, topic: &str) {
    let mut other = Connection::open(&cluster.brokers);
    let response = other.ask(7, &produce(topic, None, batch((-1, -1), -1, false, &["x"])));
    assert_eq!(crate::raw::outcome(&response).0, 0);
}

fn has_records(partition: &PartitionData) -> bool {
    partition.error_code == 0 && partition.records.as_ref().is_some_and(|bytes| !bytes.is_empty())
}

#[test]
fn a_fetch_waits_for_data_and_no_longer() {
    let cluster = Cluster::start();
    let topic = cluster.topic(3);
    let mut connection = Connection::open(&cluster.brokers);
    let begun = Instant::now();
    connection.say(11, &fetch(&topic, 3, 1, LONG_MS));
    std::thread::sleep(Duration::from_millis(300));
    produce_to(&cluster, &topic);
    let response = connection.hear::<FetchRequest>(11);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(300) && waited < LIMIT, "{waited:?}");
    let partitions = &response.responses[0].partitions;
    assert_eq!(partitions.len(), 3);
    assert!(has_records(&partitions[0]), "{:?}", partitions[0]);
}

#[test]
fn a_fetch_that_wants_more_waits_to_its_limit() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    produce_to(&cluster, &topic);
    let mut connection = Connection::open(&cluster.brokers);
    let begun = Instant::now();
    let response = connection.ask(11, &fetch(&topic, 1, 100_000, 700));
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(650) && waited < LIMIT, "{waited:?}");
    let partition = &response.responses[0].partitions[0];
    assert!(has_records(partition), "after {waited:?}: {partition:?}");
}

#[test]
fn an_error_is_told_at_once() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let mut connection = Connection::open(&cluster.brokers);
    let mut request = fetch(&topic, 1, 1, LONG_MS);
    request.topics[0].partitions[0].fetch_offset = 55;
    let begun = Instant::now();
    let response = connection.ask(11, &request);
    assert!(begun.elapsed() < LIMIT);
    assert_eq!(response.responses[0].partitions[0].error_code, 1);
}
