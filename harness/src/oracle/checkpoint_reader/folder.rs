//! The checkpoint folder on disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::super::evidence::EvidenceError;
use super::super::ids::CheckpointId;
use super::state_file::{self, Vertices};
use super::{CheckpointSource, CheckpointState, Listed, Manifest, ManifestFile, Torn};

const MANIFEST: &str = "manifest.json";

fn has_manifest(folder: &Path) -> bool {
    folder.join(MANIFEST).exists()
}

/// Reads checkpoints from a local folder.
#[derive(Debug, Clone)]
pub struct CheckpointFolder {
    root: PathBuf,
    /// Where copies of some are, which are looked at first.
    spare: Option<PathBuf>,
}

impl CheckpointFolder {
    /// The folder that holds `chk-…` folders; it is read when it is asked for.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), spare: None }
    }

    /// The same with a second folder for copies of some checkpoints, as they were when they were
    /// restored: they may have been deleted or damaged since.
    pub fn with_spare(self, spare: impl Into<PathBuf>) -> Self {
        Self { spare: Some(spare.into()), ..self }
    }

    /// The folder of a checkpoint: that of its copy, if there is one.
    fn place(&self, name: &Path) -> PathBuf {
        let spare = self.spare.as_ref().map(|spare| spare.join(name));
        spare.filter(|spare| has_manifest(spare)).unwrap_or_else(|| self.root.join(name))
    }

    fn failed(&self, error: &io::Error) -> EvidenceError {
        EvidenceError::new(format!("checkpoint folder {}", self.root.display()), error)
    }

    fn manifest(&self, folder: &Path, id: CheckpointId) -> Result<Manifest, Torn> {
        match std::fs::read(folder.join(MANIFEST)) {
            Ok(text) => Manifest::parse(&text, id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Torn::without_manifest()),
            Err(error) => Err(Torn::new(format!("its manifest cannot be read: {error}"))),
        }
    }

    fn state_file(&self, file: &ManifestFile) -> Result<Vec<u8>, Torn> {
        let torn = |reason: String| Torn::new(format!("state file {}: {reason}", file.path));
        let relative = Path::new(&file.path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(torn("its path leaves the checkpoint folder".to_owned()));
        }
        let (folder, name) = (relative.parent(), relative.file_name());
        let place = self.place(folder.unwrap_or(Path::new(""))).join(name.unwrap_or_default());
        let bytes = std::fs::read(place).map_err(|e| torn(e.to_string()))?;
        file.check(&bytes).map_err(torn)?;
        Ok(bytes)
    }
}

impl CheckpointSource for CheckpointFolder {
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError> {
        let mut names = BTreeMap::new();
        for root in [Some(&self.root), self.spare.as_ref()].into_iter().flatten() {
            let is_spare = *root != self.root;
            if is_spare && !root.exists() {
                continue;
            }
            for entry in std::fs::read_dir(root).map_err(|e| self.failed(&e))? {
                let entry = entry.map_err(|e| self.failed(&e))?;
                // A copy is whole or none: where it was not finished in time, there is none.
                if is_spare && !has_manifest(&entry.path()) {
                    continue;
                }
                let name = entry.file_name();
                let digits = name.to_str().and_then(|name| name.strip_prefix("chk-"));
                if let Some(id) = digits.and_then(|digits| digits.parse().ok()) {
                    names.insert(CheckpointId(id), PathBuf::from(name));
                }
            }
        }
        let listed = |(id, name): (CheckpointId, PathBuf)| {
            let manifest = self.manifest(&self.place(&name), id);
            Listed { id, manifest }
        };
        Ok(names.into_iter().map(listed).collect())
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
