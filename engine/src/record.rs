//! Records as bytes: the frame that lanes, channel state and sink buffers share.
//!
//! A frame is written once, by the vertex that emits it, and never copied after that: whoever
//! keeps a record keeps a reference into the buffer. The layout is docs/formats.md; the oracle
//! reads it with code of its own.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{AttemptId, KeyGroup, Offset, PartitionId, SubtaskIndex};

/// Bytes of a frame before the key.
pub const HEADER_BYTES: usize = 44;

/// The target of a broadcast record.
pub const EVERY_SUBTASK: SubtaskIndex = SubtaskIndex(u16::MAX);

const KEY_IS_NULL: u8 = 1;
const VALUE_IS_NULL: u8 = 2;

/// Where a record comes from: set once by the source, carried to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Provenance {
    /// Partition of the input topic.
    pub partition: PartitionId,
    /// Offset in the partition.
    pub offset: Offset,
    /// The n-th record that this input record became.
    pub index: u32,
    /// The execution attempt that read the input record.
    pub source_attempt: AttemptId,
}

/// How a record travels over one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Upstream subtask.
    pub source: SubtaskIndex,
    /// Downstream subtask, or [`EVERY_SUBTASK`].
    pub target: SubtaskIndex,
    /// Key group of the key.
    pub key_group: KeyGroup,
}

/// The content of a record: what a source or an operator emits.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Where it comes from.
    pub provenance: Provenance,
    /// The input record's timestamp, in microseconds.
    pub event_time_us: i64,
    /// The key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
}

impl Payload<'_> {
    /// Bytes of this record's frame.
    #[inline]
    pub fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)
    }

    /// Appends the frame to `buffer`.
    #[inline]
    pub fn encode(&self, route: Route, buffer: &mut BytesMut) {
        let flags = if self.key.is_none() { KEY_IS_NULL } else { 0 }
            | if self.value.is_none() { VALUE_IS_NULL } else { 0 };
        let key = self.key.unwrap_or_default();
        let mut header = [0_u8; HEADER_BYTES];
        header[0..4].copy_from_slice(&(self.frame_bytes() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&(key.len() as u32).to_le_bytes());
        header[8] = flags;
        header[10..12].copy_from_slice(&route.key_group.0.to_le_bytes());
        header[12..14].copy_from_slice(&route.source.0.to_le_bytes());
        header[14..16].copy_from_slice(&route.target.0.to_le_bytes());
        header[16..20].copy_from_slice(&self.provenance.partition.0.to_le_bytes());
        header[20..24].copy_from_slice(&self.provenance.index.to_le_bytes());
        header[24..28].copy_from_slice(&self.provenance.source_attempt.0.to_le_bytes());
        header[28..36].copy_from_slice(&self.provenance.offset.0.to_le_bytes());
        header[36..44].copy_from_slice(&self.event_time_us.to_le_bytes());
        buffer.reserve(self.frame_bytes());
        buffer.put_slice(&header);
        buffer.put_slice(key);
        buffer.put_slice(self.value.unwrap_or_default());
    }
}

/// One frame: a cheap reference (clone = one atomic increment) into a shared buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    frame: Bytes,
}

impl Record {
    /// The frame that starts at `at` in `buffer`.
    ///
    /// # Panics
    /// When there is no whole frame: buffers are written by this module only.
    #[inline]
    pub fn at(buffer: &Bytes, at: usize) -> Self {
        let len = frame_len(&buffer[at..]);
        Self { frame: buffer.slice(at..at + len) }
    }

    /// A frame from outside (a state file); `None` when it is not one whole frame.
    pub fn from_state(item: Bytes) -> Option<Self> {
        let whole = item.len() >= HEADER_BYTES
            && frame_len(&item) == item.len()
            && read_u32(&item, 4) as usize <= item.len() - HEADER_BYTES;
        whole.then_some(Self { frame: item })
    }

