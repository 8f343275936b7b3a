//! What a log stands on: segments that grow at their end.
//!
//! Contract: bytes that [`Storage::append`] took survive the death of the process; after a loss of
//! power those survive that [`Storage::sync`] took. An append that fails may leave a part of its
//! bytes; the log cuts them off. A storage has one user.

use std::collections::BTreeMap;
use std::io;

/// Segments of bytes, by number.
pub trait Storage {
    /// The segments that exist, ascending.
    ///
    /// # Errors
    /// Those of the system; so for all of these.
    fn segments(&self) -> io::Result<Vec<u32>>;

    /// Makes an empty segment.
    ///
    /// # Errors
    /// When it exists.
    fn create(&mut self, segment: u32) -> io::Result<()>;

    /// Bytes in a segment.
    ///
    /// # Errors
    /// When there is no such segment; so for all that follow.
    fn len(&self, segment: u32) -> io::Result<u64>;

    /// Adds `parts`, one after the other, at the end.
    ///
    /// # Errors
    /// See [`Storage::len`].
    fn append(&mut self, segment: u32, parts: &[&[u8]]) -> io::Result<()>;

    /// Fills `into` from `position` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the segment is shorter.
    fn read(&self, segment: u32, position: u64, into: &mut [u8]) -> io::Result<()>;

    /// Cuts a segment.
    ///
    /// # Errors
    /// See [`Storage::len`].
    fn truncate(&mut self, segment: u32, len: u64) -> io::Result<()>;

    /// Removes a segment.
    ///
    /// # Errors
    /// See [`Storage::len`].
    fn remove(&mut self, segment: u32) -> io::Result<()>;

    /// Makes a segment survive a loss of power.
    ///
    /// # Errors
    /// See [`Storage::len`].
    fn sync(&mut self, segment: u32) -> io::Result<()>;
}

/// A storage in memory: for tests and for the simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStorage {
    /// What is there; open, so that a test can tear it.
    pub segments: BTreeMap<u32, Vec<u8>>,
}

impl MemoryStorage {
    fn get(&self, segment: u32) -> io::Result<&Vec<u8>> {
        self.segments.get(&segment).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn get_mut(&mut self, segment: u32) -> io::Result<&mut Vec<u8>> {
        self.segments.get_mut(&segment).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for MemoryStorage {
    fn segments(&self) -> io::Result<Vec<u32>> {
        Ok(self.segments.keys().copied().collect())
    }

    fn create(&mut self, segment: u32) -> io::Result<()> {
        match self.segments.insert(segment, Vec::new()) {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn len(&self, segment: u32) -> io::Result<u64> {
        Ok(self.get(segment)?.len() as u64)
    }

    fn append(&mut self, segment: u32, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = self.get_mut(segment)?;
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(())
    }

    fn read(&self, segment: u32, position: u64, into: &mut [u8]) -> io::Result<()> {
        let from = position as usize;
        let found = self.get(segment)?.get(from..from + into.len());
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn truncate(&mut self, segment: u32, len: u64) -> io::Result<()> {
        self.get_mut(segment)?.truncate(len as usize);
        Ok(())
    }

    fn remove(&mut self, segment: u32) -> io::Result<()> {
        self.segments.remove(&segment).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync(&mut self, _segment: u32) -> io::Result<()> {
        Ok(())
    }
}
