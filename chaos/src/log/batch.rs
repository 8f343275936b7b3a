//! Record batches (Kafka's format, magic 2): their header, their validation, control batches.
//!
//! Invariant: [`validate`] lets through only what any client can read back. Compressed records are
//! opaque: their checksum is verified, their inside is not.

use super::error::{LogError, Result};
use super::ids::{Outcome, Producer, ProducerEpoch, ProducerId};
use super::record;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes of a control batch.
pub const CONTROL_BYTES: usize = 78;
/// Bytes that the length field does not count.
const UNCOUNTED_BYTES: usize = 12;
const CHECKSUM_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
/// `none`, `gzip`, `snappy`, `lz4`, `zstd`.
const COMPRESSIONS: i16 = 5;

/// What a batch says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of its first record.
    pub base_offset: i64,
    /// Its size, all included.
    pub bytes: usize,
    /// Compression, transactional, control.
    pub attributes: i16,
    /// The last record's offset, relative to the first one's.
    pub last_offset_delta: i32,
    /// What the records' times are relative to.
    pub base_timestamp_ms: i64,
    /// The latest record's time.
    pub max_timestamp_ms: i64,
    /// The idempotent producer that sent it.
    pub producer: Option<Producer>,
    /// The sequence of its first record.
    pub base_sequence: i32,
    /// How many records.
    pub records: i32,
}

impl BatchHeader {
    /// Reads the header; checks nothing but that it is one.
    ///
    /// # Errors
    /// When the bytes are too few, or of another format.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < CHECKSUM_AT {
            return Err(LogError::CorruptBatch(format!("{} bytes are no batch", bytes.len())));
        }
        if bytes[16] != 2 {
            return Err(LogError::UnsupportedFormat(bytes[16] as i8));
        }
        let length = i32_at(bytes, 8);
        if bytes.len() < HEADER_BYTES || length < (HEADER_BYTES - UNCOUNTED_BYTES) as i32 {
            return Err(LogError::CorruptBatch(format!("a length of {length} bytes")));
        }
        let id = i64_at(bytes, 43);
        let epoch = ProducerEpoch(i16_at(bytes, 51));
        Ok(Self {
            base_offset: i64_at(bytes, 0),
            bytes: length as usize + UNCOUNTED_BYTES,
            attributes: i16_at(bytes, ATTRIBUTES_AT),
            last_offset_delta: i32_at(bytes, 23),
            base_timestamp_ms: i64_at(bytes, 27),
            max_timestamp_ms: i64_at(bytes, 35),
            producer: (id >= 0).then_some(Producer { id: ProducerId(id), epoch }),
            base_sequence: i32_at(bytes, 53),
            records: i32_at(bytes, 57),
        })
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it holds a marker instead of records.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether its records are compressed.
    pub fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }

    /// The offset of its last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }
}

/// Checks what a producer sent: exactly one batch, whole, countable.
///
/// # Errors
/// [`LogError::CorruptBatch`], [`LogError::UnsupportedFormat`] or [`LogError::InvalidRecord`].
pub fn validate(bytes: &[u8]) -> Result<BatchHeader> {
    let header = BatchHeader::read(bytes)?;
    let invalid = |what: &str| Err(LogError::InvalidRecord(what.to_owned()));
    if header.bytes > bytes.len() {
        let (claimed, sent) = (header.bytes, bytes.len());
        return Err(LogError::CorruptBatch(format!("{claimed} bytes claimed, {sent} sent")));
    }
    if header.bytes < bytes.len() {
        return invalid("more than one batch for one partition in one request");
    }
    let checksum = u32::from_be_bytes(bytes[CHECKSUM_AT..ATTRIBUTES_AT].try_into().expect("four"));
    if crc32c::crc32c(&bytes[ATTRIBUTES_AT..]) != checksum {
        return Err(LogError::CorruptBatch("the checksum does not match".to_owned()));
    }
    if header.is_control() {
        return invalid("a producer cannot write control batches");
    }
    if header.attributes & COMPRESSION_MASK >= COMPRESSIONS {
        return invalid("an unknown compression");
    }
    if header.attributes & LOG_APPEND_TIME != 0 {
        return invalid("a producer cannot say that its time is the log's");
    }
    if header.records <= 0 || header.last_offset_delta != header.records - 1 {
        return invalid("the number of records and the last offset do not agree");
    }
    if header.producer.is_some() && header.base_sequence < 0 {
        return invalid("a producer id without a sequence");
    }
    if header.is_transactional() && header.producer.is_none() {
        return invalid("a transactional batch without a producer id");
    }
    if !header.is_compressed() {
        record::check_all(&header, &bytes[HEADER_BYTES..])?;
    }
    Ok(header)
}

/// The marker that ends a transaction in one partition.
pub fn control_batch(
    producer: Producer,
    outcome: Outcome,
    offset: i64,
    now_ms: i64,
) -> [u8; CONTROL_BYTES] {
    let mut batch = [0; CONTROL_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&offset.to_be_bytes());
    put(&((CONTROL_BYTES - UNCOUNTED_BYTES) as i32).to_be_bytes());
    put(&0_i32.to_be_bytes()); // leader epoch
    put(&[2]);
    put(&0_u32.to_be_bytes()); // the checksum, below
    put(&(TRANSACTIONAL | CONTROL).to_be_bytes());
    put(&0_i32.to_be_bytes());
    put(&now_ms.to_be_bytes());
    put(&now_ms.to_be_bytes());
    put(&producer.id.0.to_be_bytes());
    put(&producer.epoch.0.to_be_bytes());
    put(&(-1_i32).to_be_bytes());
    put(&1_i32.to_be_bytes());
    // One record of 16 bytes: attributes, deltas, key (version, type), value (version,
    // coordinator epoch), no headers. Lengths are zigzag.
    put(&[32, 0, 0, 0, 8, 0, 0, 0, u8::from(outcome == Outcome::Commit), 12, 0, 0, 0, 0, 0, 0, 0]);
    let checksum = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CHECKSUM_AT..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
    batch
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
