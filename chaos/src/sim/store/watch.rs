//! What the storage notices about those who use it: who claimed which attempt and when, who wrote
//! what, who completes checkpoints that are not his to complete, and who deletes what is not his
//! to delete.

use std::collections::BTreeMap;

use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::seam::TimeUs;

use super::{checkpoint_of, is_manifest};
use crate::sim::core::ProcessId;
use crate::sim::evidence::Breach;

/// An attempt that a process has asked for: its own from then on, unless it was refused.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sim) struct Claim {
    pub(in crate::sim) attempt: AttemptId,
    /// When it asked.
    pub(in crate::sim) at_us: TimeUs,
}

/// When an attempt has sent the manifest of a checkpoint off: everybody had acknowledged it by then.
pub(in crate::sim) type Sent = BTreeMap<(AttemptId, CheckpointId), TimeUs>;

/// Notes of the storage.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last claim of each process.
    claims: BTreeMap<ProcessId, Claim>,
    /// The attempt of whoever wrote a path last.
    writers: BTreeMap<String, AttemptId>,
    sent: Sent,
    breaches: Vec<Breach>,
}

/// The attempt that a path claims.
pub(super) fn claimed_by(path: &str) -> Option<AttemptId> {
    let digits = path.strip_prefix("attempts/attempt-")?.strip_suffix(".json")?;
    digits.parse().ok().map(AttemptId)
}

impl Watch {
    /// The last claim of a process.
    pub(super) fn claim_of(&self, process: ProcessId) -> Claim {
        self.claims.get(&process).copied().unwrap_or_default()
    }

    /// The manifests that were sent off.
    pub(super) fn sent(&self) -> &Sent {
        &self.sent
    }

    /// The first breach of each rule.
    pub(super) fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// A process sends a write off; `latest` is the latest attempt that anybody has claimed.
    pub(super) fn on_write(
        &mut self,
        process: ProcessId,
        path: &str,
        latest: AttemptId,
        now_us: TimeUs,
    ) {
        if let Some(attempt) = claimed_by(path) {
            self.claims.insert(process, Claim { attempt, at_us: now_us });
            return;
        }
        let own = self.claim_of(process).attempt;
        let Some(checkpoint) = checkpoint_of(path).filter(|_| is_manifest(path)) else { return };
        self.sent.entry((own, checkpoint)).or_insert(now_us);
        if own < latest {
            let what = format!("{process} wrote {path} although attempt {latest} was claimed");
            self.breach("attempt-begins", what);
        }
    }

    /// A write of a process takes effect.
    pub(super) fn on_landed(&mut self, process: ProcessId, path: &str) {
        self.writers.insert(path.to_owned(), self.claim_of(process).attempt);
    }

    /// A process sends a deletion off; `newest` is the newest complete checkpoint. What lies before
    /// that is nobody's any more.
    pub(super) fn on_delete(&mut self, process: ProcessId, path: &str, newest: CheckpointId) {
        let own = self.claim_of(process).attempt;
        let is_subsumed = checkpoint_of(path).is_none_or(|checkpoint| checkpoint < newest);
        let Some(writer) = self.writers.get(path).filter(|writer| **writer > own) else { return };
        if !is_subsumed {
            let what = format!("attempt {own} of {process} deletes {path} of attempt {writer}");
            self.breach("own-files", what);
        }
    }

    fn breach(&mut self, rule: &'static str, what: String) {
        if self.breaches.iter().all(|breach| breach.rule != rule) {
            self.breaches.push(Breach { rule, what });
        }
    }
}
