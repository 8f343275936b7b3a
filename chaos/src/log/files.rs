//! A storage of files: `FOLDER/00000001.log` and so on, locked by one process at a time.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::storage::Storage;

/// A folder with one file for each segment.
pub struct FileStorage {
    folder: PathBuf,
    files: BTreeMap<u32, File>,
    /// Held as long as the storage is.
    _lock: Flock<File>,
}

impl FileStorage {
    /// Opens a folder, which is made if it is missing.
    ///
    /// # Errors
    /// `ResourceBusy` when another process has it; those of the system.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, _)| io::Error::from(io::ErrorKind::ResourceBusy))?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if let Some(segment) = segment_of(&path) {
                files.insert(segment, OpenOptions::new().read(true).append(true).open(&path)?);
            }
        }
        Ok(Self { folder: folder.to_owned(), files, _lock: lock })
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.folder.join(format!("{segment:08}.log"))
    }

    fn get(&self, segment: u32) -> io::Result<&File> {
        self.files.get(&segment).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn segment_of(path: &Path) -> Option<u32> {
    let is_segment = path.extension().is_some_and(|ending| ending == "log");
    is_segment.then(|| path.file_stem()?.to_str()?.parse().ok())?
}

impl Storage for FileStorage {
    fn segments(&self) -> io::Result<Vec<u32>> {
        Ok(self.files.keys().copied().collect())
    }

    fn create(&mut self, segment: u32) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create_new(true).open(self.path(segment))?;
        self.files.insert(segment, file);
        Ok(())
    }

    fn len(&self, segment: u32) -> io::Result<u64> {
        Ok(self.get(segment)?.metadata()?.len())
    }

    fn append(&mut self, segment: u32, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = self.get(segment)?;
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&self, segment: u32, position: u64, into: &mut [u8]) -> io::Result<()> {
        self.get(segment)?.read_exact_at(into, position)
    }

    fn truncate(&mut self, segment: u32, len: u64) -> io::Result<()> {
        self.get(segment)?.set_len(len)
    }

    fn remove(&mut self, segment: u32) -> io::Result<()> {
        self.files.remove(&segment);
        fs::remove_file(self.path(segment))
    }

    fn sync(&mut self, segment: u32) -> io::Result<()> {
        self.get(segment)?.sync_data()
    }
}
