//! One entry of a segment, and how it is told from a torn one.
//!
//! ```text
//! u32 LE  bytes that follow the checksum
//! u32 LE  CRC-32C of them
//! u8      kind: 1 a batch, 2 a change, 3 a snapshot
//! ...     1: u32 LE topic, u32 LE partition, i64 LE the log's time in milliseconds, the batch as
//!            the producer sent it with its base offset filled in
//!         2: u32 LE bytes of JSON, a `Change` as JSON, then its control batches
//!         3: the whole state as JSON
//! ```

/// Bytes before an entry's body: length, checksum, kind.
pub(super) const HEAD_BYTES: usize = 9;
/// Bytes in a batch's entry before the batch.
pub(super) const BATCH_AT_BYTES: usize = HEAD_BYTES + 16;
/// No entry is longer: what claims to be is torn.
pub(super) const LONGEST_BYTES: usize = 1 << 30;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Batch = 1,
    Change = 2,
    Snapshot = 3,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Batch),
            2 => Some(Self::Change),
            3 => Some(Self::Snapshot),
            _ => None,
        }
    }
}

/// The bytes that go before `parts` to make them an entry.
pub(super) fn head(kind: Kind, parts: &[&[u8]]) -> [u8; HEAD_BYTES] {
    let bytes: usize = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let start = crc32c::crc32c(&[kind as u8]);
    let checksum = parts.iter().fold(start, |crc, part| crc32c::crc32c_append(crc, part));
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&(bytes as u32).to_le_bytes());
    head[4..8].copy_from_slice(&checksum.to_le_bytes());
    head[8] = kind as u8;
    head
}

/// What stands at the beginning of some bytes.
pub(super) enum Found<'a> {
    /// An entry, its body, and the bytes it takes in all.
    Entry(Kind, &'a [u8], usize),
    /// The beginning of an entry of so many bytes, if it is one.
    Partial(usize),
    /// None, and the reason.
    Torn(&'static str),
}

/// Reads the entry at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Found<'_> {
    if bytes.len() < HEAD_BYTES {
        return Found::Partial(HEAD_BYTES);
    }
    let length = u32_at(bytes, 0) as usize;
    if length == 0 || length > LONGEST_BYTES {
        return Found::Torn("an impossible length");
    }
    let Some(content) = bytes.get(8..8 + length) else {
        return Found::Partial(8 + length);
    };
    if crc32c::crc32c(content) != u32_at(bytes, 4) {
        return Found::Torn("the checksum does not match");
    }
    match Kind::of(content[0]) {
        Some(kind) => Found::Entry(kind, &content[1..], 8 + length),
        None => Found::Torn("an unknown kind"),
    }
}

/// The little-endian number at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = head(Kind::Change, parts).to_vec();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    #[test]
    fn an_entry_is_read_back_whatever_its_parts() {
        let bytes = entry(&[b"ab", b"", b"cde"]);
        match read(&bytes) {
            Found::Entry(Kind::Change, b"abcde", used) => assert_eq!(used, bytes.len()),
            _ => panic!("not read"),
        }
    }

    #[test]
    fn every_torn_or_flipped_entry_is_noticed() {
        let bytes = entry(&[b"the body of it"]);
        for cut in 0..bytes.len() {
            assert!(matches!(read(&bytes[..cut]), Found::Partial(_)), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(!matches!(read(&flipped), Found::Entry(..)), "flipped at {at}");
        }
        assert!(matches!(read(&[0; 64]), Found::Torn(_)));
    }
}
