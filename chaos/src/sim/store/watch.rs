//! What the storage notices about those who use it: who claimed which attempt and when, who wrote
//! what, who completes checkpoints that are not his to complete, and who deletes what is not his
//! to delete.

use std::collections::BTreeMap;

use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::seam::TimeUs;

use super::{checkpoint_of, is_manifest};
use crate::sim::core::ProcessId;
use crate::sim::evidence::Breach;

/// When an attempt has sent the manifest of a checkpoint off: everybody had acknowledged it by then.
pub(in crate::sim) type Sent = BTreeMap<(AttemptId, CheckpointId), TimeUs>;

/// Notes of the storage.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The attempt that each process has asked for last: its own, unless it was refused.
    claims: BTreeMap<ProcessId, AttemptId>,
    /// When each process has asked for an attempt: also for one that somebody else had.
    asked_us: BTreeMap<ProcessId, Vec<TimeUs>>,
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
    fn claim_of(&self, process: ProcessId) -> AttemptId {
        self.claims.get(&process).copied().unwrap_or(AttemptId(0))
    }

    /// Whether the attempt that a process has now was the last one to write a path.
    pub(super) fn has_written(&self, process: ProcessId, path: &str) -> bool {
        self.writers.get(path) == Some(&self.claim_of(process))
    }

    /// When a process has first asked for an attempt since `from_us`.
    pub(super) fn asked_since(&self, process: ProcessId, from_us: TimeUs) -> Option<TimeUs> {
        self.asked_us.get(&process)?.iter().copied().find(|us| *us >= from_us)
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
            self.claims.insert(process, attempt);
            self.asked_us.entry(process).or_default().push(now_us);
            return;
        }
        let own = self.claim_of(process);
        let Some(checkpoint) = checkpoint_of(path).filter(|_| is_manifest(path)) else { return };
        self.sent.entry((own, checkpoint)).or_insert(now_us);
        if own < latest {
            let what = format!("{process} wrote {path} although attempt {latest} was claimed");
            self.breach("attempt-begins", what);
        }
    }

    /// A write of a process takes effect.
    pub(super) fn on_landed(&mut self, process: ProcessId, path: &str) {
        self.writers.insert(path.to_owned(), self.claim_of(process));
    }

    /// A process sends a deletion off; `newest` is the newest complete checkpoint. What lies before
    /// that is nobody's any more; the rest may yet become complete, or is.
    pub(super) fn on_delete(&mut self, process: ProcessId, path: &str, newest: CheckpointId) {
        let own = self.claim_of(process);
        let is_subsumed = checkpoint_of(path).is_none_or(|checkpoint| checkpoint < newest);
        let Some(writer) = self.writers.get(path).filter(|writer| **writer != own) else { return };
        if !is_subsumed {
            let what = format!("attempt {own} of {process} deletes {path} of attempt {writer}");
            self.breach("own-files", what);
        }
    }

    /// A state file of a checkpoint goes, and its manifest is still there.
    pub(super) fn on_state_before_manifest(&mut self, process: ProcessId, path: &str) {
        self.breach("retention", format!("{process} deleted {path} before its manifest"));
    }

    fn breach(&mut self, rule: &'static str, what: String) {
        if self.breaches.iter().all(|breach| breach.rule != rule) {
            self.breaches.push(Breach { rule, what });
        }
    }
}
