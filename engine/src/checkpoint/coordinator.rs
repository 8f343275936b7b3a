//! The checkpoint coordinator: decides when checkpoints begin, complete and are given up.
//!
//! Pure: inputs and the time go in, commands come out; whoever drives it does the I/O.
//! Order of a checkpoint, as Flink has it: trigger -> every subtask acknowledges -> manifest durable
//! (the commit point) -> older pending ones subsumed -> everyone notified.
//! Invariant: an acknowledgement counts only for its own execution attempt, and a checkpoint
//! completes only with every subtask's.

use std::collections::{BTreeMap, VecDeque};

use super::manifest::{Manifest, ManifestVertex, StateFileRef};
use crate::ids::{AttemptId, CheckpointId, WorkerIndex};
use crate::mutants;
use crate::runtime::{CheckpointConfig, CheckpointStats};
use crate::seam::TimeUs;

/// A worker's part of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement {
    /// The attempt it was taken in.
    pub attempt: AttemptId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The worker.
    pub worker: WorkerIndex,
    /// How many subtasks it speaks for.
    pub subtasks: u64,
    /// The durable state file.
    pub file: StateFileRef,
    /// The worker's share of the figures; `duration_us` is not set.
    pub stats: CheckpointStats,
}

/// What the driver of the coordinator has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Tell every worker to begin.
    Trigger {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Whether everything must leave the job with it.
        drain: bool,
    },
    /// Write the manifest: the commit point.
    WriteManifest(Box<Manifest>),
    /// Tell every worker that it is complete.
    Notify {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Its figures.
        stats: CheckpointStats,
        /// Whether it was the last one before a stop.
        drain: bool,
    },
    /// Tell every worker that it will never complete.
    Abort {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: String,
    },
    /// Delete an old checkpoint.
    Delete(CheckpointId),
    /// Delete what this attempt has written for a checkpoint that will never complete.
    Discard(CheckpointId),
    /// Too many failures in a row.
    FailJob(String),
}

#[derive(Debug)]
struct Pending {
    drain: bool,
    triggered_us: TimeUs,
    acknowledgements: BTreeMap<WorkerIndex, Acknowledgement>,
    is_writing: bool,
}

/// What the coordinator has to know about its job.
#[derive(Clone, Debug)]
pub struct JobFacts {
    /// The job's name.
    pub job: String,
    /// The attempt.
    pub attempt: AttemptId,
    /// Workers that acknowledge.
    pub workers: usize,
    /// Subtasks that acknowledge, over all workers.
    pub subtasks: u64,
    /// The vertices.
    pub vertices: Vec<ManifestVertex>,
}

/// The coordinator of one attempt.
#[derive(Debug)]
pub struct Coordinator {
    config: CheckpointConfig,
    facts: JobFacts,
    next_id: CheckpointId,
    pending: BTreeMap<CheckpointId, Pending>,
    retained: VecDeque<CheckpointId>,
    last_trigger_us: TimeUs,
    last_completed_us: Option<TimeUs>,
    failures_in_a_row: u32,
    drain_wanted: bool,
    drain_triggered: bool,
    /// What [`mutants::LATE_BARRIER_REVIVES`] does not let go of.
    #[cfg(feature = "mutants")]
    given_up: BTreeMap<CheckpointId, Pending>,
}

impl Coordinator {
    /// A coordinator whose first checkpoint will be `first`; `retained` are the completed ones
    /// that exist, oldest first. The first trigger comes one interval from `now`.
    pub fn new(
        config: CheckpointConfig,
        facts: JobFacts,
        first: CheckpointId,
        retained: VecDeque<CheckpointId>,
        now: TimeUs,
    ) -> Self {
        assert!(first > CheckpointId::NONE, "checkpoint ids begin at 1");
        Self {
            config,
            facts,
            next_id: first,
            pending: BTreeMap::new(),
            retained,
            last_trigger_us: if mutants::is_active(mutants::TRIGGERS_AT_ONCE) { 0 } else { now },
            last_completed_us: None,
            failures_in_a_row: 0,
            drain_wanted: false,
            drain_triggered: false,
            #[cfg(feature = "mutants")]
            given_up: BTreeMap::new(),
        }
    }

