//! The embedded broker killed, stopped and started again: what was acknowledged is there.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use nix::sys::signal::Signal;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::producer::Producer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, LIMIT, unique};

const PARTITIONS: i32 = 20;

/// Kills the broker `kills` times while an idempotent producer goes on; then every record must be
/// there once, in order.
#[test]
fn embedded_every_acknowledged_record_survives_sigkill_once() {
    let mut cluster = Cluster::embedded();
    let topic = cluster.topic(PARTITIONS);
    let sender = cluster.producer(&[
        ("enable.idempotence", "true"),
        ("linger.ms", "1"),
        ("batch.num.messages", "20"),
        ("reconnect.backoff.max.ms", "100"),
        ("retry.backoff.ms", "10"),
        ("message.timeout.ms", "30000"),
    ]);
    let mut number = 0;
    for _ in 0..5 {
        let wanted = sender.acknowledged() + 2_000;
        while sender.acknowledged() < wanted {
            for _ in 0..100 {
                sender.hand_over(&topic, number as i32 % PARTITIONS, number, &number.to_string());
                number += 1;
            }
        }
        cluster.own().kill();
        sender.hand_over(&topic, number as i32 % PARTITIONS, number, &number.to_string());
        number += 1;
        cluster.own().start_again();
    }
    let outcomes = sender.outcomes();
    assert_eq!(outcomes.len(), number);
    assert!(outcomes.values().all(Result::is_ok), "an idempotent producer gives up nothing");
    let mut found: BTreeSet<usize> = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let values = cluster.values(&topic, partition, "read_uncommitted");
        let numbers: Vec<usize> = values.iter().map(|value| value.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "out of order in {partition}");
        let before = found.len();
        found.extend(&numbers);
        assert_eq!(found.len() - before, numbers.len(), "twice in {partition}");
    }
    assert_eq!(found.len(), number);
}

#[test]
fn embedded_a_torn_tail_is_cut_off_and_the_rest_is_there() {
    let mut cluster = Cluster::embedded();
    let topic = cluster.topic(1);
    cluster.producer(&[]).send(&topic, 0, &["a", "b"]);
    cluster.own().kill();
    let file = cluster.own().data.path().join("00000001.log");
    let whole = std::fs::metadata(&file).unwrap().len();
    let mut segment = OpenOptions::new().append(true).open(&file).unwrap();
    segment.write_all(&[9; 1_000]).unwrap();
    cluster.own().start_again();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), whole);
    assert_eq!(cluster.values(&topic, 0, "read_uncommitted"), ["a", "b"]);
    assert_eq!(cluster.producer(&[]).send(&topic, 0, &["c"]), [2]);
}

#[test]
fn embedded_a_pause_loses_and_duplicates_nothing() {
    let mut cluster = Cluster::embedded();
    let topic = cluster.topic(4);
    let settings =
        [("enable.idempotence", "true"), ("request.timeout.ms", "300"), ("retry.backoff.ms", "20")];
    let sender = cluster.producer(&settings);
    for number in 0..2_000 {
        sender.hand_over(&topic, number % 4, number as usize, &number.to_string());
        if number == 1_000 {
            cluster.own().signal(Signal::SIGSTOP);
        }
    }
    std::thread::sleep(Duration::from_millis(1_500));
    cluster.own().signal(Signal::SIGCONT);
    assert!(sender.outcomes().values().all(Result::is_ok));
    for partition in 0..4 {
        let values = cluster.values(&topic, partition, "read_uncommitted");
        let expected: Vec<String> =
            (0..2_000).filter(|i| i % 4 == partition).map(|i| i.to_string()).collect();
        assert_eq!(values, expected);
    }
}

#[test]
fn embedded_transactions_and_offsets_survive_a_restart() {
    let mut cluster = Cluster::embedded();
    let topic = cluster.topic(1);
    let group = unique("group");
    let consumer = cluster.consumer(&group, &[]);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(1)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let id = unique("txn");
    let sender = cluster.transactional(&id, &[("retry.backoff.ms", "20")]);
    sender.producer.begin_transaction().unwrap();
    sender.hand_over(&topic, 0, 0, "before the kill");
    sender.producer.flush(LIMIT).unwrap();
    let other = cluster.transactional(&unique("txn"), &[]);
    other.producer.begin_transaction().unwrap();
    other.hand_over(&topic, 0, 0, "never");
    other.producer.abort_transaction(LIMIT).unwrap();
    cluster.own().kill();
    cluster.own().start_again();
    assert_eq!(cluster.values(&topic, 0, "read_committed"), [""; 0]);
    sender.hand_over(&topic, 0, 1, "after the kill");
    sender.producer.flush(LIMIT).unwrap();
    sender.producer.commit_transaction(LIMIT).unwrap();
    let seen = cluster.values(&topic, 0, "read_committed");
    assert_eq!(seen, ["before the kill", "after the kill"]);
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    let told = cluster.consumer(&group, &[]).committed_offsets(asked, LIMIT).unwrap();
    assert_eq!(told.elements()[0].offset(), Offset::Offset(1));
    // A zombie from before the restart is a zombie after it.
    let _successor = cluster.transactional(&id, &[]);
    sender.producer.begin_transaction().unwrap();
    sender.hand_over(&topic, 0, 2, "zombie");
    assert!(sender.producer.commit_transaction(LIMIT).is_err());
    assert_eq!(cluster.values(&topic, 0, "read_committed").len(), 2);
}

#[test]
fn embedded_a_folder_or_a_port_that_is_taken_is_named_with_a_remedy() {
    let mut cluster = Cluster::embedded();
    let data = cluster.own().data.path().to_owned();
    let say = |data: &std::path::Path, port: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_stormproof"))
            .args(["broker", "--port", port, "--data"])
            .arg(data)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = say(&data, "0");
    assert!(said.contains("another broker uses this folder") && said.contains("--data"), "{said}");
    let port = cluster.brokers.rsplit_once(':').unwrap().1.to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let said = say(elsewhere.path(), &port);
    assert!(said.contains("cannot listen") && said.contains("--port"), "{said}");
}
