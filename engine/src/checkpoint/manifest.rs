//! The manifest: what makes a set of state files a checkpoint.
//!
//! Invariant: it is written once, atomically, after every state file is durable; a reader that
//! finds it torn or at odds with its files treats the checkpoint as one that never completed.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{AttemptId, CheckpointId, VertexId, WorkerIndex};
use crate::mutants;
use crate::runtime::CheckpointMode;
use crate::seam::TimeUs;

/// A vertex as the checkpoint knew it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestVertex {
    /// Its id in the state files.
    pub id: VertexId,
    /// Its name: what state is matched by.
    pub name: String,
    /// Its subtasks.
    pub parallelism: u16,
    /// Number of key groups.
    pub max_parallelism: u16,
}

/// A state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFileRef {
    /// Path in the checkpoint storage.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The checksum at its end.
    pub crc32: u32,
    /// The worker that wrote it.
    pub worker: WorkerIndex,
}

/// The manifest of a completed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format: u32,
    /// The job's name.
    pub job: String,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The attempt that took it.
    pub attempt: AttemptId,
    /// The mode it was taken in.
    pub mode: CheckpointMode,
    /// `checkpoint` or `savepoint`.
    pub kind: String,
    /// The vertices.
    pub vertices: Vec<ManifestVertex>,
    /// Subtasks that had to acknowledge.
    pub subtasks_expected: u64,
    /// Subtasks that did.
    pub subtasks_acknowledged: u64,
    /// The state files.
    pub files: Vec<StateFileRef>,
    /// When it was triggered.
    pub triggered_us: TimeUs,
    /// When its last acknowledgement was in.
    pub completed_us: TimeUs,
}

impl Manifest {
    /// The version this code writes and reads.
    pub const FORMAT: u32 = 1;

    /// The manifest as a file: a line of JSON and its checksum.
    pub fn encode(&self) -> Bytes {
        let json = serde_json::to_string(self).expect("a manifest is plain data");
        let trailer = Self::trailer(&json);
        Bytes::from(json + "\n" + &trailer)
    }

    /// The checksum's line. It has one spelling: a reader that took another for the same would
    /// restore from a file that was changed after it was written.
    fn trailer(json: &str) -> String {
        format!("crc32:{:08x}\n", crc32fast::hash(json.as_bytes()))
    }

    /// Reads a manifest file.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn decode(file: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(file).map_err(|_| "it is not text".to_owned())?;
        let (json, trailer) = text.split_once('\n').ok_or("it is cut off")?;
        let whole = Self::trailer(json);
        if trailer.len() < whole.len() {
            return Err("its checksum line is cut off".to_owned());
        }
        if trailer != whole {
            return Err("its checksum does not match".to_owned());
        }
        let manifest: Self = serde_json::from_str(json).map_err(|e| format!("it reads {e}"))?;
        if manifest.format != Self::FORMAT {
            return Err(format!("its format is {}, not {}", manifest.format, Self::FORMAT));
        }
        if manifest.subtasks_acknowledged != manifest.subtasks_expected
            && !mutants::is_active(mutants::ONE_ACK_SHORT)
        {
            return Err(format!(
                "only {} of {} subtasks had acknowledged",
                manifest.subtasks_acknowledged, manifest.subtasks_expected
            ));
        }
        Ok(manifest)
    }
}