    /// The id the next checkpoint will have.
    pub fn next_id(&self) -> CheckpointId {
        self.next_id
    }

    /// Checkpoints under way.
    pub fn pending_ids(&self) -> Vec<CheckpointId> {
        self.pending.keys().copied().collect()
    }

    /// Asks for a last checkpoint with which everything leaves the job.
    pub fn request_drain(&mut self) {
        self.drain_wanted = true;
    }

    /// Lets time pass: triggers what is due, gives up what is late.
    pub fn on_time(&mut self, now: TimeUs) -> Vec<Command> {
        let mut out = Vec::new();
        let timeout_us = match mutants::is_active(mutants::EXPIRES_EARLY) {
            true => self.config.timeout_ms * 500,
            false => self.config.timeout_ms * 1000,
        };
        let late = self
            .pending
            .iter()
            .filter(|(_, p)| !p.is_writing || mutants::is_active(mutants::WRITING_EXPIRES));
        let late: Vec<_> =
            late.filter(|(_, p)| now >= p.triggered_us + timeout_us).map(|(id, _)| *id).collect();
        for id in late {
            if mutants::is_active(mutants::PACE_IGNORED)
                || mutants::is_active(mutants::NEVER_EXPIRES)
            {
                break;
            }
            self.fail(id, &format!("expired after {} ms", self.config.timeout_ms), &mut out);
        }
        if self.trigger_due_us().is_some_and(|due| now >= due) {
            self.trigger(now, &mut out);
        }
        out
    }

    /// When [`Self::on_time`] has something to do next.
    pub fn next_due_us(&self) -> Option<TimeUs> {
        let timeout_us = self.config.timeout_ms * 1000;
        let waiting = self.pending.values().filter(|p| !p.is_writing);
        let expiry = waiting.map(|p| p.triggered_us + timeout_us).min();
        [self.trigger_due_us(), expiry].into_iter().flatten().min()
    }

    /// A worker's part is durable.
    pub fn on_acknowledged(&mut self, ack: Acknowledgement, now: TimeUs) -> Vec<Command> {
        if ack.attempt != self.facts.attempt {
            return Vec::new();
        }
        #[cfg(feature = "mutants")]
        self.pending.extend(self.given_up.remove(&ack.checkpoint).map(|p| (ack.checkpoint, p)));
        let Some(pending) = self.pending.get_mut(&ack.checkpoint) else {
            return self.discard_late(ack.checkpoint);
        };
        let id = ack.checkpoint;
        let before = pending.acknowledgements.insert(ack.worker, ack);
        assert!(before.is_none(), "one acknowledgement for each worker and checkpoint");
        let subtasks: u64 = pending.acknowledgements.values().map(|a| a.subtasks).sum();
        assert!(subtasks <= self.facts.subtasks, "{subtasks} subtasks acknowledged");
        let is_whole = pending.acknowledgements.len() >= self.facts.workers
            && subtasks >= self.facts.subtasks
            || mutants::is_active(mutants::ONE_ACK_SHORT)
                && pending.acknowledgements.len() + 1 == self.facts.workers;
        if !is_whole || pending.is_writing {
            return Vec::new();
        }
        pending.is_writing = true;
        let mut out = self.too_early(id);
        out.push(Command::WriteManifest(Box::new(self.manifest_of(id, now))));
        out
    }

    /// A file has landed for a checkpoint that is over.
    fn discard_late(&self, checkpoint: CheckpointId) -> Vec<Command> {
        let is_wanted = self.retained.contains(&checkpoint)
            || mutants::is_active(mutants::LATE_FILES_FORGOTTEN);
        if is_wanted { Vec::new() } else { vec![Command::Discard(checkpoint)] }
    }

