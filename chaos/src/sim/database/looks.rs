//! What can be looked up in the database from outside of the job.

use stormproof_engine::ids::{AttemptId, CheckpointId};

use super::Database;
use crate::sim::evidence::{AuditRow, Breach, FenceRow, ResultRow};
use crate::sim::store::Sent;

impl Database {
    /// The tables as they are: audit by `seq`, fence by attempt, results by key hash.
    pub(in crate::sim) fn evidence(&self) -> (Vec<AuditRow>, Vec<FenceRow>, Vec<ResultRow>) {
        let tables = self.tables();
        let mut audit = tables.audit.clone();
        audit.sort_unstable_by_key(|row| row.seq);
        (
            audit,
            tables.fence.values().copied().collect(),
            tables.results.values().cloned().collect(),
        )
    }

    /// A row that was written too late: when a manifest is sent off, everything that is tagged below
    /// its checkpoint is in the database or in the checkpoint's state, to be tagged anew.
    pub(in crate::sim) fn late_row(&self, sent: &Sent) -> Option<String> {
        let tables = self.tables();
        let first_after = |attempt: AttemptId, tag: CheckpointId| {
            let after = (attempt, tag.next())..=(attempt, CheckpointId(u64::MAX));
            let first = sent.range(after).min_by_key(|(_, sent_us)| **sent_us);
            first.map(|((_, checkpoint), sent_us)| (*checkpoint, *sent_us))
        };
        // Neighbours are of one batch, mostly.
        let (mut of, mut first) = (None, None);
        tables.audit.iter().zip(&tables.committed_us).find_map(|(row, committed_us)| {
            let attempt = row.sink_attempt;
            if of.replace((attempt, row.checkpoint)) != Some((attempt, row.checkpoint)) {
                first = first_after(attempt, row.checkpoint);
            }
            let (checkpoint, sent_us) = first?;
            (*committed_us > sent_us).then(|| {
                let (partition, offset, tag) = (row.partition, row.offset, row.checkpoint);
                format!(
                    "partition {partition}, offset {offset}, tagged {tag} by attempt {attempt}, was \
                     committed at {committed_us} us, and the manifest of checkpoint {checkpoint} \
                     was sent off at {sent_us} us"
                )
            })
        })
    }

    /// Records of which there is a row.
    pub(in crate::sim) fn visible(&self) -> usize {
        self.tables().visible.len()
    }

    /// An attempt has failed, for this reason.
    pub(in crate::sim) fn on_attempt_failed(&self, attempt: AttemptId, cause: &str) {
        self.tables().patience.on_attempt_failed(attempt, cause);
    }

    /// What its clients did wrong.
    pub(in crate::sim) fn breaches(&self) -> Vec<Breach> {
        self.tables().patience.breaches().to_vec()
    }

    /// Rows of the audit table.
    pub(in crate::sim) fn audit_rows(&self) -> usize {
        self.tables().audit.len()
    }
}
