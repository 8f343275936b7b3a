//! How jobs conduct themselves, by their own events: what neither the tables nor the files tell.
//!
//! Attempts begin once each, behind everything that their own process still writes; checkpoints
//! are numbered upwards, past everything that is there; no more are under way than may be, and none
//! for longer than it may; an attempt ends over failed checkpoints when, and only when, more of them
//! in a row have failed than may; a process starts again as its restart strategy says; and what is
//! not retained is deleted.

mod restarts;

use std::collections::BTreeMap;

use stormproof_engine::error::EngineError;
use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::runtime::{CheckpointConfig, JobEvent};
use stormproof_engine::seam::TimeUs;

use self::restarts::{FENCED, Restarts};
use super::core::ProcessId;
use super::evidence::{AuditRow, Breach};
use super::plan::Plan;
use super::store::{Store, checkpoint_of};

/// With these words an attempt says that it ends over failed checkpoints.
const IN_A_ROW: &str = "failed in a row";
/// With these a checkpoint says that it did not fail: a younger one completed.
const SUBSUMED: &str = "subsumed";
/// With these, that it is given up for its age.
const EXPIRED: &str = "expired";
/// With these an attempt ends when that befalls the checkpoint that it was to drain with.
const LAST_EXPIRED: &str = "the last checkpoint failed: expired";
/// What an event may be late by: the clock moves on within a step.
const EVENT_LATE_US: TimeUs = 1_000;

/// One attempt, so far.
#[derive(Debug, Default)]
struct Course {
    /// Since when each is under way.
    under_way: BTreeMap<CheckpointId, TimeUs>,
    /// The highest number that is taken: by what was there, or by its own checkpoints.
    taken: CheckpointId,
    completed: CheckpointId,
    /// How many it has completed.
    completions: usize,
    failures_in_a_row: u32,
    /// When it began.
    begun_us: TimeUs,
    /// When it began, or triggered a checkpoint last.
    triggered_us: TimeUs,
    completed_us: Option<TimeUs>,
    /// What was triggered before an interval was over, in the words of the rule.
    hasty: Option<String>,
    is_running: bool,
}

/// What was heard of all attempts, and what was wrong with it.
#[derive(Debug)]
pub(super) struct Conduct {
    config: CheckpointConfig,
    begun: BTreeMap<AttemptId, ProcessId>,
    courses: BTreeMap<AttemptId, Course>,
    /// Who gave each checkpoint up, and when.
    given_up: BTreeMap<CheckpointId, (AttemptId, TimeUs)>,
    /// When each completed.
    completed_us: BTreeMap<CheckpointId, TimeUs>,
    /// The checkpoint that completed last, and when its attempt had listed what others left.
    last: (CheckpointId, TimeUs),
    /// The highest number that a process has given out.
    given_out: BTreeMap<ProcessId, CheckpointId>,
    /// The last checkpoint of each attempt that has drained.
    drained: BTreeMap<AttemptId, CheckpointId>,
    restarts: Restarts,
    /// From then on nothing disturbs anybody.
    calm_us: Option<TimeUs>,
    breaches: Vec<Breach>,
}

