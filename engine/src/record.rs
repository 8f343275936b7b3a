//! Records as bytes: the frame that lanes, channel state and sink buffers share.
//!
//! A frame is written once, by the vertex that emits it, and never copied after that: whoever
//! keeps a record keeps a reference into the buffer. A frame is *compact* when its fields fit into
//! three words, and *wide* otherwise; both begin with the same word. The layout is docs/formats.md;
//! the oracle reads it with code of its own.

use bytes::{Bytes, BytesMut};

use crate::ids::{AttemptId, Offset, PartitionId, SubtaskIndex};
use crate::mutants;

/// Bytes before the key of a compact frame.
pub const COMPACT_HEADER_BYTES: usize = 24;
/// Bytes before the key of a wide frame.
pub const WIDE_HEADER_BYTES: usize = 44;

/// The target of a broadcast record.
pub const EVERY_SUBTASK: SubtaskIndex = SubtaskIndex(u16::MAX);

const KEY_IS_NULL: u8 = 1;
const VALUE_IS_NULL: u8 = 2;
const IS_WIDE: u8 = 4;

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

/// The length of a key as the compact layout has it.
#[inline]
fn counted(key: &[u8]) -> usize {
    let wraps = mutants::is_active(mutants::KEY_LENGTH_WRAPS);
    key.len().saturating_sub(usize::from(wraps))
}

/// Bytes of a compact frame with such a body.
#[inline]
fn with_header(body: usize) -> usize {
    let counts = body >> 16 > 0 || !mutants::is_active(mutants::FRAME_LENGTH_WRAPS);
    body + if counts { COMPACT_HEADER_BYTES } else { 0 }
}

impl Payload<'_> {
    /// Bytes of this record's frame.
    #[inline]
    pub fn frame_bytes(&self) -> usize {
        let body = self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len);
        body + if self.fits(body) { COMPACT_HEADER_BYTES } else { WIDE_HEADER_BYTES }
    }

    /// Whether the fields fit into a compact frame with `body` bytes after its header: no bit is
    /// set beyond those that the layout has room for.
    #[inline]
    fn fits(&self, body: usize) -> bool {
        let Provenance { partition, offset, index, source_attempt } = self.provenance;
        let time = self.event_time_us;
        let wraps = mutants::is_active(mutants::ATTEMPT_WRAPS);
        let beyond = u64::from(partition.0) >> 16
            | offset.0 >> 48
            | u64::from(index)
            | if wraps { 0 } else { u64::from(source_attempt.0) >> 8 }
            | ((time ^ (time >> 63)) as u64) >> 55
            | (self.key.map_or(0, counted) as u64) >> 8
            | (with_header(body) as u64) >> 16;
        beyond == 0
    }

    /// Appends the frame to `buffer`.
    pub fn encode(&self, route: Route, buffer: &mut BytesMut) {
        let at = buffer.len();
        buffer.resize(at + self.frame_bytes(), 0);
        self.write_to(route, &mut buffer[at..]);
    }

    /// Writes the frame to `frame`, word by word into its place: a header put together elsewhere
    /// would have to wait for its own bytes before it can be copied.
    ///
    /// # Panics
    /// When `frame` is not [`Payload::frame_bytes`] long.
    // By order, for the same reason as the lane's writer.
    #[inline(always)]
    pub fn write_to(&self, route: Route, frame: &mut [u8]) {
        let (key, value) = (self.key.unwrap_or_default(), self.value.unwrap_or_default());
        let body = if frame.len() == COMPACT_HEADER_BYTES + key.len() + value.len() {
            self.write_compact(route, frame)
        } else {
            self.write_wide(route, frame)
        };
        let (key_place, value_place) = body.split_at_mut(key.len());
        copy_short(key, key_place);
        value_place.copy_from_slice(value);
    }

    #[inline]
    fn nulls(&self) -> u8 {
        let key = if self.key.is_none() { KEY_IS_NULL } else { 0 };
        key | if self.value.is_none() { VALUE_IS_NULL } else { 0 }
    }

    #[inline]
    fn write_compact<'f>(&self, route: Route, frame: &'f mut [u8]) -> &'f mut [u8] {
        let Provenance { partition, offset, source_attempt, .. } = self.provenance;
        let lens = (self.key.map_or(0, <[u8]>::len) as u64) << 8 | (frame.len() as u64) << 16;
        let words = [
            u64::from(self.nulls()) | lens | route.word(),
            u64::from(partition.0) | offset.0 << 16,
            u64::from(source_attempt.0) | (self.event_time_us as u64) << 8,
        ];
        let (header, body) = frame.split_first_chunk_mut::<24>().expect("a frame");
        header[0..8].copy_from_slice(&words[0].to_le_bytes());
        header[8..16].copy_from_slice(&words[1].to_le_bytes());
        header[16..24].copy_from_slice(&words[2].to_le_bytes());
        body
    }

    #[cold]
    fn write_wide<'f>(&self, route: Route, frame: &'f mut [u8]) -> &'f mut [u8] {
        let Provenance { partition, offset, mut index, source_attempt } = self.provenance;
        if mutants::is_active(mutants::OUTPUT_INDEX_LOST) {
            index = 0;
        }
        let len = frame.len() as u32;
        let (header, body) = frame.split_first_chunk_mut::<WIDE_HEADER_BYTES>().expect("a frame");
        let first = u64::from(self.nulls() | IS_WIDE) | route.word();
        header[0..8].copy_from_slice(&first.to_le_bytes());
        header[8..12].copy_from_slice(&len.to_le_bytes());
        header[12..16].copy_from_slice(&(self.key.map_or(0, <[u8]>::len) as u32).to_le_bytes());
        header[16..20].copy_from_slice(&partition.0.to_le_bytes());
        header[20..24].copy_from_slice(&index.to_le_bytes());
        header[24..28].copy_from_slice(&source_attempt.0.to_le_bytes());
        header[28..36].copy_from_slice(&offset.0.to_le_bytes());
        header[36..44].copy_from_slice(&self.event_time_us.to_le_bytes());
        body
    }
}

