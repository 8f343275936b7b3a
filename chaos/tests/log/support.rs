//! Batches as a producer would send them, and a log to send them to.

use stormproof_chaos::log::{
    Isolation, Log, LogConfig, MemoryStorage, Producer, Result, TopicPartition, TopicSettings,
};

/// A batch under construction.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) producer: Option<Producer>,
    pub(crate) sequence: i32,
    pub(crate) is_transactional: bool,
    pub(crate) base_timestamp_ms: i64,
    pub(crate) values: Vec<Vec<u8>>,
}

impl Batch {
    pub(crate) fn of(values: &[&str]) -> Self {
        Self {
            producer: None,
            sequence: -1,
            is_transactional: false,
            base_timestamp_ms: 1_000,
            values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        }
    }

    pub(crate) fn from(mut self, producer: Producer, sequence: i32) -> Self {
        (self.producer, self.sequence) = (Some(producer), sequence);
        self
    }

    pub(crate) fn transactional(mut self) -> Self {
        self.is_transactional = true;
        self
    }

    pub(crate) fn at_ms(mut self, base_timestamp_ms: i64) -> Self {
        self.base_timestamp_ms = base_timestamp_ms;
        self
    }

    /// The batch's bytes; its records are a millisecond apart.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.values.len() as i32;
        let mut tail = Vec::new();
        let attributes: i16 = if self.is_transactional { 0x10 } else { 0 };
        tail.extend_from_slice(&attributes.to_be_bytes());
        tail.extend_from_slice(&(count - 1).to_be_bytes());
        tail.extend_from_slice(&self.base_timestamp_ms.to_be_bytes());
        let max_ms = self.base_timestamp_ms + i64::from(count - 1);
        tail.extend_from_slice(&max_ms.to_be_bytes());
        let (id, epoch) = self.producer.map_or((-1, -1), |p| (p.id.0, p.epoch.0));
        tail.extend_from_slice(&id.to_be_bytes());
        tail.extend_from_slice(&epoch.to_be_bytes());
        tail.extend_from_slice(&self.sequence.to_be_bytes());
        tail.extend_from_slice(&count.to_be_bytes());
        for (i, value) in self.values.iter().enumerate() {
            let mut record = vec![0];
            varint(&mut record, i as i64);
            varint(&mut record, i as i64);
            varint(&mut record, -1);
            varint(&mut record, value.len() as i64);
            record.extend_from_slice(value);
            varint(&mut record, 0);
            varint(&mut tail, record.len() as i64);
            tail.extend_from_slice(&record);
        }
        seal(&tail)
    }
}

/// Puts length and checksum before what follows them.
pub(crate) fn seal(tail: &[u8]) -> Vec<u8> {
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend_from_slice(&((tail.len() + 9) as i32).to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&crc32c::crc32c(tail).to_be_bytes());
    batch.extend_from_slice(tail);
    batch
}

fn varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

pub(crate) type MemoryLog = Log<MemoryStorage>;

/// A log with one topic `t`.
pub(crate) fn log_with(partitions: u32) -> MemoryLog {
    let (mut log, _) = Log::open(MemoryStorage::default(), LogConfig::default()).unwrap();
    log.create_topic("t", partitions, TopicSettings::default()).unwrap();
    log
}

pub(crate) fn partition(log: &MemoryLog, index: i32) -> TopicPartition {
    log.find("t", index).unwrap()
}

/// Closes and opens again.
pub(crate) fn restart(log: MemoryLog) -> MemoryLog {
    let (log, recovery) = Log::open(log.into_storage(), LogConfig::default()).unwrap();
    assert_eq!(recovery.torn_bytes, 0);
    log
}

/// Values with their offsets, as a client sees them: markers and aborted records left out.
pub(crate) fn values(
    log: &MemoryLog,
    at: TopicPartition,
    from: i64,
    isolation: Isolation,
) -> Result<Vec<(i64, String)>> {
    let found = log.read(at, from, usize::MAX, true, isolation)?;
    let mut bytes = Vec::new();
    log.load(&found, &mut bytes)?;
    assert_eq!(bytes.len(), found.bytes);
    let mut aborted = found.aborted.clone();
    let mut skipped = std::collections::BTreeSet::new();
    let mut seen = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let header = stormproof_chaos::log::BatchHeader::read(rest).unwrap();
        let (batch, after) = rest.split_at(header.bytes);
        rest = after;
        let producer = header.producer.map(|producer| producer.id);
        aborted.retain(|aborted| {
            let begins = aborted.first_offset <= header.base_offset;
            if begins {
                skipped.insert(aborted.producer);
            }
            !begins
        });
        if header.is_control() {
            producer.map(|id| skipped.remove(&id));
            continue;
        }
        if header.is_transactional() && producer.is_some_and(|id| skipped.contains(&id)) {
            continue;
        }
        seen.extend(decode(&header, batch).into_iter().filter(|(offset, _)| *offset >= from));
    }
    Ok(seen)
}

fn decode(header: &stormproof_chaos::log::BatchHeader, batch: &[u8]) -> Vec<(i64, String)> {
    let mut rest = &batch[stormproof_chaos::log::HEADER_BYTES..];
    let mut all = Vec::new();
    for i in 0..i64::from(header.records) {
        let length = read_varint(&mut rest) as usize;
        let (mut record, after) = rest.split_at(length);
        rest = after;
        record = &record[1..];
        read_varint(&mut record);
        assert_eq!(read_varint(&mut record), i);
        assert_eq!(read_varint(&mut record), -1);
        let value_bytes = read_varint(&mut record) as usize;
        let value = String::from_utf8(record[..value_bytes].to_vec()).unwrap();
        all.push((header.base_offset + i, value));
    }
    all
}

fn read_varint(rest: &mut &[u8]) -> i64 {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let byte = rest[0];
        *rest = &rest[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (value >> 1) as i64 ^ -((value & 1) as i64);
        }
        shift += 7;
    }
}
