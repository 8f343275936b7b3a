//! What can be judged when the log itself lost records that it had acknowledged.
//!
//! From the first lost offset on, a partition's offsets name one record before the loss and another
//! one, or none, after it: an effect there says nothing. So the evidence is cut there, all of it
//! alike: the ledger ([`LedgerBuilder::cut`](crate::workload::ledger::LedgerBuilder::cut)), effects
//! and rows ([`KeptAudit`]), positions and frames ([`KeptCheckpoints`]). Below that every rule holds
//! as ever, and a broken one convicts; above it nothing is judged, and the rule `input-kept` says so:
//! such a run is never proven.
//!
//! The keys of a partition that lost records are not judged: their last values are above the cut.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::case::{Case, Finding, NotJudged};
use super::checkpoint_reader::{CheckpointSource, CheckpointState, Listed, Manifest, Torn};
use super::evidence::{AuditSource, Effect, EvidenceError, Fence, ResultRow};
use super::ids::BatchId;
use super::verdict::{Site, Verdict, Witnesses};
use crate::workload::ledger::{Offset, PartitionId};

/// Acknowledged records that a partition does not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRange {
    /// The partition.
    pub partition: PartitionId,
    /// The first offset that was lost; from here on offsets are given out anew.
    pub from: Offset,
    /// The log end offset before the loss.
    pub to: Offset,
}

impl LostRange {
    /// Offsets that were lost.
    pub fn records(&self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }
}

/// Where each partition is cut: at the lowest of its losses.
#[derive(Debug, Clone, Default)]
pub struct Kept(BTreeMap<PartitionId, Offset>);

impl Kept {
    /// Cuts at what was lost.
    pub fn below(lost: &[LostRange]) -> Self {
        let mut cuts = BTreeMap::new();
        for range in lost {
            let cut = cuts.entry(range.partition).or_insert(range.from);
            *cut = range.from.min(*cut);
        }
        Self(cuts)
    }

    /// The partitions that are cut, and where.
    pub fn cuts(&self) -> impl Iterator<Item = (PartitionId, Offset)> + '_ {
        self.0.iter().map(|(partition, from)| (*partition, *from))
    }

    /// A position in a partition, at most where it is cut.
    pub fn clip(&self, partition: PartitionId, next: Offset) -> Offset {
        self.0.get(&partition).map_or(next, |from| next.min(*from))
    }

    fn has(&self, partition: PartitionId, offset: Offset) -> bool {
        self.0.get(&partition).is_none_or(|from| offset < *from)
    }

    fn has_keys_of(&self, row: &ResultRow<'_>) -> bool {
        !self.0.contains_key(&PartitionId((row.version & 0xffff) as u32))
    }
}

/// The tables, below the cuts.
#[expect(missing_debug_implementations, reason = "a source is an open connection")]
pub struct KeptAudit<'a> {
    /// All of them.
    pub inner: &'a mut dyn AuditSource,
    /// Where they are cut.
    pub kept: &'a Kept,
}

impl AuditSource for KeptAudit<'_> {
    fn effects(&mut self, visit: &mut dyn FnMut(&Effect)) -> Result<(), EvidenceError> {
        let kept = self.kept;
        self.inner.effects(&mut |effect| {
            if kept.has(effect.partition, effect.offset) {
                visit(effect);
            }
        })
    }

    fn retried_batches(&mut self) -> Result<BTreeSet<BatchId>, EvidenceError> {
        self.inner.retried_batches()
    }

    fn fences(&mut self) -> Result<Vec<Fence>, EvidenceError> {
        self.inner.fences()
    }

    fn results(&mut self, visit: &mut dyn FnMut(&ResultRow<'_>)) -> Result<(), EvidenceError> {
        let kept = self.kept;
        self.inner.results(&mut |row| {
            if kept.has_keys_of(row) {
                visit(row);
            }
        })
    }
}

/// The checkpoints, below the cuts.
#[expect(missing_debug_implementations, reason = "a source is an open folder")]
pub struct KeptCheckpoints<'a> {
    /// All of them.
    pub inner: &'a mut dyn CheckpointSource,
    /// Where they are cut.
    pub kept: &'a Kept,
}

impl CheckpointSource for KeptCheckpoints<'_> {
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError> {
        self.inner.list()
    }

    fn state(&mut self, manifest: &Manifest) -> Result<CheckpointState, Torn> {
        let mut state = self.inner.state(manifest)?;
        for split in &mut state.splits {
            split.next_offset = self.kept.clip(split.partition, split.next_offset);
        }
        state.frames.retain(|frame| self.kept.has(frame.partition, frame.offset));
        Ok(state)
    }
}

/// The rule `input-kept`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let lost = &case.conditions.log_lost;
    let records: u64 = lost.iter().map(LostRange::records).sum();
    let partitions = lost.iter().map(|range| range.partition).collect::<BTreeSet<_>>().len();
    let Some(first) = lost.first() else {
        return Ok(Finding::new(Verdict::Proven, "the log kept every record".to_owned()));
    };
    let mut witnesses = Witnesses::default();
    for range in lost {
        witnesses.add(Site::record(range.partition, range.from), || {
            format!(
                "the log of partition {} lost offsets {} to {}",
                range.partition,
                range.from,
                range.to.0.saturating_sub(1)
            )
        });
    }
    let summary = format!(
        "the log itself lost {records} records that it had acknowledged, on {partitions} \
         partitions, offsets {} to {} of partition {} among them: not the engine's doing; from \
         there on nothing is judged",
        first.from,
        first.to.0.saturating_sub(1),
        first.partition
    );
    let mut finding = Finding::new(Verdict::Unknown, summary);
    finding.witnesses = witnesses.smallest().cloned().collect();
    Ok(finding.figure("records", records).figure("partitions", partitions as u64))
}
