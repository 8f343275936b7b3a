//! How jobs conduct themselves, by their own events: what neither the tables nor the files tell.
//!
//! Attempts begin once each, behind everything that their own process still writes; checkpoints
//! are numbered upwards, past everything that is there; no more are under way than may be; an
//! attempt ends over failed checkpoints when, and only when, more of them in a row have failed than
//! may; and what is not retained is deleted.

use std::collections::{BTreeMap, BTreeSet};

use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::runtime::{CheckpointConfig, JobEvent};
use stormproof_engine::seam::TimeUs;

use super::core::ProcessId;
use super::evidence::{AuditRow, Breach};
use super::store::{Store, checkpoint_of};

/// With these words an attempt says that it ends over failed checkpoints.
const IN_A_ROW: &str = "failed in a row";
/// With these a checkpoint says that it did not fail: a younger one completed.
const SUBSUMED: &str = "subsumed";

/// One attempt, so far.
#[derive(Debug, Default)]
struct Course {
    under_way: BTreeSet<CheckpointId>,
    /// The highest number that is taken: by what was there, or by its own checkpoints.
    taken: CheckpointId,
    completed: CheckpointId,
    failures_in_a_row: u32,
}

/// What was heard of all attempts, and what was wrong with it.
#[derive(Debug)]
pub(super) struct Conduct {
    config: CheckpointConfig,
    begun: BTreeMap<AttemptId, ProcessId>,
    courses: BTreeMap<AttemptId, Course>,
    /// When each checkpoint was given up.
    given_up_us: BTreeMap<CheckpointId, TimeUs>,
    /// The highest number that a process has given out.
    given_out: BTreeMap<ProcessId, CheckpointId>,
    /// The last checkpoint of each attempt that has drained.
    drained: BTreeMap<AttemptId, CheckpointId>,
    breaches: Vec<Breach>,
}

impl Conduct {
    pub(super) fn new(config: CheckpointConfig) -> Self {
        let (begun, courses, given_up_us, given_out, drained) = Default::default();
        Self { config, begun, courses, given_up_us, given_out, drained, breaches: Vec::new() }
    }

    /// The first breach of each rule.
    pub(super) fn into_breaches(mut self, store: &Store) -> Vec<Breach> {
        self.look_at_usurped(store);
        self.breaches
    }

    /// Looks for files of checkpoints that never completed, where nothing can have kept the job
    /// from deleting them.
    pub(super) fn look_at_strays(&mut self, store: &Store) {
        // What was on its way when its checkpoint was given up lands when it lands.
        let stray = store.stray_files().into_iter().find(|(path, landed_us)| {
            let given_up_us = checkpoint_of(path).and_then(|of| self.given_up_us.get(&of));
            given_up_us.is_some_and(|given_up_us| landed_us < given_up_us)
        });
        if let Some((path, landed_us)) = stray {
            let what = format!(
                "{path}, there since {landed_us} us, is left although its checkpoint was given up \
                 after that"
            );
            self.breach("retention", what);
        }
    }

    /// Keeps a breach.
    pub(super) fn breach(&mut self, rule: &'static str, what: String) {
        if self.breaches.iter().all(|breach| breach.rule != rule) {
            self.breaches.push(Breach { rule, what });
        }
    }

    /// Hears an event of a process.
    pub(super) fn hear(
        &mut self,
        process: ProcessId,
        event: &JobEvent,
        now_us: TimeUs,
        store: &Store,
    ) {
        match event {
            JobEvent::AttemptStarted { attempt, restored } => {
                self.on_started(process, *attempt, *restored, store);
            }
            JobEvent::CheckpointTriggered { checkpoint, attempt } => {
                self.on_numbered(process, *checkpoint, *attempt);
                self.on_triggered(*checkpoint, *attempt);
            }
            JobEvent::CheckpointCompleted { checkpoint, attempt, .. } => {
                let course = self.courses.entry(*attempt).or_default();
                course.under_way.remove(checkpoint);
                course.failures_in_a_row = 0;
                let before = std::mem::replace(&mut course.completed, *checkpoint);
                if before > *checkpoint {
                    let what = format!(
                        "attempt {attempt} completed checkpoint {checkpoint} after {before}, which \
                         subsumes it"
                    );
                    self.breach("checkpoint-numbers", what);
                }
            }
            JobEvent::CheckpointAborted { checkpoint, attempt, reason } => {
                self.given_up_us.insert(*checkpoint, now_us);
                let course = self.courses.entry(*attempt).or_default();
                course.under_way.remove(checkpoint);
                course.failures_in_a_row += u32::from(!reason.starts_with(SUBSUMED));
            }
            JobEvent::AttemptFailed { attempt, cause } => {
                let course = self.courses.remove(attempt).unwrap_or_default();
                let (seen, may) = (course.failures_in_a_row, self.config.tolerable_failures);
                if cause.contains(IN_A_ROW) && seen <= may {
                    let what = format!(
                        "attempt {attempt} ended although {seen} checkpoints had failed in a row, \
                         and {may} may: {cause}"
                    );
                    self.breach("checkpoint-failures", what);
                }
            }
            JobEvent::Finished { attempt, drained: true } => {
                let course = self.courses.entry(*attempt).or_default();
                self.drained.insert(*attempt, course.completed);
            }
            _ => {}
        }
    }

