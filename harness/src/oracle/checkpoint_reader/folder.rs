//! The checkpoint folder on disk.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::super::evidence::EvidenceError;
use super::super::ids::CheckpointId;
use super::state_file::{self, Vertices};
use super::{CheckpointSource, CheckpointState, Listed, Manifest, ManifestFile, Torn};

/// Reads checkpoints from a local folder.
#[derive(Debug, Clone)]
pub struct CheckpointFolder {
    root: PathBuf,
}

impl CheckpointFolder {
    /// The folder that holds `chk-…` folders; it is read when it is asked for.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn failed(&self, error: &io::Error) -> EvidenceError {
        EvidenceError::new(format!("checkpoint folder {}", self.root.display()), error)
    }

    fn manifest(&self, folder: &Path, id: CheckpointId) -> Result<Manifest, Torn> {
        match std::fs::read(folder.join("manifest.json")) {
            Ok(text) => Manifest::parse(&text, id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Torn::new("it has no manifest: it was never completed"))
            }
            Err(error) => Err(Torn::new(format!("its manifest cannot be read: {error}"))),
        }
    }

    fn state_file(&self, file: &ManifestFile) -> Result<Vec<u8>, Torn> {
        let torn = |reason: String| Torn::new(format!("state file {}: {reason}", file.path));
        let relative = Path::new(&file.path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(torn("its path leaves the checkpoint folder".to_owned()));
        }
        let bytes = std::fs::read(self.root.join(relative)).map_err(|e| torn(e.to_string()))?;
        file.check(&bytes).map_err(torn)?;
        Ok(bytes)
    }
}

impl CheckpointSource for CheckpointFolder {
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError> {
        let mut listed = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(|e| self.failed(&e))? {
            let entry = entry.map_err(|e| self.failed(&e))?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix("chk-"));
            let Some(id) = id.and_then(|digits| digits.parse().ok()).map(CheckpointId) else {
                continue;
            };
            let manifest = self.manifest(&entry.path(), id);
            listed.push(Listed { id, manifest });
        }
        listed.sort_by_key(|listed| listed.id);
        Ok(listed)
    }

    fn state(&mut self, manifest: &Manifest) -> Result<CheckpointState, Torn> {
        let vertices =
            Vertices { source: manifest.vertex("source"), sink: manifest.vertex("sink") };
        let mut state = CheckpointState::default();
        for file in &manifest.files {
            let bytes = self.state_file(file)?;
            state_file::read(&bytes, vertices, &mut state)
                .map_err(|torn| Torn::new(format!("state file {}: {}", file.path, torn.reason)))?;
        }
        Ok(state)
    }
}
