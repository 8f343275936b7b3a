//! Consumer groups: shared, rebalanced, deleted.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::executor::block_on;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{GroupId, JoinGroupRequest};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, LIMIT, eventually, options, unique};
use crate::raw::Connection;

fn member(cluster: &Cluster, group: &str, topic: &str) -> BaseConsumer {
    let settings = [
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "200"),
    ];
    let consumer = cluster.consumer(group, &settings);
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Polls members until `is_so`, adding what they see.
fn poll(
    members: &[&BaseConsumer],
    seen: &mut Vec<(i32, i64)>,
    mut is_so: impl FnMut(&[(i32, i64)]) -> bool,
) {
    let begun = Instant::now();
    while !is_so(seen) {
        assert!(begun.elapsed() < LIMIT, "{} seen", seen.len());
        for consumer in members {
            match consumer.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => seen.push((message.partition(), message.offset())),
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }
}

fn assigned(consumer: &BaseConsumer) -> BTreeSet<i32> {
    let assignment = consumer.assignment().unwrap();
    assignment.elements().iter().map(|element| element.partition()).collect()
}

/// Where the member goes on in the partitions that it owns.
fn positions(consumer: &BaseConsumer) -> Vec<i64> {
    let positions = consumer.position().unwrap();
    let next = |offset| if let Offset::Offset(next) = offset { next } else { -1 };
    positions.elements().iter().map(|element| next(element.offset())).collect()
}

#[test]
fn two_members_share_the_partitions_and_the_last_one_gets_all() {
    let cluster = Cluster::start();
    let topic = cluster.topic(6);
    let group = unique("group");
    let sender = cluster.producer(&[]);
    for partition in 0..6 {
        sender.send(&topic, partition, &["1", "2", "3"]);
    }
    let first = member(&cluster, &group, &topic);
    let second = member(&cluster, &group, &topic);
    let mut seen = Vec::new();
    poll(&[&first, &second], &mut seen, |seen| {
        let have_read = [&first, &second].iter().all(|member| positions(member) == [3; 3]);
        have_read && seen.iter().collect::<BTreeSet<_>>().len() == 18
    });
    assert!(assigned(&first).is_disjoint(&assigned(&second)));
    first.commit_consumer_state(CommitMode::Sync).unwrap();
    second.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(first);
    poll(&[&second], &mut seen, |_| assigned(&second).len() == 6);
    for partition in 0..6 {
        sender.send(&topic, partition, &["4"]);
    }
    let mut after = Vec::new();
    poll(&[&second], &mut after, |after| after.len() >= 6);
    after.sort_unstable();
    assert_eq!(after, (0..6).map(|partition| (partition, 3)).collect::<Vec<_>>());
}

/// By hand, for a client that is alive leaves by itself: this one says nothing more.
#[test]
fn a_member_that_falls_silent_loses_its_partitions() {
    let cluster = Cluster::start();
    let topic = cluster.topic(4);
    let group = unique("group");
    // Also makes the coordinator ready.
    poll(&[&member(&cluster, &group, &topic)], &mut Vec::new(), |_| true);
    let mut connection = Connection::open(&cluster.brokers);
    let protocol = JoinGroupRequestProtocol::default()
        .with_name("range".to_owned().into())
        .with_metadata(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(group.clone().into()))
        .with_session_timeout_ms(6_000)
        .with_rebalance_timeout_ms(120_000)
        .with_protocol_type("consumer".to_owned().into())
        .with_protocols(vec![protocol]);
    let mut begun = Instant::now();
    eventually("it is a member", || {
        begun = Instant::now();
        connection.ask(2, &join).error_code == 0
    });
    let other = member(&cluster, &group, &topic);
    poll(&[&other], &mut Vec::new(), |_| assigned(&other).len() == 4);
    assert!(begun.elapsed() >= Duration::from_secs(4), "its session was not over yet");
}

#[test]
fn offsets_are_kept_for_those_who_assign_themselves() {
    let cluster = Cluster::start();
    let topic = cluster.topic(2_000);
    let group = unique("group");
    let consumer = cluster.consumer(&group, &[]);
    let mut list = TopicPartitionList::new();
    for partition in 0..2_000 {
        let offset = Offset::Offset(i64::from(partition) + 1);
        list.add_partition_offset(&topic, partition, offset).unwrap();
    }
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let other = cluster.consumer(&group, &[]);
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(&topic, 0, 1_999);
    let told = other.committed_offsets(asked, LIMIT).unwrap();
    assert!(
        told.elements().iter().all(|element| {
            element.offset() == Offset::Offset(i64::from(element.partition()) + 1)
        })
    );
}

#[test]
fn a_group_is_listed_and_deleted_but_not_while_it_has_members() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let group = unique("group");
    let consumer = member(&cluster, &group, &topic);
    poll(&[&consumer], &mut Vec::new(), |_| assigned(&consumer).len() == 1);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(0)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let observer = cluster.consumer("observer", &[]);
    let listed = observer.fetch_group_list(Some(&group), LIMIT).unwrap();
    let found = &listed.groups()[0];
    assert_eq!((found.state(), found.members().len()), ("Stable", 1));
    let delete = || block_on(cluster.admin().delete_groups(&[&group], &options())).unwrap();
    assert!(delete()[0].is_err(), "it has a member");
    drop(consumer);
    eventually("the group is deleted", || delete()[0].is_ok());
    let other = cluster.consumer(&group, &[]);
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    let told = other.committed_offsets(asked, LIMIT).unwrap();
    assert_eq!(told.elements()[0].offset(), Offset::Invalid);
}
