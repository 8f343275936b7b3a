//! Transactions as a client sees them.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, LIMIT, Sender, eventually, unique};

fn send(sender: &Sender, topic: &str, partition: i32, value: &str) {
    sender.hand_over(topic, partition, 0, value);
    sender.producer.flush(LIMIT).unwrap();
}

fn committed(cluster: &Cluster, topic: &str) -> Vec<String> {
    cluster.values(topic, 0, "read_committed")
}

#[test]
fn committed_records_are_seen_and_aborted_ones_are_not() {
    let cluster = Cluster::start();
    let topic = cluster.topic(2);
    let sender = cluster.transactional(&unique("txn"), &[]);
    for (value, is_committed) in [("a", true), ("b", false), ("c", false), ("d", true)] {
        sender.producer.begin_transaction().unwrap();
        send(&sender, &topic, 0, value);
        send(&sender, &topic, 1, value);
        if is_committed {
            sender.producer.commit_transaction(LIMIT).unwrap();
        } else {
            sender.producer.abort_transaction(LIMIT).unwrap();
        }
    }
    for partition in 0..2 {
        assert_eq!(cluster.values(&topic, partition, "read_committed"), ["a", "d"]);
        assert_eq!(cluster.values(&topic, partition, "read_uncommitted"), ["a", "b", "c", "d"]);
    }
    // Also when reading begins inside an aborted transaction, or after its records.
    for from in 0..8 {
        let seen = cluster.read(&topic, 0, from, "read_committed");
        let expected = [0, 6].into_iter().filter(|offset| *offset >= from);
        assert!(seen.iter().map(|one| one.offset).eq(expected), "from {from}: {seen:?}");
    }
}

#[test]
fn transactions_of_several_producers_are_told_apart() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let [one, two] = [(); 2].map(|()| cluster.transactional(&unique("txn"), &[]));
    one.producer.begin_transaction().unwrap();
    two.producer.begin_transaction().unwrap();
    for round in 0..3 {
        send(&one, &topic, 0, &format!("one {round}"));
        send(&two, &topic, 0, &format!("two {round}"));
    }
    two.producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(committed(&cluster, &topic), [""; 0], "the first one is open and older");
    one.producer.abort_transaction(LIMIT).unwrap();
    assert_eq!(committed(&cluster, &topic), ["two 0", "two 1", "two 2"]);
}

#[test]
fn an_open_transaction_holds_back_what_comes_after_it() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let sender = cluster.transactional(&unique("txn"), &[]);
    let other = cluster.producer(&[]);
    other.send(&topic, 0, &["before"]);
    sender.producer.begin_transaction().unwrap();
    send(&sender, &topic, 0, "in it");
    other.send(&topic, 0, &["after"]);
    assert_eq!(committed(&cluster, &topic), ["before"]);
    assert_eq!(cluster.values(&topic, 0, "read_uncommitted").len(), 3);
    sender.producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(committed(&cluster, &topic), ["before", "in it", "after"]);
}

#[test]
fn a_zombie_is_fenced() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let id = unique("txn");
    let zombie = cluster.transactional(&id, &[]);
    zombie.producer.begin_transaction().unwrap();
    send(&zombie, &topic, 0, "zombie");
    let successor = cluster.transactional(&id, &[]);
    successor.producer.begin_transaction().unwrap();
    send(&successor, &topic, 0, "successor");
    let refused = zombie.producer.commit_transaction(LIMIT).unwrap_err();
    assert!(is_fatal(&refused), "{refused}");
    successor.producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(committed(&cluster, &topic), ["successor"]);
}

fn is_fatal(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_fatal())
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let settings = [
        ("transaction.timeout.ms", "1000"),
        ("message.timeout.ms", "1000"),
        ("socket.timeout.ms", "1000"),
    ];
    let sender = cluster.transactional(&unique("txn"), &settings);
    sender.producer.begin_transaction().unwrap();
    send(&sender, &topic, 0, "late");
    let other = cluster.producer(&[]);
    other.send(&topic, 0, &["other"]);
    // A real broker looks every ten seconds.
    eventually("the transaction is aborted", || committed(&cluster, &topic) == ["other"]);
    let refused = sender.producer.commit_transaction(LIMIT);
    assert!(refused.is_err());
    assert_eq!(committed(&cluster, &topic), ["other"]);
}

fn committed_offset(consumer: &BaseConsumer, topic: &str) -> Offset {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    consumer.committed_offsets(list, LIMIT).unwrap().elements()[0].offset()
}

#[test]
fn offsets_are_committed_with_their_transaction_or_not_at_all() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let group = unique("group");
    let consumer = cluster.consumer(&group, &[]);
    let sender = cluster.transactional(&unique("txn"), &[]);
    let offsets = |offset| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(offset)).unwrap();
        list
    };
    let metadata = consumer.group_metadata().unwrap();
    for (offset, is_committed, expected) in
        [(5, false, Offset::Invalid), (6, true, Offset::Offset(6)), (7, false, Offset::Offset(6))]
    {
        sender.producer.begin_transaction().unwrap();
        send(&sender, &topic, 0, "with offsets");
        let list = offsets(offset);
        sender.producer.send_offsets_to_transaction(&list, &metadata, LIMIT).unwrap();
        if is_committed {
            sender.producer.commit_transaction(LIMIT).unwrap();
        } else {
            sender.producer.abort_transaction(LIMIT).unwrap();
        }
        eventually("the offset is as expected", || committed_offset(&consumer, &topic) == expected);
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(committed_offset(&consumer, &topic), Offset::Offset(6));
}
