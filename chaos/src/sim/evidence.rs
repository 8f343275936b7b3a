//! What a simulated run leaves behind: the evidence that the oracle judges, and what happened.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use stormproof_engine::ids::{AttemptId, CheckpointId, Offset, PartitionId, SubtaskIndex};
use stormproof_engine::runtime::TimedEvent;
use stormproof_engine::seam::{Step, StepContext, TimeUs};

/// One row of the audit table (docs/formats.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the columns of docs/formats.md")]
pub struct AuditRow {
    pub seq: u64,
    pub partition: PartitionId,
    pub offset: Offset,
    pub index: u32,
    pub source_attempt: AttemptId,
    pub sink_attempt: AttemptId,
    pub subtask: SubtaskIndex,
    pub checkpoint: CheckpointId,
    pub batch: u64,
    pub batch_try: u32,
    pub sent_us: TimeUs,
}

/// One row of the fence table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the columns of docs/formats.md")]
pub struct FenceRow {
    pub attempt: AttemptId,
    pub restored: CheckpointId,
    pub after_seq: u64,
}

/// One row of the results table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the columns of docs/formats.md")]
pub struct ResultRow {
    pub key_hash: [u8; 16],
    pub key: Bytes,
    pub value: Option<Bytes>,
    pub version: u64,
    pub record_count: u64,
}

/// One record of the input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they say what they are")]
pub struct InputRecord {
    pub partition: PartitionId,
    pub offset: Offset,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// What the oracle looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// The high watermark of each partition.
    pub ends: Vec<u64>,
    /// Everything that was produced, by partition and offset.
    pub input: Vec<InputRecord>,
    /// Every object of the checkpoint storage that was ever whole, and what a crash tore.
    pub objects: BTreeMap<String, Bytes>,
    /// The audit table by `seq`.
    pub audit: Vec<AuditRow>,
    /// The fence table by attempt.
    pub fences: Vec<FenceRow>,
    /// The results table by key hash.
    pub results: Vec<ResultRow>,
    /// The consumer group's offsets, where there are any.
    pub committed: BTreeMap<PartitionId, Offset>,
    /// Every offset that the group has ever seen committed.
    pub commits: BTreeSet<(PartitionId, Offset)>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SimEnd {
    /// Everything was read, written and confirmed.
    Drained,
    /// The engine refused to go on, for a reason that no restart heals.
    Refused(String),
    /// Everything was healed, and the job did not drain within the bound: what it waited for.
    Stuck(String),
}

/// A fault that had an effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Landed {
    /// Its place in the plan: of the faults, or of the windows.
    pub index: usize,
    /// Whether it is a window.
    pub is_window: bool,
    /// The step it struck at, if it was one.
    pub step: Option<Step>,
    /// The action's or the disturbance's name.
    pub action: String,
    /// When.
    pub at_us: TimeUs,
}

/// A named step that a subtask has passed.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// When.
    pub at_us: TimeUs,
    /// Which.
    pub step: Step,
    /// Whose, and of which checkpoint.
    pub at: StepContext,
}

/// A rule that a job has broken in a way that the evidence does not show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Breach {
    /// The rule's id.
    pub rule: &'static str,
    /// What happened.
    pub what: String,
}

/// A simulated run.
#[derive(Clone, Debug)]
pub struct SimRun {
    /// How it ended.
    pub end: SimEnd,
    /// What the oracle looks at.
    pub evidence: Evidence,
    /// Faults that had an effect.
    pub landed: Vec<Landed>,
    /// The first timer of an operator that fired early, late or never, if there was one.
    pub mistimed: Option<String>,
    /// What the jobs' own events and the storage told of them that may not be: the first breach of
    /// each rule.
    pub breaches: Vec<Breach>,
    /// Every event as a line, if the run was traced.
    pub trace: Vec<String>,
    /// Everything that the jobs told, if the run was watched.
    pub told: Vec<TimedEvent>,
    /// Every named step that was passed, if the run was watched.
    pub passed: Vec<Passed>,
    /// Events of the scheduler.
    pub events: u64,
    /// Virtual time at the end.
    pub now_us: TimeUs,
    /// Execution attempts.
    pub attempts: u32,
    /// Completed checkpoints that the job heard of.
    pub completed: u64,
    /// Restores of a checkpoint.
    pub restores: u64,
    /// Whether nothing kept the last checkpoint's offsets from being committed since its trigger:
    /// no notification was lost, no commit refused.
    pub commits_settled: bool,
}
