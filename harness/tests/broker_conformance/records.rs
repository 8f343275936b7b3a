//! Records come back as they were sent.

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, LIMIT};

#[test]
fn records_come_back_in_order_with_their_offsets() {
    let cluster = Cluster::start();
    let topic = cluster.topic(3);
    let sender = cluster.producer(&[("enable.idempotence", "true")]);
    for partition in 0..3 {
        let values: Vec<String> = (0..500).map(|i| format!("{partition}:{i}")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let offsets = sender.send(&topic, partition, &values);
        assert_eq!(offsets, (0..500).collect::<Vec<i64>>());
        assert_eq!(cluster.values(&topic, partition, "read_uncommitted"), values);
    }
}

#[test]
fn null_and_empty_are_not_the_same_and_headers_and_times_are_kept() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let sender = cluster.producer(&[]);
    let headers = || {
        OwnedHeaders::new()
            .insert(Header { key: "a", value: Some("1") })
            .insert(Header { key: "none", value: None::<&str> })
    };
    let record = || BaseRecord::with_opaque_to(&topic, Box::new(0)).partition(0);
    let all: [BaseRecord<'_, str, str, Box<usize>>; 3] = [
        record().timestamp(1_500_000_000_123),
        record().key("").payload("").timestamp(1_500_000_000_124),
        record().key("k").payload("v").timestamp(1_500_000_000_125).headers(headers()),
    ];
    for record in all {
        sender.producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    sender.producer.flush(LIMIT).unwrap();
    let seen = cluster.read(&topic, 0, 0, "read_uncommitted");
    let shown: Vec<_> = seen
        .iter()
        .map(|one| (one.key.as_deref(), one.value.as_deref(), one.timestamp_ms))
        .collect();
    assert_eq!(shown[0], (None, None, Some(1_500_000_000_123)));
    assert_eq!(shown[1], (Some(&b""[..]), Some(&b""[..]), Some(1_500_000_000_124)));
    assert_eq!(shown[2], (Some(&b"k"[..]), Some(&b"v"[..]), Some(1_500_000_000_125)));
    let consumer = cluster.consumer("headers", &[]);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(2)).unwrap();
    consumer.assign(&list).unwrap();
    let message = consumer.poll(LIMIT).unwrap().unwrap();
    let headers = message.headers().unwrap();
    assert_eq!((headers.get(0).key, headers.get(0).value), ("a", Some(&b"1"[..])));
    assert_eq!((headers.get(1).key, headers.get(1).value), ("none", None));
}

#[test]
fn a_record_of_a_megabyte_comes_back_and_one_beyond_the_limit_is_refused() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let sender = cluster.producer(&[("message.max.bytes", "4000000")]);
    let large: String = (0..1_000_000).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    assert_eq!(sender.send(&topic, 0, &[&large]), [0]);
    assert_eq!(cluster.values(&topic, 0, "read_uncommitted"), std::slice::from_ref(&large));
    sender.hand_over(&topic, 0, 0, &large.repeat(2));
    let refused = sender.outcomes().remove(&0).unwrap().unwrap_err();
    let expected = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(refused, expected);
    assert_eq!(sender.send(&topic, 0, &["after"]), [1]);
}

#[test]
fn compressed_records_come_back() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let sender = cluster.producer(&[("compression.type", "gzip")]);
    let values: Vec<String> = (0..1_000).map(|i| format!("the same again and again {i}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    sender.send(&topic, 0, &values);
    assert_eq!(cluster.values(&topic, 0, "read_uncommitted"), values);
    let from_middle = cluster.read(&topic, 0, 501, "read_committed");
    assert_eq!((from_middle.len(), from_middle[0].offset), (499, 501));
}

#[test]
fn without_acknowledgements_records_arrive_too() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let sender = cluster.producer(&[("acks", "0")]);
    let values: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    for (i, value) in values.iter().enumerate() {
        sender.hand_over(&topic, 0, i, value);
    }
    sender.outcomes();
    crate::cluster::eventually("all have arrived", || {
        cluster.values(&topic, 0, "read_uncommitted") == values
    });
}
