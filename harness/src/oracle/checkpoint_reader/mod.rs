//! The second source of evidence, the checkpoint folder: manifests and state files.
//!
//! An independent reader, written from `docs/formats.md`. It tells what a completed checkpoint
//! holds of the input: each partition's next offset, the frames that no confirmed transaction
//! held (sink buffers), those that an operator has not sent on and those in flight (channel state). It keeps no keys and no values.
//! Whether that is right, others judge.

mod folder;
mod manifest;
mod objects;
mod state_file;

use super::evidence::EvidenceError;
use super::ids::{AttemptId, CheckpointId};
use crate::workload::ledger::{Offset, PartitionId};

pub use folder::CheckpointFolder;
pub use manifest::{Manifest, ManifestFile, Mode, VertexEntry};
pub use objects::CheckpointObjects;

/// Where the frame of a checkpoint lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the list state of a sink subtask: not yet confirmed by the database.
    Buffer {
        /// The sink subtask.
        subtask: u16,
    },
    /// In the list state of an operator's subtask: taken and not sent on.
    Held {
        /// The operator's vertex.
        vertex: u16,
        /// Its subtask.
        subtask: u16,
    },
    /// In flight on a channel.
    Channel {
        /// The upstream subtask.
        source: u16,
        /// The downstream subtask.
        target: u16,
        /// The downstream vertex.
        vertex: u16,
    },
}

/// A record frame of a checkpoint, by its provenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// The partition of the input record.
    pub partition: PartitionId,
    /// The offset of the input record.
    pub offset: Offset,
    /// The n-th record that the input record became.
    pub index: u32,
    /// The attempt whose source read the input record.
    pub source_attempt: AttemptId,
    /// Where it lies.
    pub place: Place,
}

/// One partition's position in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Split {
    /// The partition.
    pub partition: PartitionId,
    /// The next offset to be emitted.
    pub next_offset: Offset,
    /// The source subtask that owned it.
    pub subtask: u16,
}

/// What a checkpoint's state files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointState {
    /// The source's splits, as found: a partition may be missing or there twice.
    pub splits: Vec<Split>,
    /// Sink buffers, what operators hold, and channel state.
    pub frames: Vec<Frame>,
    /// The number of keyed state entries.
    pub keyed_entries: u64,
}

/// A checkpoint that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// What is wrong with it.
    pub reason: String,
    /// Whether there is a manifest, readable or not. Without one the checkpoint was never completed,
    /// or was being deleted: that begins with the manifest.
    pub has_manifest: bool,
}

impl Torn {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), has_manifest: true }
    }

    pub(crate) fn without_manifest() -> Self {
        let reason = "it has no manifest: it was never completed".to_owned();
        Self { reason, has_manifest: false }
    }
}

/// A checkpoint's folder and what its manifest says.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The checkpoint, by the name of its folder.
    pub id: CheckpointId,
    /// The valid manifest, or why there is none: then the checkpoint does not exist.
    pub manifest: Result<Manifest, Torn>,
}

/// Where checkpoints are kept.
pub trait CheckpointSource {
    /// All checkpoints by ascending id, with or without a valid manifest.
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError>;

    /// Reads the state files that a manifest names.
    fn state(&mut self, manifest: &Manifest) -> Result<CheckpointState, Torn>;
}

/// A completed checkpoint held in memory.
pub type StoredCheckpoint = (Manifest, CheckpointState);

/// Checkpoints held in memory: what simulations and tests hand to the oracle.
#[derive(Debug, Clone, Default)]
pub struct MemoryCheckpoints {
    /// Manifests and states by ascending id; `Err` is a torn manifest.
    pub checkpoints: Vec<(CheckpointId, Result<StoredCheckpoint, Torn>)>,
}

impl CheckpointSource for MemoryCheckpoints {
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError> {
        let listed = self.checkpoints.iter().map(|(id, checkpoint)| {
            let manifest = checkpoint.as_ref().map(|(manifest, _)| manifest.clone());
            Listed { id: *id, manifest: manifest.map_err(Torn::clone) }
        });
        Ok(listed.collect())
    }

    fn state(&mut self, manifest: &Manifest) -> Result<CheckpointState, Torn> {
        let found = self.checkpoints.iter().find(|(id, _)| *id == manifest.checkpoint);
        match found {
            Some((_, Ok((_, state)))) => Ok(state.clone()),
            _ => Err(Torn::new("no state is held for it")),
        }
    }
}
