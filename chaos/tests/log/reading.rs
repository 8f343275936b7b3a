//! Bounds, limits, times, truncation, retention.

use stormproof_chaos::log::{
    Committed, Isolation, Log, LogConfig, LogError, MemoryStorage, OffsetAt, Offsets, TopicSettings,
};

use crate::support::{Batch, MemoryLog, log_with, partition, restart, values};

const ALL: Isolation = Isolation::ReadUncommitted;

fn ten_batches_of_two() -> MemoryLog {
    let mut log = log_with(1);
    let at = partition(&log, 0);
    for i in 0..10 {
        let batch = Batch::of(&["a", "b"]).at_ms(1_000 + i * 10);
        log.append(at, &batch.bytes(), 0).unwrap();
    }
    log
}

#[test]
fn offsets_outside_are_out_of_range_with_both_bounds() {
    let mut log = ten_batches_of_two();
    let at = partition(&log, 0);
    assert_eq!(log.delete_records(at, Some(5)).unwrap(), 5);
    for offset in [-1, 4, 21] {
        match log.read(at, offset, 1, true, ALL) {
            Err(LogError::OffsetOutOfRange { start: 5, end: 20, .. }) => {}
            other => panic!("{offset}: {other:?}"),
        }
    }
    assert_eq!(log.read(at, 20, 1, true, ALL).unwrap().bytes, 0);
}

#[test]
fn a_limit_on_bytes_is_kept_but_one_batch_always_comes() {
    let log = ten_batches_of_two();
    let at = partition(&log, 0);
    let one = log.read(at, 0, 1, true, ALL).unwrap().bytes;
    assert!(one > 1, "a batch comes, however little was asked for");
    assert_eq!(log.read(at, 0, 1, false, ALL).unwrap().bytes, 0);
    assert_eq!(log.read(at, 0, one * 3 + 1, true, ALL).unwrap().bytes, one * 3);
    assert_eq!(log.read(at, 3, one * 3, true, ALL).unwrap().bytes, one * 3);
}

#[test]
fn deleted_records_are_gone_and_stay_so() {
    let mut log = ten_batches_of_two();
    let at = partition(&log, 0);
    assert_eq!(log.delete_records(at, Some(5)).unwrap(), 5);
    assert_eq!(log.delete_records(at, Some(3)).unwrap(), 5);
    assert_eq!(log.delete_records(at, Some(21)).unwrap_err().code(), 1);
    let mut log = restart(log);
    let left = values(&log, at, 5, ALL).unwrap();
    assert_eq!((left.len(), left[0].0), (15, 5));
    assert_eq!(log.delete_records(at, None).unwrap(), 20);
    assert_eq!(values(&restart(log), at, 20, ALL).unwrap(), []);
}

#[test]
fn offsets_are_found_by_time() {
    let mut log = ten_batches_of_two();
    let at = partition(&log, 0);
    let find = |log: &MemoryLog, when| log.offset_at(at, when, ALL).unwrap();
    assert_eq!(find(&log, OffsetAt::Earliest), Some((0, None)));
    assert_eq!(find(&log, OffsetAt::Latest), Some((20, None)));
    assert_eq!(find(&log, OffsetAt::Since(0)), Some((0, Some(1_000))));
    assert_eq!(find(&log, OffsetAt::Since(1_011)), Some((3, Some(1_011))));
    assert_eq!(find(&log, OffsetAt::Since(1_012)), Some((4, Some(1_020))));
    assert_eq!(find(&log, OffsetAt::Since(9_999)), None);
    assert_eq!(find(&log, OffsetAt::MaxTimestamp), Some((19, Some(1_091))));
    log.append(at, &Batch::of(&["late"]).at_ms(1_005).bytes(), 0).unwrap();
    assert_eq!(find(&log, OffsetAt::Since(1_092)), None);
    assert_eq!(find(&log, OffsetAt::MaxTimestamp), Some((19, Some(1_091))));
}

#[test]
fn retention_drops_whole_batches_from_the_front() {
    let mut log = log_with(1);
    let settings = TopicSettings { retention_ms: Some(50), ..TopicSettings::default() };
    log.create_topic("old", 1, settings).unwrap();
    let settings = TopicSettings { retention_bytes: Some(200), ..TopicSettings::default() };
    log.create_topic("small", 1, settings).unwrap();
    let (old, small) = (log.find("old", 0).unwrap(), log.find("small", 0).unwrap());
    for i in 0..10 {
        let batch = Batch::of(&["a", "b"]).at_ms(i * 10).bytes();
        log.append(old, &batch, 0).unwrap();
        log.append(small, &batch, 0).unwrap();
    }
    assert_eq!(log.tick(90).unwrap(), [old, small]);
    assert_eq!(log.tick(90).unwrap(), []);
    // 90 - 50 = 40: the batch of 30 and 31 is too old.
    assert_eq!(log.bounds(old).unwrap().start_offset, 8);
    let kept = log.read(small, log.bounds(small).unwrap().start_offset, 1_000, true, ALL);
    assert!((100..=200).contains(&kept.unwrap().bytes));
}

#[test]
fn segments_without_live_batches_are_removed_and_nothing_else_is() {
    let config = LogConfig { segment_bytes: 4_000 };
    let (mut log, _) = Log::open(MemoryStorage::default(), config).unwrap();
    log.create_topic("t", 2, TopicSettings::default()).unwrap();
    let (kept, dropped) = (partition(&log, 0), partition(&log, 1));
    log.append(kept, &Batch::of(&["first"]).bytes(), 0).unwrap();
    for _ in 0..200 {
        log.append(dropped, &Batch::of(&["x"]).bytes(), 0).unwrap();
    }
    log.append(kept, &Batch::of(&["last"]).bytes(), 0).unwrap();
    log.delete_records(dropped, None).unwrap();
    let storage = log.into_storage();
    assert!(storage.segments.len() <= 3, "{:?}", storage.segments.keys());
    let (mut log, _) = Log::open(storage, config).unwrap();
    let left = values(&log, kept, 0, ALL).unwrap();
    assert_eq!(left, [(0, "first".into()), (1, "last".into())]);
    assert_eq!(log.bounds(dropped).unwrap().start_offset, 200);
    let appended = log.append(dropped, &Batch::of(&["y"]).bytes(), 0).unwrap();
    assert_eq!(appended.base_offset, 200);
}

#[test]
fn segments_of_changes_alone_are_removed_when_the_next_one_begins() {
    let config = LogConfig { segment_bytes: 2_000 };
    let (mut log, _) = Log::open(MemoryStorage::default(), config).unwrap();
    for offset in 0..500 {
        let committed = Committed { offset, metadata: String::new() };
        let offsets = Offsets::from([("t".to_owned(), [(0, committed)].into())]);
        log.commit_offsets("g", offsets).unwrap();
    }
    assert_eq!(log.storage().segments.len(), 1);
    let (log, _) = Log::open(log.into_storage(), config).unwrap();
    assert_eq!(log.committed("g", "t", 0, true).unwrap().unwrap().offset, 499);
}