    /// What some mutants do before the metadata is durable: nothing in a sound engine.
    fn too_early(&mut self, checkpoint: CheckpointId) -> Vec<Command> {
        let mut out = Vec::new();
        if mutants::is_active(mutants::NOTIFIED_TOO_EARLY) {
            let stats = CheckpointStats::default();
            out.push(Command::Notify { checkpoint, stats, drain: false });
        }
        if mutants::is_active(mutants::DELETED_TOO_EARLY) {
            out.extend(self.retained.drain(..).map(Command::Delete));
        }
        out
    }

    /// A worker cannot take part in the checkpoint.
    pub fn on_declined(&mut self, checkpoint: CheckpointId, reason: &str) -> Vec<Command> {
        let mut out = Vec::new();
        self.fail(checkpoint, reason, &mut out);
        out
    }

    /// The manifest is durable: the commit point has passed.
    pub fn on_manifest_durable(&mut self, checkpoint: CheckpointId, now: TimeUs) -> Vec<Command> {
        if !self.pending.contains_key(&checkpoint) {
            // Subsumed while its manifest was on its way: a younger one is complete.
            return vec![Command::Delete(checkpoint)];
        }
        let mut out = Vec::new();
        let mut older: Vec<_> = self.pending.range(..checkpoint).map(|(id, _)| *id).collect();
        if mutants::is_active(mutants::SUBSUMED_KEPT) {
            older.clear();
        }
        for id in older {
            let subsumed = self.pending.remove(&id).expect("it was just listed");
            let reason = format!("subsumed by checkpoint {checkpoint}");
            out.push(Command::Abort { checkpoint: id, reason });
            // Without its state, a manifest that is on its way must not be found.
            if !subsumed.is_writing || mutants::is_active(mutants::STATE_DELETED_FIRST) {
                out.push(Command::Discard(id));
            }
        }
        let pending = self.pending.remove(&checkpoint).expect("its manifest was being written");
        let stats = merge(pending.acknowledgements.values(), now - pending.triggered_us);
        if !mutants::is_active(mutants::NEVER_FORGIVEN) {
            self.failures_in_a_row = 0;
        }
        self.last_completed_us = Some(now);
        self.retained.push_back(checkpoint);
        out.push(Command::Notify { checkpoint, stats, drain: pending.drain });
        let retained = match self.config.retained.max(1) {
            most if mutants::is_active(mutants::RETAINS_ONE_MORE) => most + 1,
            most if mutants::is_active(mutants::RETAINS_ONE_LESS) => usize::max(most - 1, 1),
            most => most,
        };
        while self.retained.len() > retained && !mutants::is_active(mutants::RETENTION_IGNORED) {
            let deleted = match mutants::is_active(mutants::NEWEST_DELETED) {
                true => self.retained.pop_back(),
                false => self.retained.pop_front(),
            };
            out.extend(deleted.map(Command::Delete));
        }
        out
    }

    /// The manifest could not be written. Whether it exists is unknown, so nothing is deleted, unless
    /// a younger checkpoint is complete.
    pub fn on_manifest_failed(&mut self, checkpoint: CheckpointId, reason: &str) -> Vec<Command> {
        if !self.pending.contains_key(&checkpoint) {
            return vec![Command::Delete(checkpoint)];
        }
        let mut out = self.on_declined(checkpoint, reason);
        if !mutants::is_active(mutants::DOUBTFUL_DISCARDED) {
            out.retain(|command| !matches!(command, Command::Discard(_)));
        }
        out
    }

    fn trigger_due_us(&self) -> Option<TimeUs> {
        if self.drain_triggered {
            return None;
        }
        let concurrent = if self.config.min_pause_ms > 0 { 1 } else { self.config.max_concurrent };
        let one_more = usize::from(mutants::is_active(mutants::ONE_TOO_MANY));
        if self.pending.len() >= concurrent.max(1) + one_more {
            return None;
        }
        if self.drain_wanted {
            return Some(0);
        }
        let since_us = match mutants::is_active(mutants::INTERVAL_FROM_END) {
            true => self.last_completed_us.map_or(0, |end| end.max(self.last_trigger_us)),
            false => self.last_trigger_us,
        };
        let interval_us = match mutants::is_active(mutants::TRIGGERS_TOO_OFTEN) {
            true => self.config.interval_ms * 500,
            false => self.config.interval_ms * 1000,
        };
        let by_interval = since_us + interval_us;
        let pause_since_us = match mutants::is_active(mutants::PAUSE_FROM_TRIGGER) {
            true => self.last_completed_us.map(|_| self.last_trigger_us),
            false => self.last_completed_us,
        };
        let by_pause = pause_since_us.map_or(0, |t| t + self.config.min_pause_ms * 1000);
        if mutants::is_active(mutants::PACE_IGNORED) {
            return Some(by_interval);
        }
        Some(by_interval.max(by_pause))
    }

