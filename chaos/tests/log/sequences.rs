//! Idempotent producers: nothing twice, nothing after a gap.

use stormproof_chaos::log::{Isolation, LogError, Producer, ProducerEpoch};

use crate::support::{Batch, MemoryLog, log_with, partition, restart, values};

fn send(log: &mut MemoryLog, producer: Producer, sequence: i32) -> Result<i64, LogError> {
    let at = partition(log, 0);
    let batch = Batch::of(&["a", "b"]).from(producer, sequence).bytes();
    log.append(at, &batch, 0).map(|appended| appended.base_offset)
}

#[test]
fn a_batch_sent_again_is_answered_with_its_first_offset_even_after_a_restart() {
    let mut log = log_with(1);
    let producer = log.new_producer().unwrap();
    for i in 0..5 {
        assert_eq!(send(&mut log, producer, i * 2).unwrap(), i64::from(i) * 2);
    }
    let mut log = restart(log);
    for i in 0..5 {
        assert_eq!(send(&mut log, producer, i * 2).unwrap(), i64::from(i) * 2);
    }
    let at = partition(&log, 0);
    assert_eq!(values(&log, at, 0, Isolation::ReadUncommitted).unwrap().len(), 10);
}

#[test]
fn a_gap_is_refused_and_so_is_what_is_older_than_the_last_five() {
    let mut log = log_with(1);
    let producer = log.new_producer().unwrap();
    send(&mut log, producer, 0).unwrap();
    let error = send(&mut log, producer, 4).unwrap_err();
    assert_eq!(error.code(), 45);
    assert!(matches!(error, LogError::OutOfOrderSequence { found: 4, expected: 2 }));
    for i in 1..6 {
        send(&mut log, producer, i * 2).unwrap();
    }
    assert_eq!(send(&mut log, producer, 0).unwrap_err().code(), 45);
    assert_eq!(send(&mut log, producer, 2).unwrap(), 2);
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_one_begins_at_zero() {
    let mut log = log_with(1);
    let producer = log.new_producer().unwrap();
    let next = Producer { epoch: ProducerEpoch(1), ..producer };
    send(&mut log, producer, 0).unwrap();
    assert_eq!(send(&mut log, next, 2).unwrap_err().code(), 45);
    send(&mut log, next, 0).unwrap();
    assert_eq!(send(&mut log, producer, 2).unwrap_err().code(), 47);
}

#[test]
fn sequences_wrap_around() {
    let mut log = log_with(1);
    let producer = log.new_producer().unwrap();
    assert_eq!(send(&mut log, producer, i32::MAX).unwrap(), 0);
    // The batch took the largest and 0; the next is 1.
    assert_eq!(send(&mut log, producer, 2).unwrap_err().code(), 45);
    assert_eq!(send(&mut log, producer, 1).unwrap(), 2);
    assert_eq!(send(&mut log, producer, i32::MAX).unwrap(), 0);
}

#[test]
fn silent_producers_are_forgotten_after_a_day() {
    let mut log = log_with(1);
    let producer = log.new_producer().unwrap();
    send(&mut log, producer, 0).unwrap();
    log.forget_silent_producers(86_400_000).unwrap();
    assert_eq!(send(&mut log, producer, 8).unwrap_err().code(), 45);
    log.forget_silent_producers(86_400_001).unwrap();
    assert!(send(&mut log, producer, 8).is_ok());
}
