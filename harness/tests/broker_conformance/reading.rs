//! Where reading begins, and where it cannot.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, LIMIT, options};

fn assigned(cluster: &Cluster, topic: &str, offset: Offset) -> BaseConsumer {
    let consumer = cluster.consumer("reading", &[]);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, offset).unwrap();
    consumer.assign(&list).unwrap();
    consumer
}

/// A topic with a hundred records of one batch, a second apart.
fn hundred(cluster: &Cluster) -> String {
    let topic = cluster.topic(1);
    let sender = cluster.producer(&[("linger.ms", "500"), ("batch.num.messages", "100")]);
    for i in 0..100_i64 {
        let value = i.to_string();
        let record: BaseRecord<'_, str, str, _> =
            BaseRecord::with_opaque_to(&topic, Box::new(i as usize)).partition(0);
        let record = record.payload(&value).timestamp(1_600_000_000_000 + i * 1_000);
        sender.producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    assert!(sender.outcomes().values().all(Result::is_ok));
    topic
}

fn first_error(consumer: &BaseConsumer) -> KafkaError {
    loop {
        match consumer.poll(LIMIT).expect("an answer") {
            Err(KafkaError::PartitionEOF(_)) | Ok(_) => {}
            Err(error) => return error,
        }
    }
}

#[test]
fn reading_begins_in_the_middle_of_a_batch() {
    let cluster = Cluster::start();
    let topic = hundred(&cluster);
    for offset in [0, 1, 37, 99] {
        let seen = cluster.read(&topic, 0, offset, "read_uncommitted");
        assert_eq!((seen.len() as i64, seen[0].offset), (100 - offset, offset));
        assert_eq!(seen[0].value.as_deref(), Some(offset.to_string().as_bytes()));
    }
    let consumer = assigned(&cluster, &topic, Offset::Offset(90));
    assert_eq!(consumer.poll(LIMIT).unwrap().unwrap().offset(), 90);
    consumer.seek(&topic, 0, Offset::Offset(13), LIMIT).unwrap();
    let after = loop {
        let message = consumer.poll(LIMIT).unwrap().unwrap();
        if message.offset() < 90 {
            break message.offset();
        }
    };
    assert_eq!(after, 13);
}

#[test]
fn both_ends_are_told() {
    let cluster = Cluster::start();
    let topic = hundred(&cluster);
    let consumer = cluster.consumer("ends", &[]);
    assert_eq!(consumer.fetch_watermarks(&topic, 0, LIMIT).unwrap(), (0, 100));
    let beginning = assigned(&cluster, &topic, Offset::Beginning);
    assert_eq!(beginning.poll(LIMIT).unwrap().unwrap().offset(), 0);
    let tail = assigned(&cluster, &topic, Offset::OffsetTail(3));
    assert_eq!(tail.poll(LIMIT).unwrap().unwrap().offset(), 97);
}

#[test]
fn offsets_are_found_by_time() {
    let cluster = Cluster::start();
    let topic = hundred(&cluster);
    let consumer = cluster.consumer("times", &[]);
    let find = |timestamp_ms: i64| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(timestamp_ms)).unwrap();
        let found = consumer.offsets_for_times(list, LIMIT).unwrap();
        found.elements()[0].offset()
    };
    assert_eq!(find(0), Offset::Offset(0));
    assert_eq!(find(1_600_000_042_000), Offset::Offset(42));
    assert_eq!(find(1_600_000_042_001), Offset::Offset(43));
    assert_eq!(find(1_600_000_099_001), Offset::End);
}

#[test]
fn an_offset_beyond_the_end_is_an_error_and_no_reset() {
    let cluster = Cluster::start();
    let topic = hundred(&cluster);
    let consumer = assigned(&cluster, &topic, Offset::Offset(5_000));
    let error = first_error(&consumer);
    let codes = [RDKafkaErrorCode::OffsetOutOfRange, RDKafkaErrorCode::AutoOffsetReset];
    let code = error.rdkafka_error_code().unwrap();
    assert!(codes.contains(&code), "{error}");
}

#[test]
fn deleted_records_are_gone_and_reading_them_is_an_error() {
    let cluster = Cluster::start();
    let topic = hundred(&cluster);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(40)).unwrap();
    block_on(cluster.admin().delete_records(&list, &options())).unwrap();
    let consumer = cluster.consumer("deleted", &[]);
    assert_eq!(consumer.fetch_watermarks(&topic, 0, LIMIT).unwrap(), (40, 100));
    let seen = cluster.read(&topic, 0, 40, "read_uncommitted");
    assert_eq!((seen.len(), seen[0].offset), (60, 40));
    let error = first_error(&assigned(&cluster, &topic, Offset::Offset(39)));
    let codes = [RDKafkaErrorCode::OffsetOutOfRange, RDKafkaErrorCode::AutoOffsetReset];
    assert!(codes.contains(&error.rdkafka_error_code().unwrap()), "{error}");
}

#[test]
fn embedded_a_topic_that_is_not_there_is_not_made_by_asking() {
    let cluster = Cluster::embedded();
    let consumer = cluster.consumer("unknown", &[]);
    let metadata = consumer.fetch_metadata(Some("nowhere"), LIMIT).unwrap();
    assert!(metadata.topics()[0].error().is_some());
    assert!(consumer.fetch_watermarks("nowhere", 0, Duration::from_secs(5)).is_err());
    assert_eq!(consumer.fetch_metadata(None, LIMIT).unwrap().topics().len(), 0);
}
