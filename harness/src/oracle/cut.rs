//! A completed checkpoint as a cut through the input: which records lie before it, and which
//! of those it holds itself because no confirmed transaction held them.

use super::checkpoint_reader::{CheckpointState, Frame, Manifest, Place};
use super::ids::{AttemptId, CheckpointId};
use super::sum::Sum;
use super::verdict::{Site, Witnesses};
use crate::workload::ledger::{Ledger, Offset};

/// A completed checkpoint, digested. Columns are by slot.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) manifest: Manifest,
    /// S(p): the next offset to be emitted. The start offset where no split says.
    pub(super) next: Vec<Offset>,
    /// Whether a split says where the partition stands.
    pub(super) covered: Vec<bool>,
    /// Partitions that are missing, owned twice or unknown.
    pub(super) split_faults: Witnesses,
    /// Frames that the checkpoint's own attempt read below S(p).
    pub(super) own: Vec<Sum>,
    /// Frames that the checkpoint's own attempt read at or above S(p).
    pub(super) own_orphans: Vec<Frame>,
    /// Frames that an earlier attempt read: they were restored and are still held.
    pub(super) inherited: Vec<Frame>,
    /// Frames of partitions that the ledger does not know.
    pub(super) foreign: Vec<Frame>,
    /// Frames in sink buffers.
    pub(super) buffered_frames: u64,
    /// Frames on their way there: in channels, and held back by operators.
    pub(super) channel_frames: u64,
    /// Sink-buffer records, sorted; only kept when they may turn out to be committed.
    held: Vec<HeldRecord>,
}

type HeldRecord = (u32, Offset, AttemptId);

impl Cut {
    /// Digests a checkpoint. `keep_held` keeps the records of the sink buffers for
    /// [`holds`](Self::holds).
    pub(super) fn new(
        manifest: Manifest,
        state: &CheckpointState,
        ledger: &Ledger,
        keep_held: bool,
    ) -> Self {
        let slots = ledger.partitions().len();
        let mut cut = Self {
            manifest,
            next: ledger.partitions().iter().map(|partition| partition.start()).collect(),
            covered: vec![false; slots],
            split_faults: Witnesses::default(),
            own: vec![Sum::default(); slots],
            own_orphans: Vec::new(),
            inherited: Vec::new(),
            foreign: Vec::new(),
            buffered_frames: 0,
            channel_frames: 0,
            held: Vec::new(),
        };
        cut.take_splits(state, ledger);
        for frame in &state.frames {
            cut.take_frame(frame, ledger, keep_held);
        }
        cut.held.sort_unstable();
        cut
    }

    pub(super) fn id(&self) -> CheckpointId {
        self.manifest.checkpoint
    }

    pub(super) fn attempt(&self) -> AttemptId {
        self.manifest.attempt
    }

    /// |Buf| and |channel state|: the frames that a restore of this checkpoint emits again.
    pub(super) fn frames(&self) -> u64 {
        self.buffered_frames + self.channel_frames
    }

    /// Whether the sink buffers hold the record.
    pub(super) fn holds(&self, slot: usize, offset: Offset, source_attempt: AttemptId) -> bool {
        self.held.binary_search(&(slot as u32, offset, source_attempt)).is_ok()
    }

    /// Whether the sink buffers hold anything that may turn out to be committed.
    pub(super) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    fn take_splits(&mut self, state: &CheckpointState, ledger: &Ledger) {
        let mut splits = state.splits.clone();
        splits.sort_unstable();
        for split in splits {
            let site = Site::partition(split.partition).at(self.id());
            let Some(slot) = ledger.slot(split.partition) else {
                self.split_faults.add(site, || {
                    format!(
                        "source subtask {} owns partition {}, which the topic does not have",
                        split.subtask, split.partition
                    )
                });
                continue;
            };
            if self.covered[slot] {
                let first = self.next[slot];
                self.split_faults.add(site, || {
                    format!(
                        "partition {} is owned twice: at offset {first}, and again by source \
                         subtask {} at offset {}",
                        split.partition, split.subtask, split.next_offset
                    )
                });
                continue;
            }
            self.covered[slot] = true;
            self.next[slot] = split.next_offset;
        }
        for (slot, partition) in ledger.partitions().iter().enumerate() {
            if !self.covered[slot] {
                self.split_faults.add(Site::partition(partition.id()).at(self.id()), || {
                    format!("no source subtask owns partition {}", partition.id())
                });
            }
        }
    }

    fn take_frame(&mut self, frame: &Frame, ledger: &Ledger, keep_held: bool) {
        match frame.place {
            Place::Buffer { .. } => self.buffered_frames += 1,
            Place::Held { .. } | Place::Channel { .. } => self.channel_frames += 1,
        }
        let Some(slot) = ledger.slot(frame.partition) else {
            self.foreign.push(*frame);
            return;
        };
        if keep_held && matches!(frame.place, Place::Buffer { .. }) {
            self.held.push((slot as u32, frame.offset, frame.source_attempt));
        }
        if frame.source_attempt != self.attempt() {
            self.inherited.push(*frame);
        } else if frame.offset >= self.next[slot] {
            self.own_orphans.push(*frame);
        } else {
            self.own[slot].add(frame.partition, frame.offset, frame.index);
        }
    }
}

/// "the buffer of sink subtask 3" or "the channel 417 -> 88".
pub(super) fn describe(place: Place) -> String {
    match place {
        Place::Buffer { subtask } => format!("the buffer of sink subtask {subtask}"),
        Place::Held { vertex, subtask } => {
            format!("the list state `held` of vertex {vertex} subtask {subtask}")
        }
        Place::Channel { source, target, .. } => {
            format!("the channel state of source {source} -> target {target}")
        }
    }
}
