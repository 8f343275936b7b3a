//! The records inside an uncompressed batch, walked without copying.

use super::batch::{BatchHeader, HEADER_BYTES};
use super::error::{LogError, Result};

/// A record's place in time and in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    timestamp_delta_ms: i64,
    offset_delta: i64,
}

/// Checks that `bytes` are the records that the header announces, to the last byte.
pub(super) fn check_all(header: &BatchHeader, bytes: &[u8]) -> Result<()> {
    let invalid = |what: String| Err(LogError::InvalidRecord(what));
    let mut rest = bytes;
    let mut latest_ms = i64::MIN;
    for expected in 0..i64::from(header.records) {
        let Some(place) = next(&mut rest) else {
            return invalid(format!("record {expected} of {} is cut", header.records));
        };
        if place.offset_delta != expected {
            return invalid(format!("record {expected} says it is {}", place.offset_delta));
        }
        latest_ms =
            latest_ms.max(header.base_timestamp_ms.saturating_add(place.timestamp_delta_ms));
    }
    if !rest.is_empty() {
        return invalid(format!("{} bytes after the last record", rest.len()));
    }
    if latest_ms != header.max_timestamp_ms {
        let claimed = header.max_timestamp_ms;
        return invalid(format!("the latest record is of {latest_ms} ms, not of {claimed}"));
    }
    Ok(())
}

/// Offset and time of the first record of `batch` that is not older than `timestamp_ms`.
///
/// Compressed records cannot be looked into: their batch's first offset and time stand for them,
/// so that a reader gets all it asked for, and perhaps a few earlier ones.
pub(super) fn first_since(
    header: &BatchHeader,
    batch: &[u8],
    timestamp_ms: i64,
) -> Option<(i64, i64)> {
    if header.is_compressed() {
        return Some((header.base_offset, header.base_timestamp_ms));
    }
    let mut rest = &batch[HEADER_BYTES..];
    while let Some(place) = next(&mut rest) {
        let at_ms = header.base_timestamp_ms.saturating_add(place.timestamp_delta_ms);
        if at_ms >= timestamp_ms {
            return Some((header.base_offset + place.offset_delta, at_ms));
        }
    }
    None
}

/// Takes one whole record off the front.
fn next(rest: &mut &[u8]) -> Option<Place> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let mut record = rest.get(..length)?;
    *rest = &rest[length..];
    skip(&mut record, 1)?;
    let timestamp_delta_ms = varint(&mut record)?;
    let offset_delta = varint(&mut record)?;
    skip_bytes(&mut record)?;
    skip_bytes(&mut record)?;
    for _ in 0..varint(&mut record)? {
        let key_bytes = usize::try_from(varint(&mut record)?).ok()?;
        skip(&mut record, key_bytes)?;
        skip_bytes(&mut record)?;
    }
    record.is_empty().then_some(Place { timestamp_delta_ms, offset_delta })
}

fn skip(rest: &mut &[u8], bytes: usize) -> Option<()> {
    *rest = rest.get(bytes..)?;
    Some(())
}

/// Skips bytes that carry their length; -1 is null.
fn skip_bytes(rest: &mut &[u8]) -> Option<()> {
    match varint(rest)? {
        -1 => Some(()),
        length => skip(rest, usize::try_from(length).ok()?),
    }
}

/// A zigzag number of at most ten bytes.
fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for (place, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *rest = &rest[place + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}
