//! `events.jsonl`: everything that was heard and done, line by line, with its time.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::folder::cannot_write;
use crate::driver::protocol::Report;
use crate::error::Result;

/// A line of the file.
#[derive(Debug, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    /// From the engine process.
    Engine {
        /// When it was heard.
        t_us: u64,
        /// What was heard.
        heard: &'a Report,
    },
    /// From the harness.
    Harness {
        /// When.
        t_us: u64,
        /// What.
        what: &'a str,
    },
}

/// The open file.
#[derive(Debug)]
pub(super) struct EventLog {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventLog {
    /// A new file.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Appends a line.
    pub(super) fn write(&mut self, line: &Line<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.file, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|error| cannot_write(&self.path, &error))
    }

    /// Makes sure that everything is in the file.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| cannot_write(&self.path, &error))
    }
}
