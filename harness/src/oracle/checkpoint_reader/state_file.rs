//! One state file: sections of list state, keyed state and channel state.
//!
//! Every length is checked before it is followed; what does not add up makes the file torn.

use super::super::ids::AttemptId;
use super::{CheckpointState, Frame, Place, Split, Torn};
use crate::workload::ledger::{Offset, PartitionId};

const MAGIC: &[u8] = b"SPSTATE2";
const CRC_BYTES: usize = 4;

const FRAME_IS_WIDE: u8 = 4;
/// Bytes of a frame before its key, compact and wide.
const FRAME_HEADER_BYTES: [usize; 2] = [24, 44];

const LIST_EVEN: u8 = 1;
const LIST_UNION: u8 = 2;
const KEYED: u8 = 3;
const CHANNEL: u8 = 4;

/// The vertices whose list state speaks of input records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vertices {
    pub(super) source: Option<u16>,
    pub(super) sink: Option<u16>,
}

/// Takes bytes from the front of a slice.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Torn> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(Torn::new(format!("{len} bytes wanted, {} left", self.rest.len())));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Torn> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Torn> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, Torn> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Torn> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Torn> {
        self.array().map(u64::from_le_bytes)
    }
}

/// The checksum at the end of a state file, if it is right.
pub(super) fn checksum(bytes: &[u8]) -> Result<u32, Torn> {
    let Some((body, end)) = bytes.split_last_chunk::<CRC_BYTES>() else {
        return Err(Torn::new("it is shorter than its checksum"));
    };
    let (stored, actual) = (u32::from_le_bytes(*end), crc32fast::hash(body));
    if stored != actual {
        let reason = format!("its checksum is {actual:08x}, it should be {stored:08x}");
        return Err(Torn::new(reason));
    }
    Ok(stored)
}

/// Adds what a state file holds to `state`. The checksum has been verified.
pub(super) fn read(
    bytes: &[u8],
    vertices: Vertices,
    state: &mut CheckpointState,
) -> Result<(), Torn> {
    let mut cursor = Cursor { rest: &bytes[..bytes.len().saturating_sub(CRC_BYTES)] };
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err(Torn::new("it does not begin with the state file's mark"));
    }
    while !cursor.rest.is_empty() {
        read_section(&mut cursor, vertices, state)?;
    }
    Ok(())
}

fn read_section(
    cursor: &mut Cursor<'_>,
    vertices: Vertices,
    state: &mut CheckpointState,
) -> Result<(), Torn> {
    let (kind, vertex, subtask) = (cursor.u8()?, cursor.u16()?, cursor.u16()?);
    let name_len = usize::from(cursor.u8()?);
    let name = cursor.take(name_len)?;
    let item_count = cursor.u32()?;
    let body_len = cursor.u64()?;
    let body_len = usize::try_from(body_len).map_err(|_| Torn::new("a section is too long"))?;
    let mut body = Cursor { rest: cursor.take(body_len)? };
    for _ in 0..item_count {
        let item_len = body.u32()? as usize;
        let item = body.take(item_len)?;
        match (kind, name) {
            (LIST_EVEN | LIST_UNION, b"splits") if Some(vertex) == vertices.source => {
                state.splits.push(split(item, subtask)?);
            }
            (LIST_EVEN | LIST_UNION, b"buffer") if Some(vertex) == vertices.sink => {
                state.frames.push(frame(item, |_, _| Place::Buffer { subtask })?);
            }
            (LIST_EVEN | LIST_UNION, b"held") if Some(vertex) != vertices.sink => {
                state.frames.push(frame(item, |_, _| Place::Held { vertex, subtask })?);
            }
            (LIST_EVEN | LIST_UNION, _) => {}
            (KEYED, _) => state.keyed_entries += 1,
            (CHANNEL, _) => {
                let place = |source, target| Place::Channel { source, target, vertex };
                state.frames.push(frame(item, place)?);
            }
            (kind, _) => return Err(Torn::new(format!("a section has the unknown kind {kind}"))),
        }
    }
    if !body.rest.is_empty() {
        return Err(Torn::new("a section holds more bytes than its items"));
    }
    Ok(())
}

fn split(item: &[u8], subtask: u16) -> Result<Split, Torn> {
    let mut item = Cursor { rest: item };
    let (partition, next_offset) = (PartitionId(item.u32()?), Offset(item.u64()?));
    if !item.rest.is_empty() {
        return Err(Torn::new("a split is longer than 12 bytes"));
    }
    Ok(Split { partition, next_offset, subtask })
}

fn frame(item: &[u8], place: impl Fn(u16, u16) -> Place) -> Result<Frame, Torn> {
    let mut cursor = Cursor { rest: item };
    let (flags, short_key_len, short_len) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let (source, target) = (cursor.u16()?, cursor.u16()?);
    let is_wide = flags & FRAME_IS_WIDE != 0;
    let (frame_len, key_len) = if is_wide {
        (cursor.u32()? as usize, cursor.u32()? as usize)
    } else {
        (usize::from(short_len), usize::from(short_key_len))
    };
    if frame_len != item.len() || FRAME_HEADER_BYTES[usize::from(is_wide)] + key_len > frame_len {
        let reason = format!("a frame of {} bytes says it has {frame_len}", item.len());
        return Err(Torn::new(reason));
    }
    let place = place(source, target);
    if is_wide {
        let (partition, index) = (PartitionId(cursor.u32()?), cursor.u32()?);
        let (source_attempt, offset) = (AttemptId(cursor.u32()?), Offset(cursor.u64()?));
        return Ok(Frame { partition, offset, index, source_attempt, place });
    }
    let (where_from, read_by) = (cursor.u64()?, cursor.u8()?);
    let partition = PartitionId((where_from & 0xFFFF) as u32);
    let offset = Offset(where_from >> 16);
    Ok(Frame { partition, offset, index: 0, source_attempt: AttemptId(read_by.into()), place })
}
