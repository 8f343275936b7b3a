//! The manifest: one line of JSON and its checksum, the commit point of a checkpoint.

use serde::{Deserialize, Serialize};

use super::super::ids::{AttemptId, CheckpointId};
use super::{Torn, state_file};

/// The checkpoint mode of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Aligned barriers.
    ExactlyOnce,
    /// Barriers overtake records, which become channel state.
    ExactlyOnceUnaligned,
    /// Snapshot on the last barrier, no channel held: the only mode that makes orphans.
    AtLeastOnce,
    /// Snapshot on the first barrier, later records of the other channels become channel state.
    AtLeastOnceFirstBarrier,
}

impl Mode {
    /// Whether a cut holds exactly the records below its offsets, so that orphans are forbidden.
    pub fn has_exact_cuts(self) -> bool {
        self != Self::AtLeastOnce
    }
}

/// A valid manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version: 1.
    pub format: u32,
    /// The job.
    pub job: String,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The attempt that made it.
    pub attempt: AttemptId,
    /// The mode it was made in.
    pub mode: Mode,
    /// `checkpoint` or `savepoint`.
    pub kind: String,
    /// The job's vertices.
    pub vertices: Vec<VertexEntry>,
    /// How many subtasks had to acknowledge.
    pub subtasks_expected: u64,
    /// How many did.
    pub subtasks_acknowledged: u64,
    /// The state files.
    pub files: Vec<ManifestFile>,
    /// When it was triggered, in microseconds of `CLOCK_MONOTONIC`.
    pub triggered_us: i64,
    /// When it was completed, in microseconds of `CLOCK_MONOTONIC`.
    pub completed_us: i64,
}

/// A vertex of the job, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VertexEntry {
    /// The id that state files use.
    pub id: u16,
    /// The name.
    pub name: String,
    /// The number of subtasks.
    pub parallelism: u32,
    /// The number of key groups.
    pub max_parallelism: u32,
}

/// A state file, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Relative to the checkpoint folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The checksum at its end.
    pub crc32: u32,
    /// The worker that wrote it.
    pub worker: u32,
}

impl ManifestFile {
    /// Whether `bytes` are the file that the manifest was written for; says in words what is wrong.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.bytes {
            return Err(format!("it has {} bytes, it should have {}", bytes.len(), self.bytes));
        }
        if state_file::checksum(bytes).map_err(|torn| torn.reason)? != self.crc32 {
            return Err("it is not the file that the manifest was written for".to_owned());
        }
        Ok(())
    }
}

impl Manifest {
    /// Reads a manifest and verifies its checksum.
    pub(crate) fn parse(text: &[u8], folder: CheckpointId) -> Result<Self, Torn> {
        let text = std::str::from_utf8(text).map_err(|_| Torn::new("it is not text"))?;
        let (line, rest) =
            text.split_once('\n').ok_or_else(|| Torn::new("it ends within its first line"))?;
        let digits = rest
            .strip_prefix("crc32:")
            .and_then(|rest| rest.strip_suffix('\n'))
            .filter(|digits| digits.len() == 8)
            .ok_or_else(|| Torn::new("its second line is not a whole checksum"))?;
        let stored = u32::from_str_radix(digits, 16)
            .map_err(|_| Torn::new(format!("its checksum {digits:?} is not a number")))?;
        let actual = crc32fast::hash(line.as_bytes());
        if stored != actual {
            let reason = format!("its checksum is {actual:08x}, it should be {stored:08x}");
            return Err(Torn::new(reason));
        }
        let manifest: Self = serde_json::from_str(line)
            .map_err(|error| Torn::new(format!("its contents cannot be understood: {error}")))?;
        if manifest.format != 1 {
            return Err(Torn::new(format!("it has format {}, 1 is known", manifest.format)));
        }
        if manifest.checkpoint != folder {
            let reason = format!("it speaks of checkpoint {}", manifest.checkpoint);
            return Err(Torn::new(reason));
        }
        Ok(manifest)
    }

    /// The id of the vertex with this name.
    pub(super) fn vertex(&self, name: &str) -> Option<u16> {
        self.vertices.iter().find(|vertex| vertex.name == name).map(|vertex| vertex.id)
    }

    /// The number of subtasks of all vertices.
    pub fn subtasks(&self) -> u64 {
        self.vertices.iter().map(|vertex| u64::from(vertex.parallelism)).sum()
    }
}
