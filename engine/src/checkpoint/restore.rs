//! Restore: which checkpoint an attempt starts from.
//!
//! The rule: the newest one whose manifest is whole and whose state files all read back. One that is
//! torn or misses a file is passed over, and said so; a storage that does not answer is an error,
//! for an older checkpoint must not be restored because of it. The consumer group's committed offsets are never looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::Manifest;
use super::state_file::{Section, read_state_file};
use crate::error::Result;
use crate::ids::CheckpointId;
use crate::mutants;
use crate::seam::SnapshotStorage;

/// The folder of a checkpoint.
pub fn checkpoint_folder(checkpoint: CheckpointId) -> String {
    format!("chk-{:08}", checkpoint.0)
}

/// The manifest of a checkpoint.
pub fn manifest_path(checkpoint: CheckpointId) -> String {
    format!("{}/manifest.json", checkpoint_folder(checkpoint))
}

/// The objects of a checkpoint in the order in which they are deleted: without its manifest it is
/// nothing any more, and with it never without its state.
pub fn deletion_order(checkpoint: CheckpointId, mut files: Vec<String>) -> Vec<String> {
    let manifest = manifest_path(checkpoint);
    files.retain(|path| *path != manifest);
    let is_last = mutants::is_active(mutants::STATE_DELETED_FIRST);
    files.insert(if is_last { files.len() } else { 0 }, manifest);
    files
}

/// What the checkpoint storage holds.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    files: BTreeMap<CheckpointId, Vec<String>>,
}

impl Inventory {
    /// Lists the storage.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn read(storage: &dyn SnapshotStorage) -> Result<Self> {
        let mut files: BTreeMap<CheckpointId, Vec<String>> = BTreeMap::new();
        for path in storage.list("")? {
            let folder = path.split('/').next().unwrap_or_default();
            let id = folder.strip_prefix("chk-").and_then(|digits| digits.parse().ok());
            if let Some(id) = id {
                files.entry(CheckpointId(id)).or_default().push(path);
            }
        }
        Ok(Self { files })
    }

    /// The highest id that has left any trace.
    pub fn highest(&self) -> CheckpointId {
        self.files.last_key_value().map_or(CheckpointId::NONE, |(id, _)| *id)
    }

    /// Files of a checkpoint.
    pub fn files_of(&self, checkpoint: CheckpointId) -> &[String] {
        self.files.get(&checkpoint).map_or(&[], Vec::as_slice)
    }

    /// Files of checkpoints that never completed: no manifest, and older than the newest of
    /// `retained`. A younger one may be about to complete: its attempt was taken for dead and is
    /// not, and its manifest is on its way.
    pub fn leftovers<'a>(
        &'a self,
        retained: &'a BTreeSet<CheckpointId>,
    ) -> impl Iterator<Item = &'a str> {
        let never = |(id, files): &(&CheckpointId, &Vec<String>)| {
            let is_older = |newest| *id < newest || mutants::is_active(mutants::CLEANS_THE_YOUNGER);
            retained.last().is_some_and(is_older)
                && !retained.contains(*id)
                && !files.contains(&manifest_path(**id))
        };
        self.files.iter().filter(never).flat_map(|(_, files)| files).map(String::as_str)
    }

    /// Checkpoints without a manifest that [`Self::leftovers`] leaves alone: once a later one is
    /// complete, nobody restores them.
    pub fn unfinished(&self, retained: &BTreeSet<CheckpointId>) -> Vec<CheckpointId> {
        let is_younger = |id: &CheckpointId| retained.last().is_none_or(|newest| id > newest);
        let is_unfinished = |(id, files): &(&CheckpointId, &Vec<String>)| {
            is_younger(id) && !files.contains(&manifest_path(**id))
        };
        self.files.iter().filter(is_unfinished).map(|(id, _)| *id).collect()
    }

    fn with_manifest(&self) -> impl DoubleEndedIterator<Item = CheckpointId> + '_ {
        let has =
            |(id, files): &(&CheckpointId, &Vec<String>)| files.contains(&manifest_path(**id));
        self.files.iter().filter(has).map(|(id, _)| *id)
    }
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct RestoredCheckpoint {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its state.
    pub sections: Vec<Section>,
}