impl Route {
    /// Its part of a frame's first word.
    #[inline]
    fn word(self) -> u64 {
        u64::from(self.source.0) << 32 | u64::from(self.target.0) << 48
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
        let first: &[u8; 8] = item.first_chunk()?;
        let is_wide = first[0] & IS_WIDE != 0;
        let header_bytes = if is_wide { WIDE_HEADER_BYTES } else { COMPACT_HEADER_BYTES };
        if item.len() < header_bytes || frame_len(&item) != item.len() {
            return None;
        }
        let is_whole = RecordView::new(&item).key_range().end <= item.len();
        is_whole.then_some(Self { frame: item })
    }

    /// A copy of the record for another downstream subtask.
    #[must_use]
    pub fn retargeted(&self, target: SubtaskIndex) -> Self {
        let mut frame = BytesMut::from(&self.frame[..]);
        frame[6..8].copy_from_slice(&target.0.to_le_bytes());
        Self { frame: frame.freeze() }
    }

    /// The record in memory of its own: nobody else's is kept along with it.
    #[must_use]
    pub fn detached(self) -> Self {
        if self.frame.is_unique() {
            return self;
        }
        Self { frame: Bytes::copy_from_slice(&self.frame) }
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
    /// The first words, which every frame has.
    header: &'a [u8; COMPACT_HEADER_BYTES],
    frame: &'a [u8],
}

/// A field of a wide frame.
#[inline]
fn field<const N: usize>(frame: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&frame[at..at + N]);
    field
}

/// Bytes of the frame that starts here; 0 when there is not even a header.
#[inline]
pub fn frame_len(bytes: &[u8]) -> usize {
    match bytes.first_chunk::<12>() {
        Some(start) if start[0] & IS_WIDE == 0 => {
            usize::from(u16::from_le_bytes([start[2], start[3]]))
        }
        Some(start) => u32::from_le_bytes([start[8], start[9], start[10], start[11]]) as usize,
        None => 0,
    }
}

impl<'a> RecordView<'a> {
    /// The frame that starts at the beginning of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        let frame = &bytes[..frame_len(bytes)];
        Self { header: frame.first_chunk().expect("a frame has a header"), frame }
    }

    #[inline]
    fn is_wide(&self) -> bool {
        self.header[0] & IS_WIDE != 0
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(field(self.header, at))
    }

    /// Bytes of the whole frame.
    #[inline]
    pub fn frame_bytes(&self) -> usize {
        self.frame.len()
    }

    /// Upstream subtask.
    #[inline]
    pub fn source(&self) -> SubtaskIndex {
        SubtaskIndex((self.word(0) >> 32) as u16)
    }

    /// Downstream subtask.
    #[inline]
    pub fn target(&self) -> SubtaskIndex {
        SubtaskIndex((self.word(0) >> 48) as u16)
    }

    /// Where the record comes from.
    #[inline]
    pub fn provenance(&self) -> Provenance {
        if self.is_wide() {
            return self.wide_provenance();
        }
        let word = self.word(8);
        Provenance {
            partition: PartitionId((word & 0xFFFF) as u32),
            offset: Offset(word >> 16),
            index: 0,
            source_attempt: AttemptId(u32::from(self.header[16])),
        }
    }

    #[cold]
    fn wide_provenance(&self) -> Provenance {
        Provenance {
            partition: PartitionId(u32::from_le_bytes(field(self.frame, 16))),
            index: u32::from_le_bytes(field(self.frame, 20)),
            source_attempt: AttemptId(u32::from_le_bytes(field(self.frame, 24))),
            offset: Offset(u64::from_le_bytes(field(self.frame, 28))),
        }
    }

    /// The input record's timestamp, in microseconds.
    #[inline]
    pub fn event_time_us(&self) -> i64 {
        if self.is_wide() {
            return i64::from_le_bytes(field(self.frame, 36));
        }
        (self.word(16) as i64) >> 8
    }

    /// Where the key lies in the frame.
    #[inline]
    fn key_range(&self) -> std::ops::Range<usize> {
        if self.is_wide() {
            let key_bytes = u32::from_le_bytes(field(self.frame, 12)) as usize;
            return WIDE_HEADER_BYTES..WIDE_HEADER_BYTES + key_bytes;
        }
        COMPACT_HEADER_BYTES..COMPACT_HEADER_BYTES + usize::from(self.header[1])
    }

    /// The key; `None` is Kafka's null.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        let key = (self.header[0] & KEY_IS_NULL == 0).then(|| &self.frame[self.key_range()]);
        if mutants::is_active(mutants::EMPTY_KEY_IS_NULL) {
            return key.filter(|key| !key.is_empty());
        }
        key
    }

    /// The value; `None` is Kafka's null.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        (self.header[0] & VALUE_IS_NULL == 0).then(|| &self.frame[self.key_range().end..])
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