    /// With its last checkpoint everything has left a job that drains: it writes nothing after it,
    /// and nothing that it had read is left for another attempt to write.
    pub(super) fn look_at_drained(&mut self, audit: &[AuditRow]) {
        let mut found = None;
        for (attempt, last) in &self.drained {
            found = found.or_else(|| {
                audit.iter().find_map(|row| {
                    let (partition, offset, at) = (row.partition, row.offset, row.sink_attempt);
                    let record = format!("partition {partition}, offset {offset}");
                    let drained = format!("attempt {attempt}, which had drained with {last}");
                    if at == *attempt && row.checkpoint >= *last {
                        return Some(format!("{record} was written after that by {drained}"));
                    }
                    let is_left = at > *attempt && row.source_attempt <= *attempt;
                    is_left.then(|| format!("{record} was left to attempt {at} by {drained}"))
                })
            });
        }
        if let Some(what) = found {
            self.breach("clean-drain", what);
        }
    }

    /// A process that has been overtaken must not complete anything.
    fn look_at_usurped(&mut self, store: &Store) {
        if let Some((process, path, latest)) = store.usurped() {
            let what = format!("{process} wrote {path} although attempt {latest} was claimed");
            self.breach("attempt-begins", what);
        }
    }

    fn on_started(
        &mut self,
        process: ProcessId,
        attempt: AttemptId,
        restored: CheckpointId,
        store: &Store,
    ) {
        store.note_attempt(process, attempt);
        let newest = store.newest_seen_by(process);
        if restored < newest {
            let what = format!(
                "attempt {attempt} restored checkpoint {restored} although {newest} was complete \
                 when it looked"
            );
            self.breach("restore-landed", what);
        }
        if let Some(path) = store.manifest_under_way_of(process) {
            let what = format!(
                "attempt {attempt} began while {path} of its own process was still being written"
            );
            self.breach("attempt-begins", what);
        }
        let given_out = self.given_out.get(&process).copied().unwrap_or(CheckpointId::NONE);
        let taken = store.highest_seen_by(process).max(given_out);
        self.courses.entry(attempt).or_default().taken = taken;
        if let Some(other) = self.begun.insert(attempt, process) {
            let what = format!("attempt {attempt} was begun by {other} and by {process}");
            self.breach("attempt-begins", what);
        }
    }

    /// A number is given out once: what lies there under it may belong to another checkpoint.
    fn on_numbered(&mut self, process: ProcessId, checkpoint: CheckpointId, attempt: AttemptId) {
        self.given_out.insert(process, checkpoint);
        let course = self.courses.entry(attempt).or_default();
        let taken = std::mem::replace(&mut course.taken, checkpoint);
        if checkpoint <= taken {
            let what = format!(
                "attempt {attempt} began checkpoint {checkpoint} although numbers up to {taken} \
                 were taken"
            );
            self.breach("checkpoint-numbers", what);
        }
    }

    fn on_triggered(&mut self, checkpoint: CheckpointId, attempt: AttemptId) {
        let course = self.courses.entry(attempt).or_default();
        course.under_way.insert(checkpoint);
        let (under_way, failures) = (course.under_way.len(), course.failures_in_a_row);
        let may = match self.config.min_pause_ms {
            0 => self.config.max_concurrent.max(1),
            _ => 1,
        };
        if under_way > may {
            let what = format!(
                "with checkpoint {checkpoint} attempt {attempt} has {under_way} under way, and \
                 {may} may be"
            );
            self.breach("checkpoint-pace", what);
        }
        if failures > self.config.tolerable_failures {
            let what = format!(
                "attempt {attempt} goes on with checkpoint {checkpoint} although {failures} have \
                 failed in a row, and {} may",
                self.config.tolerable_failures
            );
            self.breach("checkpoint-failures", what);
        }
    }

    /// Looks at what the storage holds once a job has drained. Not to be asked where a write, or
    /// a look, may have failed: what is not known to exist is not deleted.
    pub(super) fn look_at_retained(&mut self, store: &Store) {
        let (held, excused) = (store.manifests(), store.excused_manifests());
        // An attempt that was taken for dead may have completed what it had under way behind its
        // successor's look; and nobody waits for those that the last one has subsumed.
        let (attempts, may_concur) = (self.begun.len(), self.config.max_concurrent.max(1));
        let may = self.config.retained.max(1) + excused + attempts * may_concur;
        if held > may {
            let what = format!(
                "{held} checkpoints are left, {} are retained; {excused} may be left of processes \
                 that died, and {may_concur} of each of {attempts} attempts",
                self.config.retained
            );
            self.breach("retention", what);
        }
    }
}
