//! Segments of entries: appended at the end, read at a place, replayed at the start.
//!
//! All partitions share one journal: an append is one sequential write whatever the number of
//! partitions, and the order of entries is the order of everything. Every segment begins with a
//! snapshot of the state, so that the segments before it are needed for their batches only.
//!
//! Invariants: an append either is whole or is cut off again; when even that fails, the journal
//! takes no more. Only the last segment may be torn.

use std::collections::BTreeSet;
use std::io;

use super::entry::{self, Found, Kind};
use super::error::{LogError, Result};
use super::storage::Storage;

/// Read from a segment at once while replaying.
const WINDOW_BYTES: usize = 1 << 20;

/// A place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) segment: u32,
    pub(super) at: u32,
}

/// Where an entry was found.
pub(super) struct Replayed<'a> {
    pub(super) kind: Kind,
    pub(super) position: Position,
    pub(super) body: &'a [u8],
}

pub(super) struct Journal<S> {
    storage: S,
    active: u32,
    active_bytes: u64,
    is_broken: bool,
}

impl<S: Storage> Journal<S> {
    /// Replays everything into `each`; returns the journal (`None` when nothing was ever written)
    /// and the bytes that were torn off its end.
    pub(super) fn replay(
        mut storage: S,
        mut each: impl FnMut(Replayed<'_>) -> Result<()>,
    ) -> Result<(Self, u64)> {
        let mut torn_bytes = drop_unborn_segment(&mut storage)?;
        let segments = storage.segments().map_err(LogError::storage("list the segments"))?;
        let mut active_bytes = 0;
        for segment in &segments {
            let is_last = Some(segment) == segments.last();
            let (whole, len) = replay_segment(&storage, *segment, is_last, &mut each)?;
            if whole < len {
                storage.truncate(*segment, whole).map_err(LogError::storage("cut a torn tail"))?;
                torn_bytes += len - whole;
            }
            active_bytes = whole;
        }
        let active = segments.last().copied().unwrap_or(0);
        Ok((Self { storage, active, active_bytes, is_broken: false }, torn_bytes))
    }

    /// Whether there is no segment yet.
    pub(super) fn is_unborn(&self) -> bool {
        self.active == 0
    }

    /// Bytes of the segment that is written to.
    pub(super) fn active_bytes(&self) -> u64 {
        self.active_bytes
    }

    /// Appends one entry; returns the place of its head.
    pub(super) fn append(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<Position> {
        if self.is_broken {
            let error = io::Error::other("an earlier write failed and could not be undone");
            return Err(LogError::storage("append")(error));
        }
        let head = entry::head(kind, parts);
        let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
        all.push(&head);
        all.extend_from_slice(parts);
        if let Err(error) = self.storage.append(self.active, &all) {
            self.is_broken = self.storage.truncate(self.active, self.active_bytes).is_err();
            return Err(LogError::storage(format!("append to segment {}", self.active))(error));
        }
        let position = Position { segment: self.active, at: self.active_bytes as u32 };
        self.active_bytes += all.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(position)
    }

    /// Begins a new segment with `snapshot`.
    pub(super) fn roll(&mut self, snapshot: &[u8]) -> Result<()> {
        if !self.is_unborn() {
            self.sync()?;
        }
        let (old, old_bytes) = (self.active, self.active_bytes);
        self.storage.create(old + 1).map_err(LogError::storage("begin a segment"))?;
        (self.active, self.active_bytes) = (old + 1, 0);
        let begun = self.append(Kind::Snapshot, &[snapshot]);
        if let Err(error) = begun {
            // The old segment goes on; the new one, unborn, must not be replayed.
            self.is_broken |= self.storage.remove(old + 1).is_err();
            (self.active, self.active_bytes) = (old, old_bytes);
            return Err(error);
        }
        Ok(())
    }

    /// Removes the segments that are neither `live` nor written to. One that cannot be removed
    /// stays, and is tried again the next time: it does no harm.
    pub(super) fn reclaim(&mut self, live: &BTreeSet<u32>) {
        for segment in self.storage.segments().unwrap_or_default() {
            if segment != self.active && !live.contains(&segment) {
                let _ = self.storage.remove(segment);
            }
        }
    }

    /// Reads `into.len()` bytes.
    pub(super) fn read(&self, from: Position, into: &mut [u8]) -> Result<()> {
        self.storage
            .read(from.segment, u64::from(from.at), into)
            .map_err(LogError::storage(format!("read segment {} at {}", from.segment, from.at)))
    }

    /// Makes everything survive a loss of power.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.storage.sync(self.active).map_err(LogError::storage("sync"))
    }

    pub(super) fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage, for tests and simulations that want to tear it.
    pub(super) fn into_storage(self) -> S {
        self.storage
    }
}

/// Removes a last segment whose first snapshot is cut: its beginning was interrupted, and the one
/// before it has everything. Returns the bytes removed.
fn drop_unborn_segment<S: Storage>(storage: &mut S) -> Result<u64> {
    let segments = storage.segments().map_err(LogError::storage("list the segments"))?;
    let Some(last) = segments.last().copied() else { return Ok(0) };
    let len = storage.len(last).map_err(LogError::storage("measure a segment"))?;
    let mut head = vec![0; len.min(entry::HEAD_BYTES as u64) as usize];
    storage.read(last, 0, &mut head).map_err(LogError::storage("replay"))?;
    let is_cut = match entry::read(&head) {
        Found::Partial(wanted) => wanted as u64 > len,
        Found::Entry(..) | Found::Torn(_) => false,
    };
    if !is_cut {
        return Ok(0);
    }
    storage.remove(last).map_err(LogError::storage("remove a segment"))?;
    Ok(len)
}

/// Replays one segment; returns how many of its bytes are whole, and how many there are.
fn replay_segment<S: Storage>(
    storage: &S,
    segment: u32,
    is_last: bool,
    each: &mut impl FnMut(Replayed<'_>) -> Result<()>,
) -> Result<(u64, u64)> {
    let len = storage.len(segment).map_err(LogError::storage("measure a segment"))?;
    let corrupt = |position, what: &str| LogError::CorruptStorage {
        segment,
        position,
        what: what.to_owned(),
    };
    let mut window = Window::default();
    let mut at = 0;
    while at < len {
        let torn = match entry::read(window.bytes()) {
            Found::Entry(kind, body, used) => {
                let is_first = at == 0;
                if is_first != (kind == Kind::Snapshot) {
                    return Err(corrupt(at, "a snapshot is the first entry, and only that"));
                }
                each(Replayed { kind, position: Position { segment, at: at as u32 }, body })?;
                window.consume(used);
                at += used as u64;
                continue;
            }
            Found::Partial(wanted) if at + wanted as u64 <= len => {
                window.fill(storage, segment, at, wanted, len)?;
                continue;
            }
            Found::Partial(_) => "the entry ends after the segment",
            Found::Torn(what) => what,
        };
        if is_last && at > 0 {
            break;
        }
        return Err(corrupt(at, torn));
    }
    Ok((at, len))
}

/// A part of a segment in memory.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    used: usize,
}

impl Window {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    fn consume(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Makes at least `wanted` bytes from `at` on available; `len` is where the segment ends.
    fn fill<S: Storage>(
        &mut self,
        storage: &S,
        segment: u32,
        at: u64,
        wanted: usize,
        len: u64,
    ) -> Result<()> {
        let bytes = wanted.max(WINDOW_BYTES).min((len - at) as usize);
        self.bytes.resize(bytes, 0);
        self.used = 0;
        storage.read(segment, at, &mut self.bytes).map_err(LogError::storage("replay"))
    }
}
