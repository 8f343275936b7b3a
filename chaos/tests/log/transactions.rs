//! Transactions: all or nothing, fenced, timed.

use stormproof_chaos::log::{Committed, Isolation, LogError, Offsets, Outcome, Producer};

use crate::support::{Batch, MemoryLog, log_with, partition, restart, values};

const COMMITTED: Isolation = Isolation::ReadCommitted;
const ALL: Isolation = Isolation::ReadUncommitted;

fn begin(log: &mut MemoryLog, name: &str) -> Producer {
    log.take_transactional_id(name, 1_000, None, 0).unwrap().0
}

fn add(log: &mut MemoryLog, name: &str, producer: Producer, now_ms: i64) -> Result<(), LogError> {
    let all = (0..2).map(|index| partition(log, index)).collect();
    log.add_partitions_to_transaction(name, producer, all, now_ms)
}

fn write(log: &mut MemoryLog, producer: Producer, index: i32, seq: i32) -> Result<(), LogError> {
    let at = partition(log, index);
    let value = format!("{}.{}:{seq}", producer.id.0, producer.epoch.0);
    let batch = Batch::of(&[&value]).from(producer, seq).transactional().bytes();
    log.append(at, &batch, 0).map(drop)
}

fn count(log: &MemoryLog, index: i32, isolation: Isolation) -> usize {
    values(log, partition(log, index), 0, isolation).unwrap().len()
}

#[test]
fn a_commit_shows_everything_and_an_abort_nothing() {
    let mut log = log_with(2);
    let producer = begin(&mut log, "x");
    for (round, outcome) in [(0, Outcome::Commit), (1, Outcome::Abort), (2, Outcome::Commit)] {
        add(&mut log, "x", producer, 0).unwrap();
        write(&mut log, producer, 0, round).unwrap();
        write(&mut log, producer, 1, round).unwrap();
        let before = log.bounds(partition(&log, 0)).unwrap();
        assert_eq!(before.stable_offset + 1, before.high_watermark);
        let touched = log.end_transaction("x", producer, outcome, 0).unwrap();
        assert_eq!(touched.len(), 2);
        let after = log.bounds(partition(&log, 0)).unwrap();
        assert_eq!(after.stable_offset, after.high_watermark);
    }
    let log = restart(log);
    assert_eq!((count(&log, 0, COMMITTED), count(&log, 1, COMMITTED)), (2, 2));
    assert_eq!((count(&log, 0, ALL), count(&log, 1, ALL)), (3, 3));
}

#[test]
fn an_open_transaction_hides_what_others_write_after_it() {
    let mut log = log_with(2);
    let producer = begin(&mut log, "x");
    add(&mut log, "x", producer, 0).unwrap();
    write(&mut log, producer, 0, 0).unwrap();
    let at = partition(&log, 0);
    log.append(at, &Batch::of(&["other"]).bytes(), 0).unwrap();
    let mut log = restart(log);
    assert_eq!((count(&log, 0, COMMITTED), count(&log, 0, ALL)), (0, 2));
    log.end_transaction("x", producer, Outcome::Abort, 0).unwrap();
    let seen = values(&log, at, 0, COMMITTED).unwrap();
    assert_eq!(seen, [(1, "other".into())]);
}

#[test]
fn aborted_transactions_are_told_in_the_order_of_their_first_offsets() {
    let mut log = log_with(2);
    let [one, two] = ["x", "y"].map(|name| (name, begin(&mut log, name)));
    for (name, producer) in [one, two] {
        add(&mut log, name, producer, 0).unwrap();
        write(&mut log, producer, 0, 0).unwrap();
    }
    for (name, producer) in [two, one] {
        log.end_transaction(name, producer, Outcome::Abort, 0).unwrap();
    }
    let found = log.read(partition(&log, 0), 0, 1_000, true, COMMITTED).unwrap();
    let told: Vec<_> = found.aborted.iter().map(|one| (one.producer, one.first_offset)).collect();
    assert_eq!(told, [(one.1.id, 0), (two.1.id, 1)]);
}

#[test]
fn a_zombie_can_neither_write_nor_end_nor_begin() {
    let mut log = log_with(2);
    let zombie = begin(&mut log, "x");
    add(&mut log, "x", zombie, 0).unwrap();
    write(&mut log, zombie, 0, 0).unwrap();
    let producer = begin(&mut log, "x");
    assert!(producer.id == zombie.id && producer.epoch > zombie.epoch);
    assert_eq!(write(&mut log, zombie, 0, 1).unwrap_err().code(), 47);
    let ended = log.end_transaction("x", zombie, Outcome::Commit, 0);
    assert_eq!(ended.unwrap_err().code(), 90);
    assert_eq!(add(&mut log, "x", zombie, 0).unwrap_err().code(), 90);
    let claimed = log.take_transactional_id("x", 1_000, Some(zombie), 0);
    assert_eq!(claimed.unwrap_err().code(), 90);
    assert_eq!((count(&log, 0, COMMITTED), count(&log, 0, ALL)), (0, 1));
    assert_eq!(log.bounds(partition(&log, 0)).unwrap().stable_offset, 2);
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut log = log_with(2);
    let producer = begin(&mut log, "x");
    add(&mut log, "x", producer, 100).unwrap();
    write(&mut log, producer, 0, 0).unwrap();
    assert!(log.tick(1_100).unwrap().is_empty());
    let mut log = restart(log);
    assert_eq!(log.tick(1_101).unwrap().len(), 2);
    assert!(log.tick(9_999).unwrap().is_empty());
    assert_eq!(log.end_transaction("x", producer, Outcome::Commit, 0).unwrap_err().code(), 90);
    assert_eq!(count(&log, 0, COMMITTED), 0);
    assert_eq!(log.bounds(partition(&log, 0)).unwrap().stable_offset, 2);
    let next = begin(&mut log, "x");
    add(&mut log, "x", next, 0).unwrap();
    write(&mut log, next, 0, 0).unwrap();
    log.end_transaction("x", next, Outcome::Commit, 0).unwrap();
    assert_eq!(count(&log, 0, COMMITTED), 1);
}

