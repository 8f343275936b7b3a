//! A look at a request's counts before its bytes become arrays.
//!
//! The codec reserves memory for as many elements as a request says that an array has. One that
//! says two billion would end the broker. So every request is decoded twice: the first time from
//! [`Doubting`] bytes, whose counts are never larger than what is left plus one. Invariants: a
//! request passes the first time only if each array has at most as many elements as bytes follow,
//! so the second time reserves no more than a fixed multiple of the request; numbers that are no
//! counts may be clamped the first time, and nobody looks at them then.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

/// Decodes a request whose counts may be lies.
pub(super) fn decode<T: Decodable>(body: &mut Bytes, version: i16) -> Result<T, String> {
    let mut doubting = Doubting { bytes: body.clone(), varint: 0, place: 0 };
    T::decode(&mut doubting, version).map_err(|error| error.to_string())?;
    T::decode(body, version).map_err(|error| error.to_string())
}

/// Bytes that believe no count.
struct Doubting {
    bytes: Bytes,
    /// The variable-length number that is being read, and how many of its bytes were.
    varint: u64,
    place: u32,
}

impl Doubting {
    /// No array, string or tag has more elements than there are bytes. One more is refused.
    fn limit(&self) -> usize {
        self.bytes.len() + 1
    }
}

impl Buf for Doubting {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    /// An array's count in the older form, or any other number of four bytes.
    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let value = self.bytes.try_get_i32()?;
        let limit = i32::try_from(self.limit()).unwrap_or(i32::MAX);
        Ok(value.min(limit))
    }

    /// A byte of a count in the newer form (plus one), or of a tag: nothing else is an unsigned
    /// byte.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        self.varint |= u64::from(byte & 0x7f) << (7 * self.place);
        self.place += 1;
        if byte < 0x80 || self.place == 5 {
            let (varint, limit) = (std::mem::take(&mut self.varint), self.limit() as u64);
            self.place = 0;
            if varint > limit + 1 {
                let available = self.bytes.len();
                return Err(TryGetError { requested: varint as usize, available });
            }
        }
        Ok(byte)
    }
}

impl ByteBuf for Doubting {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.bytes.split_to(size)
    }
}

#[cfg(test)]
#[path = "counts_tests.rs"]
mod tests;
