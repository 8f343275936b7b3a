//! Records as bytes: the frame that lanes, channel state and sink buffers share.
//!
//! A frame is written once, by the vertex that emits it, and never copied after that: whoever
//! keeps a record keeps a reference into the buffer. The layout is docs/formats.md; the oracle
//! reads it with code of its own.

use bytes::{Bytes, BytesMut};

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
    pub fn encode(&self, route: Route, buffer: &mut BytesMut) {
        let at = buffer.len();
        buffer.resize(at + self.frame_bytes(), 0);
        self.write_to(route, &mut buffer[at..]);
    }

    /// Writes the frame to `frame`, field by field into its place: a header put together elsewhere
    /// would have to wait for its own bytes before it can be copied.
    ///
    /// # Panics
    /// When `frame` is not [`Payload::frame_bytes`] long.
    #[inline]
    pub fn write_to(&self, route: Route, frame: &mut [u8]) {
        let flags = if self.key.is_none() { KEY_IS_NULL } else { 0 }
            | if self.value.is_none() { VALUE_IS_NULL } else { 0 };
        let key = self.key.unwrap_or_default();
        let len = frame.len() as u32;
        let (header, body) = frame.split_first_chunk_mut::<HEADER_BYTES>().expect("a frame");
        header[0..4].copy_from_slice(&len.to_le_bytes());
        header[4..8].copy_from_slice(&(key.len() as u32).to_le_bytes());
        header[8..10].copy_from_slice(&[flags, 0]);
        header[10..12].copy_from_slice(&route.key_group.0.to_le_bytes());
        header[12..14].copy_from_slice(&route.source.0.to_le_bytes());
        header[14..16].copy_from_slice(&route.target.0.to_le_bytes());
        header[16..20].copy_from_slice(&self.provenance.partition.0.to_le_bytes());
        header[20..24].copy_from_slice(&self.provenance.index.to_le_bytes());
        header[24..28].copy_from_slice(&self.provenance.source_attempt.0.to_le_bytes());
        header[28..36].copy_from_slice(&self.provenance.offset.0.to_le_bytes());
        header[36..44].copy_from_slice(&self.event_time_us.to_le_bytes());
        let (key_place, value_place) = body.split_at_mut(key.len());
        copy_short(key, key_place);
        value_place.copy_from_slice(self.value.unwrap_or_default());
    }
}

/// Copies what is usually short without a call: two words that may overlap.
#[inline]
fn copy_short(from: &[u8], to: &mut [u8]) {
    match from.len() {
        8..=16 => copy_ends::<8>(from, to),
        4..8 => copy_ends::<4>(from, to),
        _ => to.copy_from_slice(from),
    }
}

#[inline]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(first), Some(place)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
        *place = *first;
    }
    if let (Some(last), Some(place)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
        *place = *last;
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
        let header: &Header = item.first_chunk()?;
        let key_bytes = u32::from_le_bytes(read(header, 4)) as usize;
        let whole = frame_len(&item) == item.len() && key_bytes <= item.len() - HEADER_BYTES;
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
        RecordView::new(&self.frame)
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
    header: &'a Header,
    frame: &'a [u8],
}

type Header = [u8; HEADER_BYTES];

#[inline]
fn read<const N: usize>(header: &Header, at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[at..at + N]);
    field
}

/// Bytes of the frame that starts here.
#[inline]
pub fn frame_len(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |len| u32::from_le_bytes(*len) as usize)
}

impl<'a> RecordView<'a> {
    /// The frame that starts at the beginning of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        let header: &Header = bytes.first_chunk().expect("a frame has a header");
        Self { header, frame: &bytes[..u32::from_le_bytes(read(header, 0)) as usize] }
    }

    /// Bytes of the whole frame.
    #[inline]
    pub fn frame_bytes(&self) -> usize {
        self.frame.len()
    }

    /// Upstream subtask.
    #[inline]
    pub fn source(&self) -> SubtaskIndex {
        SubtaskIndex(u16::from_le_bytes(read(self.header, 12)))
    }

    /// Downstream subtask.
    #[inline]
    pub fn target(&self) -> SubtaskIndex {
        SubtaskIndex(u16::from_le_bytes(read(self.header, 14)))
    }

    /// Key group of the key.
    #[inline]
    pub fn key_group(&self) -> KeyGroup {
        KeyGroup(u16::from_le_bytes(read(self.header, 10)))
    }

    /// Where the record comes from.
    #[inline]
    pub fn provenance(&self) -> Provenance {
        Provenance {
            partition: PartitionId(u32::from_le_bytes(read(self.header, 16))),
            index: u32::from_le_bytes(read(self.header, 20)),
            source_attempt: AttemptId(u32::from_le_bytes(read(self.header, 24))),
            offset: Offset(u64::from_le_bytes(read(self.header, 28))),
        }
    }

    /// The input record's timestamp, in microseconds.
    #[inline]
    pub fn event_time_us(&self) -> i64 {
        i64::from_le_bytes(read(self.header, 36))
    }

    fn key_end(&self) -> usize {
        HEADER_BYTES + u32::from_le_bytes(read(self.header, 4)) as usize
    }

    /// The key; `None` is Kafka's null.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        (self.header[8] & KEY_IS_NULL == 0).then(|| &self.frame[HEADER_BYTES..self.key_end()])
    }

    /// The value; `None` is Kafka's null.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        (self.header[8] & VALUE_IS_NULL == 0).then(|| &self.frame[self.key_end()..])
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
