//! What is a batch, and what is not.

use stormproof_chaos::log::{
    Isolation, LogError, Outcome, Producer, ProducerEpoch, ProducerId, control_batch, validate,
};

use crate::support::{Batch, log_with, partition, seal, values};

#[test]
fn a_batch_gets_the_next_offsets_and_is_read_back() {
    let mut log = log_with(2);
    let at = partition(&log, 1);
    for (base, batch) in [(0, Batch::of(&["a", "b"])), (2, Batch::of(&["c"]))] {
        let appended = log.append(at, &batch.bytes(), 5).unwrap();
        assert_eq!((appended.base_offset, appended.is_duplicate), (base, false));
    }
    let all = values(&log, at, 0, Isolation::ReadUncommitted).unwrap();
    assert_eq!(all, [(0, "a".into()), (1, "b".into()), (2, "c".into())]);
    let middle = values(&log, at, 1, Isolation::ReadUncommitted).unwrap();
    assert_eq!(middle, [(1, "b".into()), (2, "c".into())]);
    let other = partition(&log, 0);
    assert_eq!(values(&log, other, 0, Isolation::ReadUncommitted).unwrap(), []);
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let good = Batch::of(&["hello", "world"]).bytes();
    assert!(validate(&good).is_ok());
    for at in 0..good.len() {
        // Base offset and leader epoch are the broker's to set.
        if at < 8 || (12..16).contains(&at) {
            continue;
        }
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(validate(&bad).is_err(), "bit 0 of byte {at}");
    }
    for cut in 0..good.len() {
        assert!(validate(&good[..cut]).is_err(), "cut at {cut}");
    }
}

/// A batch whose checksum is right and whose content is changed by `change`.
fn resealed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut tail = Batch::of(&["hello", "world"]).bytes()[21..].to_vec();
    change(&mut tail);
    seal(&tail)
}

#[test]
fn whole_batches_that_lie_are_refused_by_name() {
    let refused = |batch: &[u8]| match validate(batch) {
        Err(LogError::InvalidRecord(what)) => what,
        other => panic!("{other:?}"),
    };
    assert!(refused(&resealed(|tail| tail[39] = 3)).contains("do not agree"));
    assert!(refused(&resealed(|tail| tail[1] = 0x20)).contains("control"));
    assert!(refused(&resealed(|tail| tail[1] = 0x07)).contains("compression"));
    assert!(refused(&resealed(|tail| tail[1] = 0x08)).contains("time"));
    assert!(refused(&resealed(|tail| tail[1] = 0x10)).contains("without a producer id"));
    assert!(refused(&resealed(|tail| tail.push(0))).contains("after the last record"));
    assert!(refused(&resealed(|tail| tail[43] = 1)).contains("says it is"));
    assert!(refused(&resealed(|tail| tail[21] ^= 1)).contains("latest record"));
    let two = [Batch::of(&["a"]).bytes(), Batch::of(&["b"]).bytes()].concat();
    assert!(refused(&two).contains("more than one batch"));
}

#[test]
fn an_old_format_is_named() {
    let mut old = Batch::of(&["a"]).bytes();
    old[16] = 1;
    assert!(matches!(validate(&old), Err(LogError::UnsupportedFormat(1))));
}

#[test]
fn a_compressed_batch_is_taken_as_it_is() {
    let opaque = resealed(|tail| {
        tail[1] = 1;
        tail.truncate(40);
        tail.extend_from_slice(b"whatever gzip makes of it");
    });
    assert!(validate(&opaque).unwrap().is_compressed());
}

#[test]
fn a_control_batch_is_well_formed() {
    let producer = Producer { id: ProducerId(7), epoch: ProducerEpoch(3) };
    let mut marker = control_batch(producer, Outcome::Commit, 41, 9);
    let header = stormproof_chaos::log::BatchHeader::read(&marker).unwrap();
    assert!(header.is_control() && header.is_transactional());
    assert_eq!((header.base_offset, header.records, header.bytes), (41, 1, marker.len()));
    // As records it is valid: only that a producer sent it would be wrong.
    marker[22] = 0x10;
    let checksum = crc32c::crc32c(&marker[21..]).to_be_bytes();
    marker[17..21].copy_from_slice(&checksum);
    marker[53..57].copy_from_slice(&0_i32.to_be_bytes());
    let checksum = crc32c::crc32c(&marker[21..]).to_be_bytes();
    marker[17..21].copy_from_slice(&checksum);
    assert!(validate(&marker).is_ok());
}

#[test]
fn a_batch_beyond_the_limit_is_refused_with_the_limit() {
    let mut log = log_with(1);
    let at = partition(&log, 0);
    let large = "x".repeat(1_048_588);
    let error = log.append(at, &Batch::of(&[&large]).bytes(), 0).unwrap_err();
    assert_eq!(error.code(), 10);
    assert!(error.to_string().contains("1048588"), "{error}");
    assert!(log.append(at, &Batch::of(&[&large[..1_000_000]]).bytes(), 0).is_ok());
}
