//! A history in memory, ready to be judged or tampered with.

use std::collections::BTreeMap;

use stormproof_harness::oracle::checkpoint_reader::{CheckpointState, Manifest, MemoryCheckpoints};
use stormproof_harness::oracle::evidence::{Effect, MemoryAudit};
use stormproof_harness::oracle::{
    Check, CheckpointId, Conditions, Input, Judgement, Verdict, judge,
};
use stormproof_harness::workload::ledger::{Ledger, Offset, PartitionId};

/// Everything that a run left behind.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) ledger: Ledger,
    pub(crate) audit: MemoryAudit,
    pub(crate) checkpoints: MemoryCheckpoints,
    pub(crate) conditions: Conditions,
}

impl History {
    pub(crate) fn judge(&mut self) -> Judgement {
        judge(Input {
            ledger: &self.ledger,
            checkpoints: &mut self.checkpoints,
            audit: &mut self.audit,
            conditions: self.conditions.clone(),
        })
    }

    /// Judges and expects a conviction by the rule `id`; returns the check.
    pub(crate) fn convicted_by(&mut self, id: &str) -> Check {
        let judgement = self.judge();
        let check = judgement.check(id).unwrap_or_else(|| panic!("no rule {id}")).clone();
        assert_eq!(check.verdict, Verdict::Violated, "{id} must convict: {judgement:#?}");
        assert_eq!(judgement.verdict, Verdict::Violated, "the worst verdict counts");
        assert!(!check.witnesses.is_empty(), "a conviction names a witness: {check:#?}");
        check
    }

    /// How often each record has an effect.
    pub(crate) fn multiplicities(&self) -> BTreeMap<(PartitionId, Offset), usize> {
        let mut counts = BTreeMap::new();
        for effect in &self.audit.effects {
            *counts.entry((effect.partition, effect.offset)).or_default() += 1;
        }
        counts
    }

    /// The smallest effect whose record has no other one.
    pub(crate) fn only_effect(&self) -> Effect {
        let counts = self.multiplicities();
        let single = |e: &&Effect| counts[&(e.partition, e.offset)] == 1;
        *self.audit.effects.iter().find(single).expect("some record has one effect")
    }

    /// The restored checkpoints, in the order of attempts.
    pub(crate) fn restored(&self) -> Vec<CheckpointId> {
        let restored = self.audit.fences.iter().map(|fence| fence.restored);
        restored.filter(|id| *id != CheckpointId::NONE).collect()
    }

    pub(crate) fn checkpoint(&mut self, id: CheckpointId) -> &mut (Manifest, CheckpointState) {
        let mut found = self.checkpoints.checkpoints.iter_mut();
        let (_, checkpoint) = found.find(|(found, _)| *found == id).expect("it exists");
        checkpoint.as_mut().expect("it is whole")
    }
}
