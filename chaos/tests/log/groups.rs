//! Committed offsets, and topics that come and go.

use stormproof_chaos::log::{Committed, LogError, Offsets, TopicSettings};

use crate::support::{Batch, log_with, partition, restart};

fn offsets(topic: &str, partition: u32, offset: i64) -> Offsets {
    let committed = Committed { offset, metadata: "m".to_owned() };
    Offsets::from([(topic.to_owned(), [(partition, committed)].into())])
}

#[test]
fn offsets_survive_a_restart_and_end_with_their_group_or_topic() {
    let mut log = log_with(2);
    log.commit_offsets("g", offsets("t", 0, 5)).unwrap();
    log.commit_offsets("g", offsets("t", 1, 6)).unwrap();
    log.commit_offsets("g", offsets("t", 0, 7)).unwrap();
    log.commit_offsets("h", offsets("t", 0, 8)).unwrap();
    let mut log = restart(log);
    let offset = |log: &crate::support::MemoryLog, group, partition| {
        log.committed(group, "t", partition, true).unwrap().map(|found| found.offset)
    };
    assert_eq!([offset(&log, "g", 0), offset(&log, "g", 1)], [Some(7), Some(6)]);
    assert_eq!(log.groups().collect::<Vec<_>>(), ["g", "h"]);
    log.delete_group("g").unwrap();
    assert!(matches!(log.delete_group("g"), Err(LogError::GroupIdNotFound)));
    assert_eq!([offset(&log, "g", 0), offset(&log, "h", 0)], [None, Some(8)]);
    log.delete_topic("t").unwrap();
    log.create_topic("t", 1, TopicSettings::default()).unwrap();
    assert_eq!(offset(&restart(log), "h", 0), None);
}

#[test]
fn a_topic_made_anew_is_empty() {
    let mut log = log_with(1);
    let old = partition(&log, 0);
    log.append(old, &Batch::of(&["a"]).bytes(), 0).unwrap();
    log.delete_topic("t").unwrap();
    assert_eq!(log.delete_topic("t").unwrap_err().code(), 3);
    log.create_topic("t", 1, TopicSettings::default()).unwrap();
    let new = partition(&log, 0);
    assert_ne!(old, new);
    assert_eq!(log.bounds(new).unwrap().high_watermark, 0);
    assert_eq!(log.append(old, &Batch::of(&["b"]).bytes(), 0).unwrap_err().code(), 3);
}

#[test]
fn topics_that_cannot_be_are_refused_by_name() {
    let mut log = log_with(1);
    let mut create = |name: &str, partitions| {
        let made = log.create_topic(name, partitions, TopicSettings::default());
        made.map_or_else(|error| error.code(), |_| 0)
    };
    assert_eq!(create("t", 1), 36);
    assert_eq!([create("", 1), create("..", 1), create("a b", 1)], [17; 3]);
    assert_eq!([create("a", 0), create("a", 100_001)], [37; 2]);
    assert_eq!(create("a", 2_000), 0);
    assert_eq!(log.add_partitions("a", 2_000).unwrap_err().code(), 37);
    log.add_partitions("a", 2_001).unwrap();
    assert_eq!(restart(log).topic("a").unwrap().partitions, 2_001);
}

#[test]
fn settings_are_read_and_told_and_unknown_ones_refused() {
    let settings = TopicSettings::parse([("retention.ms", "5"), ("cleanup.policy", "delete")]);
    let settings = settings.unwrap();
    assert_eq!(settings.retention_ms, Some(5));
    let pairs = settings.pairs();
    let told = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(TopicSettings::parse(told).unwrap(), settings);
    for bad in [("cleanup.policy", "compact"), ("retention.ms", "soon"), ("color", "red")] {
        let error = TopicSettings::parse([bad]).unwrap_err();
        assert!(error.to_string().contains(bad.0), "{error}");
    }
}