impl Conduct {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            config: plan.checkpoint.clone(),
            begun: BTreeMap::new(),
            courses: BTreeMap::new(),
            given_up: BTreeMap::new(),
            completed_us: BTreeMap::new(),
            last: (CheckpointId::NONE, 0),
            given_out: BTreeMap::new(),
            drained: BTreeMap::new(),
            restarts: Restarts::of(plan),
            calm_us: None,
            breaches: Vec::new(),
        }
    }

    /// Whether a rule has been broken.
    pub(super) fn has_breaches(&self) -> bool {
        !self.breaches.is_empty()
    }

    /// The first breach of each rule.
    pub(super) fn into_breaches(mut self, store: &Store) -> Vec<Breach> {
        for Breach { rule, what } in store.breaches() {
            self.breach(rule, what);
        }
        self.breaches
    }

    /// Looks for files without a manifest that an only process, whose looks at the storage have never
    /// failed, should have deleted: of checkpoints that were given up, that were retained and are not
    /// any more, and that others had left before the attempt looked that completed one after them.
    pub(super) fn look_at_strays(&mut self, store: &Store) {
        let (newest, listed_us) = self.last;
        // What was on its way meanwhile lands when it lands.
        let why_not = |of: CheckpointId, landed_us: TimeUs| {
            let given_up = self.given_up.get(&of);
            if given_up.is_some_and(|(_, us)| landed_us < *us) {
                return Some("its checkpoint was given up after that");
            }
            if self.completed_us.get(&of).is_some_and(|us| landed_us < *us) {
                return Some("its checkpoint was complete once, and is not retained");
            }
            if given_up.is_some_and(|(by, _)| self.drained.contains_key(by)) {
                return Some("its checkpoint was given up by the attempt that has drained");
            }
            (of < newest && landed_us < listed_us)
                .then_some("an attempt found it, and has completed a later checkpoint")
        };
        let stray = store.stray_files().into_iter().find_map(|(path, landed_us)| {
            let why = checkpoint_of(&path).and_then(|of| why_not(of, landed_us))?;
            Some(format!("{path}, there since {landed_us} us, is left although {why}"))
        });
        if let Some(what) = stray {
            self.breach("retention", what);
        }
    }

    /// From `from_us` on nothing disturbs anybody, and every checkpoint can complete in time.
    pub(super) fn be_calm(&mut self, from_us: TimeUs) {
        self.calm_us = Some(from_us);
    }

    /// Whether something that began at `from_us` was never disturbed.
    fn is_calm_since(&self, from_us: TimeUs) -> bool {
        self.calm_us.is_some_and(|calm_us| from_us > calm_us)
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
                self.on_started(process, *attempt, *restored, now_us, store);
            }
            JobEvent::AttemptRunning { attempt, .. } => {
                self.courses.entry(*attempt).or_default().is_running = true;
            }
            JobEvent::ClaimFailed { cause } => self.restarts.on_failed(process, cause, now_us),
            JobEvent::CheckpointTriggered { checkpoint, attempt } => {
                self.on_numbered(process, *checkpoint, *attempt);
                self.on_triggered(*checkpoint, *attempt, now_us);
            }
            JobEvent::CheckpointCompleted { checkpoint, attempt, .. } => {
                let course = self.courses.entry(*attempt).or_default();
                course.under_way.remove(checkpoint);
                course.failures_in_a_row = 0;
                course.completions += 1;
                course.completed_us = Some(now_us);
                self.completed_us.insert(*checkpoint, now_us);
                self.last = (*checkpoint, store.looked_us_by(process));
                let before = std::mem::replace(&mut course.completed, *checkpoint);
                if before > *checkpoint {
                    let what = format!(
                        "attempt {attempt} completed checkpoint {checkpoint} after {before}, which \
                         subsumes it"
                    );
                    self.breach("checkpoint-numbers", what);
                }
                let latest = store.latest_claim();
                if latest > *attempt {
                    let what = format!(
                        "attempt {attempt} completed checkpoint {checkpoint} although attempt \
                         {latest} was claimed"
                    );
                    self.breach("attempt-begins", what);
                }
            }
            JobEvent::CheckpointAborted { checkpoint, attempt, reason } => {
                self.given_up.insert(*checkpoint, (*attempt, now_us));
                let course = self.courses.entry(*attempt).or_default();
                let triggered_us = course.under_way.remove(checkpoint).unwrap_or(0);
                let age_us = now_us - triggered_us;
                if reason.starts_with(EXPIRED) && store.has_sent_manifest(*attempt, *checkpoint) {
                    let what =
                        format!("checkpoint {checkpoint} {reason}, with its manifest on its way");
                    self.breach("checkpoint-expiry", what);
                }
                if reason.starts_with(EXPIRED) && self.is_calm_since(triggered_us) {
                    let what = format!("checkpoint {checkpoint} {reason} although all is sound");
                    self.breach("checkpoint-expiry", what);
                }
                if reason.starts_with(EXPIRED)
                    && age_us + EVENT_LATE_US < self.config.timeout_ms * 1_000
                {
                    let what = format!("checkpoint {checkpoint} {reason}, and was {age_us} us old");
                    self.breach("checkpoint-expiry", what);
                }
                let course = self.courses.entry(*attempt).or_default();
                course.failures_in_a_row += u32::from(!reason.starts_with(SUBSUMED));
            }
            JobEvent::AttemptFailed { attempt, cause } => {
                self.restarts.on_failed(process, cause, now_us);
                let course = self.courses.remove(attempt).unwrap_or_default();
                let (seen, may) = (course.failures_in_a_row, self.config.tolerable_failures);
                if self.is_calm_since(course.begun_us) && !cause.starts_with(FENCED) {
                    let what = format!("attempt {attempt} failed although all is sound: {cause}");
                    self.breach("liveness", what);
                }
                let is_calm = course.under_way.values().all(|us| self.is_calm_since(*us));
                if cause.contains(LAST_EXPIRED) && is_calm {
                    let what = format!("attempt {attempt} ended although all is sound: {cause}");
                    self.breach("checkpoint-expiry", what);
                }
                if cause.contains(IN_A_ROW) && seen <= may {
                    let what = format!(
                        "attempt {attempt} ended although {seen} checkpoints had failed in a row, \
                         and {may} may: {cause}"
                    );
                    self.breach("checkpoint-failures", what);
                }
            }
            JobEvent::Finished { attempt, drained } => {
                if *drained {
                    let course = self.courses.entry(*attempt).or_default();
                    self.drained.insert(*attempt, course.completed);
                }
                if let Some(path) = store.deletion_under_way_of(process) {
                    let what = format!(
                        "attempt {attempt} ended the job while {process} was still deleting {path}"
                    );
                    self.breach("retention", what);
                }
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
                    let at = row.sink_attempt;
                    let is_after = at == *attempt && row.checkpoint >= *last;
                    let is_left = at > *attempt && row.source_attempt <= *attempt;
                    let what = match (is_after, is_left) {
                        (true, _) => "was written after that".to_owned(),
                        (_, true) => format!("was left to attempt {at}"),
                        (false, false) => return None,
                    };
                    let (partition, offset) = (row.partition, row.offset);
                    Some(format!(
                        "partition {partition}, offset {offset} {what} by attempt {attempt}, which \
                         had drained with {last}"
                    ))
                })
            });
        }
        if let Some(what) = found {
            self.breach("clean-drain", what);
        }
    }

    /// A process has ended.
    pub(super) fn on_over(&mut self, process: ProcessId, error: &EngineError) {
        if let Some(what) = self.restarts.on_over(process, error) {
            self.breach("restart-strategy", what);
        }
    }

    /// Looks at the checkpoints that an attempt has under way when a step of it is over that began
    /// at `began_us`: none is left that was too old by then and had no manifest on its way.
    pub(super) fn look_at_ages(&mut self, attempt: AttemptId, began_us: TimeUs, store: &Store) {
        let timeout_us = self.config.timeout_ms * 1_000;
        let Some(course) = self.courses.get(&attempt) else { return };
        let too_old = course.under_way.iter().find(|(checkpoint, triggered_us)| {
            **triggered_us + timeout_us <= began_us
                && !store.has_sent_manifest(attempt, **checkpoint)
        });
        if let Some((checkpoint, triggered_us)) = too_old {
            let what = format!(
                "checkpoint {checkpoint} has been under way for {} us, and {timeout_us} us is the \
                 timeout",
                began_us - triggered_us
            );
            self.breach("checkpoint-expiry", what);
        }
    }

    /// How many checkpoints may be under way at once.
    fn may_concur(&self) -> usize {
        match self.config.min_pause_ms {
            0 => self.config.max_concurrent.max(1),
            _ => 1,
        }
    }

    /// Looks for a checkpoint that an attempt has not begun in a step, over now, that began at
    /// `began_us`. Not to be asked once the job was told to drain: nothing follows the last one.
    pub(super) fn look_at_due(&mut self, attempt: AttemptId, began_us: TimeUs) {
        let may = self.may_concur();
        let Some(course) = self.courses.get(&attempt) else { return };
        let by_interval = course.triggered_us + self.config.interval_ms * 1_000;
        let by_pause = course.completed_us.map_or(0, |end| end + self.config.min_pause_ms * 1_000);
        let due_us = by_interval.max(by_pause);
        if course.is_running && course.under_way.len() < may && due_us <= began_us {
            let what = format!(
                "attempt {attempt} has begun no checkpoint at {began_us} us, and one was due at \
                 {due_us} us"
            );
            self.breach("checkpoint-due", what);
        }
    }

    /// Looks for a checkpoint that an attempt has begun before its time in the step that is over now.
    /// Not to be asked once the job was told to drain: its last checkpoint waits for nothing.
    pub(super) fn look_at_haste(&mut self, attempt: AttemptId) {
        let course = self.courses.get_mut(&attempt);
        if let Some(what) = course.and_then(|course| course.hasty.take()) {
            self.breach("checkpoint-pace", what);
        }
    }

    /// Looks at the pause of a process after a step.
    pub(super) fn look_at_pause(&mut self, process: ProcessId, until_us: TimeUs) {
        if let Some(what) = self.restarts.at_pause(process, until_us) {
            self.breach("restart-strategy", what);
        }
    }

    /// Looks at what one process, the only one so far, keeps behind a step in which a checkpoint
    /// has completed, as the last of `completed`: as many as are retained, or all if there are
    /// fewer. Not to be asked once a write, or a look, may have failed.
    pub(super) fn look_at_kept(&mut self, process: ProcessId, store: &Store, completed: usize) {
        let (kept, most) = (store.manifests_at_rest(), self.config.retained.max(1));
        let least = most.min(completed).saturating_sub(store.doomed_seen_by(process));
        if !(least..=most).contains(&kept) {
            let what = format!(
                "{kept} checkpoints are kept when {completed} have completed, and {most} are \
                 retained"
            );
            self.breach("retention", what);
        }
    }

    /// Looks at what an attempt whose process found no other one keeps behind a step in which it has
    /// completed a checkpoint: of what it restored and what lay before that, and of its own, the
    /// newest, as many as are retained. What is damaged before it is one of them, for nobody reads
    /// it; what was found damaged after it is none. Not to be asked once a write, or a look, may have
    /// failed.
    pub(super) fn look_at_left(&mut self, process: ProcessId, attempt: AttemptId, store: &Store) {
        let Some(course) = self.courses.get(&attempt) else { return };
        let newest = |many: usize| (1_u64 << many.min(63)) - 1;
        let (found, completions) = (store.whole_seen_by(process), course.completions.min(63));
        let retained = self.config.retained.max(1);
        let whole = (found << completions | newest(completions)) & newest(retained);
        let (least, left) = (whole.count_ones(), store.whole());
        if left < least {
            let what = format!(
                "attempt {attempt} has completed {completions} checkpoints, and keeps {left} that \
                 are whole; of what it found and its own, {least} of the newest {retained} are"
            );
            self.breach("retention", what);
        }
    }

    fn on_started(
        &mut self,
        process: ProcessId,
        attempt: AttemptId,
        restored: CheckpointId,
        now_us: TimeUs,
        store: &Store,
    ) {
        let asked_since = |from_us| store.asked_since(process, from_us);
        if let Some(what) = self.restarts.on_begun(process, attempt, asked_since) {
            self.breach("restart-strategy", what);
        }
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
        let course = self.courses.entry(attempt).or_default();
        (course.taken, course.begun_us, course.triggered_us) = (taken, now_us, now_us);
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

    fn on_triggered(&mut self, checkpoint: CheckpointId, attempt: AttemptId, now_us: TimeUs) {
        let course = self.courses.entry(attempt).or_default();
        course.under_way.insert(checkpoint, now_us);
        let before_us = std::mem::replace(&mut course.triggered_us, now_us);
        let since_us = now_us - before_us;
        if since_us + EVENT_LATE_US < self.config.interval_ms * 1_000 {
            course.hasty = Some(format!(
                "attempt {attempt} triggered checkpoint {checkpoint} {since_us} us after the one \
                 before, or after it began"
            ));
        }
        let (under_way, failures) = (course.under_way.len(), course.failures_in_a_row);
        let may = self.may_concur();
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