#[test]
fn ending_again_is_fine_and_ending_otherwise_is_not() {
    let mut log = log_with(2);
    let producer = begin(&mut log, "x");
    let nothing = log.end_transaction("x", producer, Outcome::Commit, 0);
    assert_eq!(nothing.unwrap_err().code(), 48);
    add(&mut log, "x", producer, 0).unwrap();
    log.end_transaction("x", producer, Outcome::Commit, 0).unwrap();
    let mut log = restart(log);
    assert_eq!(log.end_transaction("x", producer, Outcome::Commit, 0).unwrap(), []);
    let other = log.end_transaction("x", producer, Outcome::Abort, 0);
    assert_eq!(other.unwrap_err().code(), 48);
}

#[test]
fn writing_needs_an_open_transaction_with_the_partition() {
    let mut log = log_with(2);
    let producer = begin(&mut log, "x");
    assert_eq!(write(&mut log, producer, 0, 0).unwrap_err().code(), 48);
    let first = vec![partition(&log, 0)];
    log.add_partitions_to_transaction("x", producer, first, 0).unwrap();
    write(&mut log, producer, 0, 0).unwrap();
    assert_eq!(write(&mut log, producer, 1, 0).unwrap_err().code(), 48);
    let stranger = log.new_producer().unwrap();
    assert_eq!(write(&mut log, stranger, 0, 0).unwrap_err().code(), 49);
}

fn offset(offset: i64) -> Offsets {
    let committed = Committed { offset, metadata: String::new() };
    Offsets::from([("t".to_owned(), [(0, committed)].into())])
}

#[test]
fn offsets_of_a_transaction_are_committed_with_it_or_never() {
    let mut log = log_with(2);
    let producer = begin(&mut log, "x");
    let committed = |log: &MemoryLog| {
        log.committed("g", "t", 0, false).unwrap().map(|committed| committed.offset)
    };
    for (outcome, offered, expected) in
        [(Outcome::Abort, 5, None), (Outcome::Commit, 6, Some(6)), (Outcome::Abort, 7, Some(6))]
    {
        log.add_group_to_transaction("x", producer, "g", 0).unwrap();
        let before = committed(&log);
        log.commit_offsets_in_transaction("x", producer, "g", offset(offered)).unwrap();
        log = restart(log);
        assert_eq!(committed(&log), before);
        assert!(matches!(log.committed("g", "t", 0, true), Err(LogError::UnstableOffsetCommit)));
        log.end_transaction("x", producer, outcome, 0).unwrap();
        assert_eq!(committed(&log), expected);
        assert!(log.committed("g", "t", 0, true).is_ok());
    }
    let uninvited = log.commit_offsets_in_transaction("x", producer, "g", offset(1));
    assert_eq!(uninvited.unwrap_err().code(), 48);
}

#[test]
fn epochs_that_are_used_up_lead_to_a_new_producer_id() {
    let mut log = log_with(2);
    let first = begin(&mut log, "x");
    let mut last = first;
    for _ in 0..i32::from(i16::MAX) - 1 {
        last = begin(&mut log, "x");
    }
    assert_eq!((last.id, last.epoch.0), (first.id, i16::MAX - 1));
    let next = begin(&mut log, "x");
    assert!(next.id != first.id && next.epoch.0 == 0);
    assert_eq!(add(&mut log, "x", last, 0).unwrap_err().code(), 49);
}

#[test]
fn an_impossible_timeout_is_refused() {
    let mut log = log_with(1);
    for timeout_ms in [0, -1, 900_001] {
        let taken = log.take_transactional_id("x", timeout_ms, None, 0);
        assert_eq!(taken.unwrap_err().code(), 50);
    }
}

#[test]
fn a_deleted_topic_does_not_hold_up_a_transaction() {
    let mut log = log_with(2);
    let producer = begin(&mut log, "x");
    add(&mut log, "x", producer, 0).unwrap();
    write(&mut log, producer, 0, 0).unwrap();
    log.delete_topic("t").unwrap();
    assert_eq!(log.end_transaction("x", producer, Outcome::Commit, 0).unwrap(), []);
}