/// The outcome of looking for a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The newest complete one.
    pub chosen: Option<RestoredCheckpoint>,
    /// Newer ones that were passed over, and why.
    pub skipped: Vec<(CheckpointId, String)>,
    /// Every checkpoint with a manifest up to the chosen one, oldest first.
    pub retained: BTreeSet<CheckpointId>,
}

/// Looks for the newest complete checkpoint.
///
/// # Errors
/// When the storage cannot be read: then nobody knows which one it is.
pub fn choose(storage: &dyn SnapshotStorage, inventory: &Inventory) -> Result<Choice> {
    let mut choice = Choice::default();
    if mutants::is_active(mutants::HIGHEST_ID_RESTORED)
        && let Some(chosen) = load_highest(storage, inventory)
    {
        let retained = inventory.with_manifest().collect();
        return Ok(Choice { chosen: Some(chosen), retained, ..choice });
    }
    for id in inventory.with_manifest().rev() {
        match load(storage, id)? {
            Ok(restored) => {
                choice.chosen = Some(restored);
                let counts = mutants::is_active(mutants::DAMAGED_RETAINED);
                let is_retained = |other: &CheckpointId| *other <= id || counts;
                choice.retained = inventory.with_manifest().filter(is_retained).collect();
                break;
            }
            Err(reason) => choice.skipped.push((id, reason)),
        }
    }
    Ok(choice)
}

/// [`mutants::HIGHEST_ID_RESTORED`]: whatever state files the highest id has, under the newest
/// manifest's description of the job.
fn load_highest(
    storage: &dyn SnapshotStorage,
    inventory: &Inventory,
) -> Option<RestoredCheckpoint> {
    let highest = inventory.highest();
    let template = inventory.with_manifest().rev().find_map(|id| load(storage, id).ok()?.ok())?;
    let files = inventory.files_of(highest).iter().filter(|path| path.ends_with(".state"));
    let mut sections = Vec::new();
    for path in files {
        let bytes = storage.read(path).ok()??;
        let (_, crc32) = bytes.split_last_chunk::<4>()?;
        sections.extend(read_state_file(&bytes, u32::from_le_bytes(*crc32)).ok()?);
    }
    let manifest = Manifest { checkpoint: highest, ..template.manifest };
    Some(RestoredCheckpoint { manifest, sections })
}

/// Reads a checkpoint; the inner error says what is wrong with it.
fn load(
    storage: &dyn SnapshotStorage,
    id: CheckpointId,
) -> Result<Result<RestoredCheckpoint, String>> {
    let path = manifest_path(id);
    let Some(file) = storage.read(&path)? else { return Ok(Err(format!("{path} is missing"))) };
    let manifest = match Manifest::decode(&file) {
        Ok(manifest) if manifest.checkpoint == id => manifest,
        Ok(other) => {
            let other = other.checkpoint;
            return Ok(Err(format!("{path}: it is the manifest of checkpoint {other}")));
        }
        Err(what) => return Ok(Err(format!("{path}: {what}"))),
    };
    let mut sections = Vec::new();
    for file in &manifest.files {
        let path = &file.path;
        let read = match storage.read(path) {
            Err(_) if mutants::is_active(mutants::UNREADABLE_IS_MISSING) => None,
            read => read?,
        };
        let Some(bytes) = read else {
            if mutants::is_active(mutants::MISSING_STATE_SKIPPED) {
                continue;
            }
            return Ok(Err(format!("{path} is missing")));
        };
        match read_state_file(&bytes, file.crc32) {
            Ok(read) => sections.extend(read),
            Err(what) => return Ok(Err(format!("{path}: {what}"))),
        }
    }
    Ok(Ok(RestoredCheckpoint { manifest, sections }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_loses_its_manifest_before_its_state() {
        let state = ["chk-00000007/a1-w0.state", "chk-00000007/z"].map(str::to_owned);
        let manifest = manifest_path(CheckpointId(7));
        let all = vec![state[0].clone(), manifest.clone(), state[1].clone()];
        let expected = [manifest, state[0].clone(), state[1].clone()];
        assert_eq!(deletion_order(CheckpointId(7), all), expected);
        assert_eq!(deletion_order(CheckpointId(7), state.to_vec()), expected);
    }
}
