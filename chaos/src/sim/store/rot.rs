//! Bit rot: what was written in whole is not what is read, or is not there.

use bytes::Bytes;
use stormproof_engine::checkpoint::{Manifest, manifest_path};
use stormproof_engine::ids::CheckpointId;

use super::{Disk, Operation, Store, checkpoint_of, is_manifest};
use crate::sim::core::ProcessId;

impl Store {
    /// Changes one bit of the last checkpoint of a process that was just killed and was the only one,
    /// or takes a state file of it away, if nobody has restored that checkpoint and there is another
    /// one to fall back on.
    pub(in crate::sim) fn rot(&self, process: ProcessId, takes_files: bool) {
        let mut disk = self.disk();
        let Some((checkpoint, fallback)) = disk.last_two_of(process) else { return };
        // What a manifest does not name belongs to nothing.
        let mut files = disk.files_of(checkpoint);
        if !takes_files {
            files.push(manifest_path(checkpoint));
        }
        let path = &files[self.core.below(files.len() as u64) as usize];
        if takes_files {
            self.core.trace(|| format!("store: {path} is gone"));
            disk.objects.remove(path);
            disk.seen.remove(path);
        } else {
            self.change_a_bit(&mut disk, path);
        }
        disk.newest_landed = fallback;
        disk.rotten.insert(checkpoint);
        // It is no checkpoint any more, and nobody deletes it: it is evidence.
        disk.excused += 1;
        disk.landed_us.retain(|path, _| checkpoint_of(path) != Some(checkpoint));
    }

    fn change_a_bit(&self, disk: &mut Disk, path: &str) {
        let mut bytes = disk.objects[path].to_vec();
        let at = self.core.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << self.core.below(8);
        self.core.trace(|| format!("store: byte {at} of {path} is another"));
        let bytes = Bytes::from(bytes);
        disk.objects.insert(path.to_owned(), bytes.clone());
        disk.seen.insert(path.to_owned(), bytes);
    }
}

impl Disk {
    /// The newest checkpoint, if the process has made it since it looked for one to restore, and the
    /// one before it, which is not older than what it has restored.
    fn last_two_of(&self, process: ProcessId) -> Option<(CheckpointId, CheckpointId)> {
        let looked = self.looked.get(&process)?;
        let manifests = self.objects.keys().filter(|path| is_manifest(path)).rev();
        let mut ids = manifests.filter_map(|path| checkpoint_of(path));
        let (newest, fallback) = (ids.next()?, ids.next()?);
        let landed_us = self.landed_us.get(&manifest_path(newest));
        let has_written = self.watch.has_written(process, &manifest_path(newest));
        let is_its_own = has_written && landed_us.is_some_and(|us| *us > looked.at_us);
        // Nor has a process that was taken for dead restored it.
        let is_seen = self.looked.values().any(|looked| looked.newest >= newest);
        // What lay between the two once is no more, and the oracle has seen it.
        let is_between = |id: CheckpointId| id > fallback && id < newest;
        let landed = self.landed_us.keys().filter(|path| is_manifest(path));
        let are_neighbours = !landed.filter_map(|path| checkpoint_of(path)).any(is_between);
        // One that lands later may lie between the two, and have no state any more.
        let is_awaited = self.operations.values().any(Operation::completes_a_checkpoint);
        let may = is_its_own
            && !is_seen
            && are_neighbours
            && !is_awaited
            && newest == self.newest_landed
            && fallback >= looked.newest
            && [newest, fallback].into_iter().all(|id| self.is_whole_and_stays(id));
        may.then_some((newest, fallback))
    }

    /// The state files that the manifest of a checkpoint names; none without one.
    pub(super) fn files_of(&self, checkpoint: CheckpointId) -> Vec<String> {
        let manifest = self.objects.get(&manifest_path(checkpoint));
        let manifest = manifest.and_then(|file| Manifest::decode(file).ok());
        let files = manifest.map_or(Vec::new(), |manifest| manifest.files);
        files.into_iter().map(|file| file.path).collect()
    }

    /// Which checkpoints are whole and not being deleted, of those with a manifest up to the newest
    /// that is: a bit each, the lowest is the newest's.
    pub(super) fn whole(&self) -> u64 {
        let manifests = self.objects.keys().rev().filter(|path| is_manifest(path));
        let ids = manifests.filter_map(|path| checkpoint_of(path));
        let stays = |id| self.is_whole(id) && !self.is_touched(id, Operation::is_deletion);
        let known = ids.map(stays).skip_while(|stays| !stays);
        let bits = known.take(u64::BITS as usize).enumerate();
        bits.fold(0, |all, (at, stays)| all | u64::from(stays) << at)
    }

    fn is_whole_and_stays(&self, checkpoint: CheckpointId) -> bool {
        let has_landed = self.landed_us.contains_key(&manifest_path(checkpoint));
        has_landed && self.is_whole(checkpoint) && !self.is_touched(checkpoint, |_| true)
    }

    /// Also where a death has torn nothing from its manifest.
    fn is_whole(&self, checkpoint: CheckpointId) -> bool {
        let is_sound = !self.rotten.contains(&checkpoint);
        let named = self.files_of(checkpoint);
        is_sound && !named.is_empty() && named.iter().all(|path| self.objects.contains_key(path))
    }

    /// Whether something of such a kind is under way that is about one of its files.
    fn is_touched(&self, checkpoint: CheckpointId, by: fn(&Operation) -> bool) -> bool {
        let files = self.objects.keys().filter(|path| checkpoint_of(path) == Some(checkpoint));
        let mut under_way = files.flat_map(|path| {
            self.operations.values().filter(move |operation| operation.is_about(path))
        });
        under_way.any(by)
    }
}
