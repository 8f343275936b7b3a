//! What can be looked up in the storage from outside of the job.

use std::collections::BTreeMap;

use bytes::Bytes;
use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::seam::TimeUs;

use super::{Looked, Sent, Store, checkpoint_of, claimed_by, is_manifest};
use crate::sim::core::ProcessId;
use crate::sim::evidence::Breach;

impl Store {
    /// The newest checkpoint that was complete when the process listed everything last.
    pub(in crate::sim) fn newest_seen_by(&self, process: ProcessId) -> CheckpointId {
        self.looked_at_by(process).newest
    }

    /// The highest number under which anything lay then.
    pub(in crate::sim) fn highest_seen_by(&self, process: ProcessId) -> CheckpointId {
        self.looked_at_by(process).highest
    }

    /// Complete checkpoints that were being deleted then: they pass for retained ones.
    pub(in crate::sim) fn doomed_seen_by(&self, process: ProcessId) -> usize {
        self.looked_at_by(process).doomed
    }

    /// Which of the newest checkpoints were whole then, the lowest bit for the newest one.
    pub(in crate::sim) fn whole_seen_by(&self, process: ProcessId) -> u64 {
        self.looked_at_by(process).whole
    }

    /// Checkpoints that are whole now, and that nobody is deleting.
    pub(in crate::sim) fn whole(&self) -> u32 {
        self.disk().whole().count_ones()
    }

    /// When it did that.
    pub(in crate::sim) fn looked_us_by(&self, process: ProcessId) -> TimeUs {
        self.looked_at_by(process).at_us
    }

    fn looked_at_by(&self, process: ProcessId) -> Looked {
        self.disk().looked.get(&process).copied().unwrap_or_default()
    }

    /// A manifest that the process is writing, or of which it has not heard yet.
    pub(in crate::sim) fn manifest_under_way_of(&self, process: ProcessId) -> Option<String> {
        let disk = self.disk();
        let mut own = disk.operations.values().filter(|operation| {
            operation.owner.process() == process && operation.completes_a_checkpoint()
        });
        own.next().map(|operation| operation.path.clone())
    }

    /// A deletion of the process that is under way, or of which it has not heard yet.
    pub(in crate::sim) fn deletion_under_way_of(&self, process: ProcessId) -> Option<String> {
        let disk = self.disk();
        let mut own = disk
            .operations
            .values()
            .filter(|operation| operation.owner.process() == process && operation.is_deletion());
        own.next().map(|operation| operation.path.clone())
    }

    /// Files of checkpoints that have no manifest, and that nobody is deleting; with the moment at
    /// which they landed.
    pub(in crate::sim) fn stray_files(&self) -> Vec<(String, TimeUs)> {
        let disk = self.disk();
        let is_complete = |checkpoint: CheckpointId| {
            disk.objects.keys().any(|p| is_manifest(p) && checkpoint_of(p) == Some(checkpoint))
        };
        let may_complete = |checkpoint: CheckpointId| {
            let mut written = disk.operations.values().filter(|o| o.completes_a_checkpoint());
            written.any(|operation| checkpoint_of(&operation.path) == Some(checkpoint))
        };
        let is_under_way =
            |path: &str| disk.operations.values().any(|operation| operation.is_about(path));
        let strays = disk.objects.keys().filter(|path| {
            let is_unfinished =
                checkpoint_of(path).is_some_and(|of| !is_complete(of) && !may_complete(of));
            is_unfinished && !is_under_way(path) && !disk.undeleted.contains(*path)
        });
        // What a death has torn never landed.
        let landed_us = |path| disk.landed_us.get(path).copied().unwrap_or(TimeUs::MAX);
        strays.map(|path| (path.clone(), landed_us(path))).collect()
    }

    /// The latest attempt that anybody has claimed.
    pub(in crate::sim) fn latest_claim(&self) -> AttemptId {
        let claims = self.disk();
        let claims = claims.objects.keys().filter_map(|path| claimed_by(path));
        claims.max().unwrap_or(AttemptId(0))
    }

    /// When a process has first asked for an attempt since `from_us`.
    pub(in crate::sim) fn asked_since(
        &self,
        process: ProcessId,
        from_us: TimeUs,
    ) -> Option<TimeUs> {
        self.disk().watch.asked_since(process, from_us)
    }

    /// Whether an attempt has sent the manifest of a checkpoint off.
    pub(in crate::sim) fn has_sent_manifest(
        &self,
        attempt: AttemptId,
        checkpoint: CheckpointId,
    ) -> bool {
        self.disk().watch.sent().contains_key(&(attempt, checkpoint))
    }

    /// The manifests that were sent off.
    pub(in crate::sim) fn sent_manifests(&self) -> Sent {
        self.disk().watch.sent().clone()
    }

    /// What its users did wrong.
    pub(in crate::sim) fn breaches(&self) -> Vec<Breach> {
        self.disk().watch.breaches().to_vec()
    }

    /// Checkpoints that are there.
    pub(in crate::sim) fn manifests(&self) -> usize {
        self.disk().objects.keys().filter(|path| is_manifest(path)).count()
    }

    /// Checkpoints that are there, that their writers have heard of, and that nobody is deleting.
    pub(in crate::sim) fn manifests_at_rest(&self) -> usize {
        let disk = self.disk();
        let is_at_rest = |path: &&String| {
            is_manifest(path) && !disk.operations.values().any(|operation| operation.is_about(path))
        };
        disk.objects.keys().filter(is_at_rest).count()
    }

    /// How many of them may be there although nobody retains them.
    pub(in crate::sim) fn excused_manifests(&self) -> usize {
        let disk = self.disk();
        let under_way = disk.operations.values().filter(|operation| is_manifest(&operation.path));
        disk.excused + under_way.count()
    }

    /// Everything that ever stood there; of a path that was written twice, what is there now.
    pub(in crate::sim) fn evidence(&self) -> BTreeMap<String, Bytes> {
        let disk = self.disk();
        let mut all = disk.objects.clone();
        for (path, data) in &disk.seen {
            all.entry(path.clone()).or_insert_with(|| data.clone());
        }
        all
    }
}
