//! Checkpoints as objects in memory: path and bytes, as a storage held them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::evidence::EvidenceError;
use super::super::ids::CheckpointId;
use super::state_file::{self, Vertices};
use super::{CheckpointSource, CheckpointState, Listed, Manifest, Torn};

/// Reads checkpoints from objects.
#[derive(Debug, Clone)]
pub struct CheckpointObjects<'a> {
    objects: &'a BTreeMap<String, Bytes>,
}

impl<'a> CheckpointObjects<'a> {
    /// The objects of a storage, by path.
    pub fn new(objects: &'a BTreeMap<String, Bytes>) -> Self {
        Self { objects }
    }
}

fn id_of(path: &str) -> Option<CheckpointId> {
    path.split('/').next()?.strip_prefix("chk-")?.parse().ok().map(CheckpointId)
}

impl CheckpointSource for CheckpointObjects<'_> {
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError> {
        let ids: BTreeSet<CheckpointId> =
            self.objects.keys().filter_map(|path| id_of(path)).collect();
        let listed = ids.into_iter().map(|id| {
            let manifest = self.objects.get(&format!("chk-{:08}/manifest.json", id.0));
            let manifest = manifest
                .ok_or_else(Torn::without_manifest)
                .and_then(|text| Manifest::parse(text, id));
            Listed { id, manifest }
        });
        Ok(listed.collect())
    }

    fn state(&mut self, manifest: &Manifest) -> Result<CheckpointState, Torn> {
        let vertices =
            Vertices { source: manifest.vertex("source"), sink: manifest.vertex("sink") };
        let mut state = CheckpointState::default();
        for file in &manifest.files {
            let torn = |reason: String| Torn::new(format!("state file {}: {reason}", file.path));
            let bytes = self.objects.get(&file.path);
            let bytes = bytes.ok_or_else(|| torn("it is missing".to_owned()))?;
            file.check(bytes).map_err(torn)?;
            state_file::read(bytes, vertices, &mut state).map_err(|e| torn(e.reason))?;
        }
        Ok(state)
    }
}
