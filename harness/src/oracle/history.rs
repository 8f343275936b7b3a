//! The run's history as checkpoints and fences tell it, before any effect is looked at.

use super::checkpoint_reader::{CheckpointSource, Torn};
use super::cut::Cut;
use super::evidence::{AuditSource, EvidenceError, Fence};
use super::ids::CheckpointId;
use super::lineage::Lineage;
use crate::workload::ledger::Ledger;

/// Completed checkpoints, torn ones, and how the attempts grow out of each other.
#[derive(Debug)]
pub(super) struct History {
    /// Completed and readable checkpoints by ascending id.
    pub(super) cuts: Vec<Cut>,
    /// Folders without a usable checkpoint, and why.
    pub(super) torn: Vec<(CheckpointId, Torn)>,
    /// The fence table as found.
    pub(super) fences: Vec<Fence>,
    pub(super) lineage: Lineage,
    /// Whether some cut holds records in sink buffers that may turn out to be committed.
    pub(super) holds_records: bool,
}

impl History {
    /// Whether checkpoints were taken at different parallelisms.
    pub(super) fn is_rescaled(&self) -> bool {
        let parallelism = |cut: &Cut| -> Vec<u32> {
            cut.manifest.vertices.iter().map(|vertex| vertex.parallelism).collect()
        };
        self.cuts.windows(2).any(|pair| parallelism(&pair[0]) != parallelism(&pair[1]))
    }

    /// Reads fences, manifests and state files; one checkpoint is in memory at a time.
    pub(super) fn read(
        ledger: &Ledger,
        checkpoints: &mut dyn CheckpointSource,
        audit: &mut dyn AuditSource,
        keep_held: bool,
    ) -> Result<Self, EvidenceError> {
        let fences = audit.fences()?;
        let (mut cuts, mut torn) = (Vec::new(), Vec::new());
        for listed in checkpoints.list()? {
            let read = listed.manifest.and_then(|manifest| {
                let state = checkpoints.state(&manifest)?;
                Ok(Cut::new(manifest, &state, ledger, keep_held))
            });
            match read {
                Ok(cut) => cuts.push(cut),
                Err(reason) => torn.push((listed.id, reason)),
            }
        }
        cuts.sort_by_key(Cut::id);
        let lineage = Lineage::new(&fences, &cuts, ledger);
        let holds_records = cuts.iter().any(Cut::holds_any);
        Ok(Self { cuts, torn, fences, lineage, holds_records })
    }
}