    /// A copy of the record for another downstream subtask.
    #[must_use]
    pub fn retargeted(&self, target: SubtaskIndex) -> Self {
        let mut frame = BytesMut::from(&self.frame[..]);
        frame[14..16].copy_from_slice(&target.0.to_le_bytes());
        Self { frame: frame.freeze() }
    }

    /// The frame's bytes, as they go into state.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// A view of the frame.
    #[inline]
    pub fn view(&self) -> RecordView<'_> {
        RecordView { frame: &self.frame }
    }

    /// The record, borrowed.
    #[inline]
    pub fn by_ref(&self) -> RecordRef<'_> {
        RecordRef { buffer: &self.frame, at: 0, view: self.view() }
    }
}

/// One frame in a buffer that others share: costs nothing until somebody keeps it.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    buffer: &'a Bytes,
    at: usize,
    view: RecordView<'a>,
}

impl<'a> RecordRef<'a> {
    /// The frame that starts at `at` in `buffer`.
    ///
    /// # Panics
    /// When there is no whole frame: buffers are written by this module only.
    #[inline]
    pub fn at(buffer: &'a Bytes, at: usize) -> Self {
        Self { buffer, at, view: RecordView::new(&buffer[at..]) }
    }

    /// A view of the frame.
    #[inline]
    pub fn view(&self) -> RecordView<'a> {
        self.view
    }

    /// The record as something that lives as long as it is needed.
    #[inline]
    pub fn keep(&self) -> Record {
        Record { frame: self.buffer.slice(self.at..self.at + self.view.frame_bytes()) }
    }
}

/// A frame, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    frame: &'a [u8],
}

#[inline]
fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

/// Bytes of the frame that starts here.
#[inline]
pub fn frame_len(bytes: &[u8]) -> usize {
    read_u32(bytes, 0) as usize
}

impl<'a> RecordView<'a> {
    /// The frame that starts at the beginning of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { frame: &bytes[..frame_len(bytes)] }
    }

    /// Bytes of the whole frame.
    #[inline]
    pub fn frame_bytes(&self) -> usize {
        self.frame.len()
    }

    /// Upstream subtask.
    #[inline]
    pub fn source(&self) -> SubtaskIndex {
        SubtaskIndex(read_u16(self.frame, 12))
    }

    /// Downstream subtask.
    #[inline]
    pub fn target(&self) -> SubtaskIndex {
        SubtaskIndex(read_u16(self.frame, 14))
    }

    /// Key group of the key.
    #[inline]
    pub fn key_group(&self) -> KeyGroup {
        KeyGroup(read_u16(self.frame, 10))
    }

    /// Where the record comes from.
    #[inline]
    pub fn provenance(&self) -> Provenance {
        Provenance {
            partition: PartitionId(read_u32(self.frame, 16)),
            index: read_u32(self.frame, 20),
            source_attempt: AttemptId(read_u32(self.frame, 24)),
            offset: Offset(read_u64(self.frame, 28)),
        }
    }

    /// The input record's timestamp, in microseconds.
    #[inline]
    pub fn event_time_us(&self) -> i64 {
        read_u64(self.frame, 36) as i64
    }

    fn key_end(&self) -> usize {
        HEADER_BYTES + read_u32(self.frame, 4) as usize
    }

    /// The key; `None` is Kafka's null.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        (self.frame[8] & KEY_IS_NULL == 0).then(|| &self.frame[HEADER_BYTES..self.key_end()])
    }

    /// The value; `None` is Kafka's null.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        (self.frame[8] & VALUE_IS_NULL == 0).then(|| &self.frame[self.key_end()..])
    }

    /// The record as something that can be emitted again.
    #[inline]
    pub fn payload(&self) -> Payload<'a> {
        Payload {
            provenance: self.provenance(),
            event_time_us: self.event_time_us(),
            key: self.key(),
            value: self.value(),
        }
    }
}
