//! What the oracle is told about a run besides the evidence.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint_reader::Mode;
use super::kept::LostRange;
use crate::workload::ledger::{Offset, PartitionId};

/// The circumstances of a run.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// The checkpoint mode of the job.
    pub mode: Mode,
    /// Whether the job was given the time to read and write everything: then what is missing is
    /// lost, otherwise it may still have come.
    pub drained: bool,
    /// Whether records are partitioned by key: then each key is counted by one subtask, and its
    /// records take effect in order.
    pub keyed: bool,
    /// Whether order is kept on the way to a sink subtask: not when records of a key, or of a
    /// partition, come to it on several ways.
    pub ordered: bool,
    /// Whether effects become visible only when their checkpoint completes.
    pub transactional_sink: bool,
    /// Whether a sink subtask may take its snapshot while a transaction of its own is not
    /// confirmed yet: it does not wait for it, or a fault left its outcome in doubt. Then a
    /// buffer may hold records that turn out to be committed, namely the last ones that the
    /// subtask handed over before the snapshot. `false` for a sink that always waits.
    pub unconfirmed_at_snapshot: bool,
    /// Whether the sink finds out what became of a transaction in doubt before it writes its rows
    /// again. Then no row is there twice because of it.
    pub resolves_doubt: bool,
    /// Whether an attempt begins only when the one before it is dead and its last manifest is
    /// either there or will never be: then the newest completed checkpoint is no matter of luck.
    pub restores_alone: bool,
    /// How many checkpoints of one attempt may be under way at the same time.
    pub concurrent_checkpoints: usize,
    /// How many completed checkpoints the job keeps. Older ones may be gone when they are looked
    /// for; `None` when nothing was ever deleted.
    pub retained_checkpoints: Option<usize>,
    /// The pause and the timeout of checkpoints, if they are known.
    pub pace: Option<Pace>,
    /// How many faults were seen to take effect.
    pub faults_landed: u64,
    /// What must have happened for the run to prove anything.
    pub required: Required,
    /// The consumer group's committed offsets, if they were looked up after the run.
    pub committed: Option<BTreeMap<PartitionId, Offset>>,
    /// Every commit that the group has ever seen, if the log tells.
    pub commits: Option<Commits>,
    /// What the log itself lost of what it had acknowledged. The evidence is cut there.
    pub log_lost: Vec<LostRange>,
}

impl Conditions {
    /// A drained, keyed run in this mode, with every requirement.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            drained: true,
            keyed: true,
            ordered: true,
            transactional_sink: false,
            unconfirmed_at_snapshot: true,
            resolves_doubt: false,
            restores_alone: false,
            concurrent_checkpoints: 1,
            retained_checkpoints: None,
            pace: None,
            faults_landed: 0,
            required: Required::default(),
            committed: None,
            commits: None,
            log_lost: Vec::new(),
        }
    }
}

/// The group's commits, whichever order they came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commits {
    /// Where each partition was committed.
    pub offsets: BTreeSet<(PartitionId, Offset)>,
    /// Whether nothing kept the last checkpoint from being committed: no notification was lost and
    /// no commit refused since it was triggered, and the job was given the time.
    pub is_settled: bool,
}

/// The pace that checkpoints were asked to keep, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one trigger to the next.
    pub interval_us: i64,
    /// From the completion of one to the trigger of the next.
    pub min_pause_us: i64,
    /// From the trigger to the last acknowledgement.
    pub timeout_us: i64,
    /// How late an acknowledgement may be noticed.
    pub slack_us: i64,
}

/// What must have happened for a pass to mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Required {
    /// At least one fault landed.
    pub fault: bool,
    /// At least one checkpoint was completed.
    pub checkpoint: bool,
    /// At least one restore had something to replay.
    pub replay: bool,
}

impl Default for Required {
    fn default() -> Self {
        Self { fault: true, checkpoint: true, replay: true }
    }
}

impl Required {
    /// Nothing is required: a run without faults, judged for what it shows.
    pub fn nothing() -> Self {
        Self { fault: false, checkpoint: false, replay: false }
    }
}
