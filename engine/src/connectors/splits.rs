//! Source splits as list state: `u32 partition, u64 next_offset` (docs/formats.md).
//!
//! Invariant: `next_offset` is that of the next record to *emit*, never a fetcher's position.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::error::{EngineError, Result};
use crate::ids::{Offset, PartitionId};

/// The list state that holds a source's splits.
pub const SPLITS_STATE: &str = "splits";

const SPLIT_BYTES: usize = 12;

/// How far a source got in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The partition.
    pub partition: PartitionId,
    /// The offset of the next record to emit.
    pub next: Offset,
}

impl Split {
    /// The split as a state item.
    pub fn encode(self) -> Bytes {
        let mut item = BytesMut::with_capacity(SPLIT_BYTES);
        item.put_u32_le(self.partition.0);
        item.put_u64_le(self.next.0);
        item.freeze()
    }

    /// The split that a state item holds.
    ///
    /// # Errors
    /// When the item is not a split.
    pub fn decode(item: &[u8]) -> Result<Self> {
        let Ok(fields) = <&[u8; SPLIT_BYTES]>::try_from(item) else {
            return Err(EngineError::Input(format!(
                "list state `{SPLITS_STATE}`: an item of {} bytes is not a split ({SPLIT_BYTES} \
                 bytes); restore a checkpoint that this job has written",
                item.len()
            )));
        };
        let (partition, next) = fields.split_at(4);
        let mut four = [0; 4];
        four.copy_from_slice(partition);
        let mut eight = [0; 8];
        eight.copy_from_slice(next);
        Ok(Self {
            partition: PartitionId(u32::from_le_bytes(four)),
            next: Offset(u64::from_le_bytes(eight)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_laid_out_as_documented() {
        let split = Split { partition: PartitionId(0x0403_0201), next: Offset(0x0605) };
        assert_eq!(&split.encode()[..], &[1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Split::decode(&split.encode()).expect("a split"), split);
    }

    #[test]
    fn refuses_what_is_not_a_split() {
        for len in [0, 11, 13] {
            let refused = Split::decode(&vec![0; len]);
            assert!(matches!(refused, Err(EngineError::Input(_))), "{len} bytes were taken");
        }
    }
}
