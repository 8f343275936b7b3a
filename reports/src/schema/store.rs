//! Loading and saving `result.json`.
//!
//! Invariants: a file of another schema version is refused before anything else in it is read;
//! saving is atomic (a temporary sibling, then a rename), so that a reader sees all or nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{RunResult, SCHEMA_VERSION};

/// Why a result could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file could not be read.
    #[error(
        "cannot read the result {}: {source}; give the result.json that a run has left behind",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error(
        "cannot write the result {}: {source}; check that its folder exists and has space",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has no usable `schema_version`: it is no result of Stormproof.
    #[error(
        "{} is not a Stormproof result: {source}; give the result.json that a run has left behind",
        path.display()
    )]
    NotAResult {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The file is a result of another schema version.
    #[error(
        "{} has schema version {found}, and this Stormproof reads version {SCHEMA_VERSION} only; \
         read it with the Stormproof that wrote it, or run the scenario again",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u64,
    },
    /// The file states the right version, but a field is missing or has the wrong type.
    #[error(
        "{} is damaged: {source}; restore the file or run the scenario again",
        path.display()
    )]
    Field {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Header {
    schema_version: u64,
}

impl RunResult {
    /// Reads a result.
    ///
    /// # Errors
    /// If the file cannot be read, is no result, has another schema version, or lacks a field.
    pub fn load(path: &Path) -> Result<Self, SchemaError> {
        let at = || path.to_path_buf();
        let json = fs::read(path).map_err(|source| SchemaError::Read { path: at(), source })?;
        let header: Header = serde_json::from_slice(&json)
            .map_err(|source| SchemaError::NotAResult { path: at(), source })?;
        if header.schema_version != u64::from(SCHEMA_VERSION) {
            return Err(SchemaError::Version { path: at(), found: header.schema_version });
        }
        serde_json::from_slice(&json).map_err(|source| SchemaError::Field { path: at(), source })
    }

    /// Writes the result as indented JSON, atomically.
    ///
    /// # Errors
    /// If the file cannot be written or moved into place.
    pub fn save(&self, path: &Path) -> Result<(), SchemaError> {
        let failed = |source| SchemaError::Write { path: path.to_path_buf(), source };
        let mut json = serde_json::to_vec_pretty(self).map_err(|e| failed(e.into()))?;
        json.push(b'\n');
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        fs::write(&temporary, json)
            .and_then(|()| fs::rename(&temporary, path))
            .inspect_err(|_| drop(fs::remove_file(&temporary)))
            .map_err(failed)
    }
}