    fn trigger(&mut self, now: TimeUs, out: &mut Vec<Command>) {
        let checkpoint = self.next_id;
        let drain = self.drain_wanted;
        self.next_id = checkpoint.next();
        self.last_trigger_us = now;
        self.drain_triggered |= drain;
        let pending = Pending {
            drain,
            triggered_us: now,
            acknowledgements: BTreeMap::new(),
            is_writing: false,
        };
        self.pending.insert(checkpoint, pending);
        out.push(Command::Trigger { checkpoint, drain });
    }

    fn fail(&mut self, checkpoint: CheckpointId, reason: &str, out: &mut Vec<Command>) {
        let Some(pending) = self.pending.remove(&checkpoint) else { return };
        if pending.drain && !mutants::is_active(mutants::DRAIN_FORGOTTEN) {
            // The sources have stopped: only another attempt can try again.
            out.push(Command::FailJob(format!("the last checkpoint failed: {reason}")));
        }
        out.push(Command::Abort { checkpoint, reason: reason.to_owned() });
        #[cfg(feature = "mutants")]
        if mutants::is_active(mutants::LATE_BARRIER_REVIVES) && !pending.is_writing {
            self.given_up.insert(checkpoint, pending);
            return;
        }
        out.push(Command::Discard(checkpoint));
        self.failures_in_a_row += 1;
        if self.failures_in_a_row > self.config.tolerable_failures
            && !mutants::is_active(mutants::NEVER_GIVES_UP)
        {
            out.push(Command::FailJob(format!(
                "{} checkpoints failed in a row, the last one ({checkpoint}): {reason}; raise \
                 tolerable_failures or timeout_ms, or mend the cause",
                self.failures_in_a_row
            )));
        }
    }

    fn manifest_of(&self, checkpoint: CheckpointId, now: TimeUs) -> Manifest {
        let pending = &self.pending[&checkpoint];
        let kind = if pending.drain { "savepoint" } else { "checkpoint" };
        Manifest {
            format: Manifest::FORMAT,
            job: self.facts.job.clone(),
            checkpoint,
            attempt: self.facts.attempt,
            mode: self.config.mode,
            kind: kind.to_owned(),
            vertices: self.facts.vertices.clone(),
            subtasks_expected: self.facts.subtasks,
            subtasks_acknowledged: pending.acknowledgements.values().map(|a| a.subtasks).sum(),
            files: pending.acknowledgements.values().map(|a| a.file.clone()).collect(),
            triggered_us: pending.triggered_us,
            completed_us: now,
        }
    }
}

/// The figures of a checkpoint: the slowest worker's durations, everybody's bytes.
fn merge<'a>(
    acks: impl Iterator<Item = &'a Acknowledgement>,
    duration_us: TimeUs,
) -> CheckpointStats {
    let start = CheckpointStats { duration_us, ..CheckpointStats::default() };
    acks.map(|a| &a.stats).fold(start, |all, one| CheckpointStats {
        duration_us,
        start_delay_us: all.start_delay_us.max(one.start_delay_us),
        alignment_us: all.alignment_us.max(one.alignment_us),
        sync_us: all.sync_us.max(one.sync_us),
        async_us: all.async_us.max(one.async_us),
        state_bytes: all.state_bytes + one.state_bytes,
        in_flight_bytes: all.in_flight_bytes + one.in_flight_bytes,
    })
}
