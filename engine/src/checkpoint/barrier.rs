//! The barrier handler of a gate: barriers in, decisions out. Pure: no I/O, no clock, no records.
//!
//! One handler serves all subtasks of a group, because a barrier of an upstream subtask is one
//! mark for all of its channels into the worker. It hears of each barrier twice: when it is
//! *ingested* (seen on its way into the inbox) and when it is *processed* (everything before it on
//! its channel has been processed). From these two moments all modes follow:
//!
//! | mode | snapshot | in-flight records | complete |
//! |---|---|---|---|
//! | aligned | last processed; channels held from their own | none | at the snapshot |
//! | aligned, timed out | at the timeout; nothing held any more | logged up to each barrier | last ingested |
//! | unaligned | first ingested | logged up to each barrier | last ingested |
//! | at-least-once (Flink) | last processed; nothing held | none (orphans are possible) | at the snapshot |
//! | at-least-once, first barrier (safe) | first processed | logged up to each barrier | last ingested |
//!
//! A barrier that drains the job is always aligned and never times out: what is logged in flight
//! would stay behind in the checkpoint, and everything has to leave with it.
//!
//! Source: Flink's `SingleCheckpointBarrierHandler` and
//! `CheckpointBarrierTracker`; Chandy and Lamport 1985 for the logged forms.

use std::collections::{BTreeSet, VecDeque};

use crate::exchange::{Barrier, ChannelSet};
use crate::ids::CheckpointId;
use crate::mutants;
use crate::runtime::CheckpointMode;
use crate::seam::TimeUs;

/// What the group has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The first barrier of a checkpoint is here.
    Begun(Barrier),
    /// What follows on this channel waits.
    Hold(usize),
    /// Take the snapshot and send the barrier on. With `closed` the in-flight records of all
    /// other channels are logged up to their barriers.
    Snapshot {
        /// The barrier.
        barrier: Barrier,
        /// Channels whose barrier has been processed; `None` when nothing is logged.
        closed: Option<ChannelSet>,
    },
    /// Held channels go on.
    Release,
    /// Every barrier is in: the group's part of the checkpoint is whole once its work is done.
    Complete(CheckpointId),
    /// This checkpoint cannot complete here.
    Decline(CheckpointId, String),
}

/// One checkpoint under way.
#[derive(Clone, Debug)]
struct Pending {
    barrier: Barrier,
    first_us: TimeUs,
    ingested: ChannelSet,
    processed: ChannelSet,
    /// Whether the snapshot is taken and in-flight records are being logged.
    captured: bool,
}

impl Pending {
    /// Whether channels may be held because of it: those whose barrier has been processed. Once it
    /// is captured they have been let go, and what is held is held for a younger one.
    fn holds(&self) -> bool {
        !self.captured && !self.processed.is_empty()
    }
}

/// The handler of one gate.
#[derive(Clone, Debug)]
pub struct BarrierHandler {
    mode: CheckpointMode,
    alignment_timeout_us: Option<TimeUs>,
    channels: usize,
    pending: VecDeque<Pending>,
    ended_ingested: ChannelSet,
    ended: ChannelSet,
    /// Checkpoints triggered while every channel had ended or may yet end without a barrier.
    announced: VecDeque<Barrier>,
    /// Checkpoints up to this one are over: completed here, or subsumed by one that is.
    over: CheckpointId,
    /// Younger ones that were given up, each for itself: one that is older may yet complete.
    aborted: BTreeSet<CheckpointId>,
    /// The youngest one that has begun here.
    youngest: CheckpointId,
}

impl BarrierHandler {
    /// A handler for `channels` channels.
    pub fn new(
        mode: CheckpointMode,
        alignment_timeout_us: Option<TimeUs>,
        channels: usize,
    ) -> Self {
        assert!(channels > 0, "a gate has channels");
        Self {
            mode,
            alignment_timeout_us,
            channels,
            pending: VecDeque::new(),
            ended_ingested: ChannelSet::empty(channels),
            ended: ChannelSet::empty(channels),
            announced: VecDeque::new(),
            over: CheckpointId::NONE,
            aborted: BTreeSet::new(),
            youngest: CheckpointId::NONE,
        }
    }

    /// A barrier has entered the inbox.
    pub fn on_ingested(&mut self, channel: usize, barrier: Barrier, now: TimeUs) -> Vec<Decision> {
        if self.is_late(barrier.checkpoint) {
            return Vec::new();
        }
        let mut out = Vec::new();
        self.begin(barrier, now, &mut out);
        let unaligned = self.mode_of(barrier) == CheckpointMode::ExactlyOnceUnaligned;
        let pending = self.find(barrier.checkpoint);
        pending.ingested.insert(channel);
        if mutants::is_active(mutants::TIMEOUT_PUT_OFF) && !pending.captured {
            pending.first_us = now;
        }
        if unaligned {
            Self::capture(pending, &mut out);
        }
        self.complete_captured(barrier.checkpoint, &mut out);
        out
    }

    /// Everything before a barrier has been processed on its channel.
    pub fn on_processed(&mut self, channel: usize, barrier: Barrier) -> Vec<Decision> {
        if self.is_late(barrier.checkpoint) {
            return Vec::new();
        }
        let mut out = Vec::new();
        self.overtake(channel, barrier.checkpoint, &mut out);
        let mode = self.mode_of(barrier);
        let ended = self.counted(&self.ended);
        let pending = self.find(barrier.checkpoint);
        assert!(pending.ingested.contains(channel), "processed before it was ingested");
        pending.processed.insert(channel);
        if pending.captured {
            return out;
        }
        let is_last = pending.processed.covers_with(&ended);
        match mode {
            CheckpointMode::ExactlyOnce | CheckpointMode::AtLeastOnce => {
                if is_last {
                    self.complete_aligned(barrier.checkpoint, &mut out);
                } else if mode == CheckpointMode::ExactlyOnce
                    && !mutants::is_active(mutants::EARLY_RELEASE)
                {
                    out.push(Decision::Hold(channel));
                }
            }
            CheckpointMode::AtLeastOnceFirstBarrier => {
                Self::capture(pending, &mut out);
                self.complete_captured(barrier.checkpoint, &mut out);
            }
            CheckpointMode::ExactlyOnceUnaligned => {
                unreachable!("unaligned snapshots are taken at ingest")
            }
        }
        out
    }

    /// An end of input has entered the inbox: it counts as the channel's barrier from now on.
    pub fn on_end_ingested(&mut self, channel: usize) -> Vec<Decision> {
        self.ended_ingested.insert(channel);
        let mut out = Vec::new();
        for id in self.pending_ids() {
            self.complete_captured(id, &mut out);
        }
        out
    }

    /// Everything before an end of input has been processed.
    pub fn on_end_processed(&mut self, channel: usize) -> Vec<Decision> {
        self.ended.insert(channel);
        let mut out = Vec::new();
        for id in self.pending_ids() {
            let ended = self.counted(&self.ended);
            let done = self.pending.iter().any(|p| {
                p.barrier.checkpoint == id && !p.captured && p.processed.covers_with(&ended)
            });
            if done {
                self.complete_aligned(id, &mut out);
            }
        }
        if self.has_ended() {
            for barrier in std::mem::take(&mut self.announced) {
                out.extend(self.on_announced(barrier));
            }
        }
        out
    }

    /// The worker was told of a checkpoint. A gate without live channels acts at once; one whose
    /// channels end before their barrier acts when the last has ended.
    pub fn on_announced(&mut self, barrier: Barrier) -> Vec<Decision> {
        if self.is_over(barrier.checkpoint) {
            return Vec::new();
        }
        if !self.has_ended() {
            self.announced.push_back(barrier);
            return Vec::new();
        }
        // A barrier that an ended channel still carried may have begun it: it must not time out.
        self.pending.retain(|p| p.barrier.checkpoint > barrier.checkpoint);
        self.pass(barrier.checkpoint);
        vec![
            Decision::Begun(barrier),
            Decision::Snapshot { barrier, closed: None },
            Decision::Complete(barrier.checkpoint),
        ]
    }

    /// Time has passed. Returns decisions of an alignment that has timed out.
    pub fn on_time(&mut self, now: TimeUs) -> Vec<Decision> {
        let mut out = Vec::new();
        if self.alignment_deadline().is_some_and(|deadline| now >= deadline)
            && let Some(pending) = self.pending.iter_mut().find(|p| !p.captured)
        {
            let id = pending.barrier.checkpoint;
            Self::capture(pending, &mut out);
            if !mutants::is_active(mutants::TIMEOUT_HOLDS_ON) {
                out.push(Decision::Release);
            }
            self.complete_captured(id, &mut out);
        }
        out
    }

    /// When the alignment under way times out: that of the oldest checkpoint whose snapshot is not
    /// taken. Those before it only log.
    pub fn alignment_deadline(&self) -> Option<TimeUs> {
        let timeout = self.alignment_timeout_us?;
        if mutants::is_active(mutants::ALIGNS_FOR_EVER) {
            return None;
        }
        self.aligning().map(|(_, first_us)| first_us + timeout)
    }

    /// The oldest checkpoint whose snapshot waits for barriers and may time out, and when its first
    /// barrier came.
    fn aligning(&self) -> Option<(CheckpointId, TimeUs)> {
        let only_first = mutants::is_active(mutants::SECOND_ALIGNMENT_UNTIMED);
        let among = if only_first { 1 } else { self.pending.len() };
        let aligning = self.pending.iter().take(among).find(|p| !p.captured)?;
        let may_wait = aligning.barrier.drain && !mutants::is_active(mutants::DRAIN_TIMES_OUT);
        let is_timed = self.mode == CheckpointMode::ExactlyOnce && !may_wait;
        is_timed.then_some((aligning.barrier.checkpoint, aligning.first_us))
    }

    /// The oldest checkpoint that is not captured, where one may time out, and when its first barrier
    /// came: for whoever looks at the handler from outside, and does not go by what it goes by.
    pub fn longest_wait(&self) -> Option<(CheckpointId, TimeUs)> {
        let waits = self.pending.iter().find(|p| !p.captured)?;
        let is_timed = self.mode == CheckpointMode::ExactlyOnce && !waits.barrier.drain;
        is_timed.then_some((waits.barrier.checkpoint, waits.first_us))
    }

    /// The coordinator has given the checkpoint up: late barriers of it are ignored.
    pub fn on_aborted(&mut self, checkpoint: CheckpointId) -> Vec<Decision> {
        if mutants::is_active(mutants::LATE_BARRIER_REVIVES) {
            return vec![Decision::Release];
        }
        let drops_older = mutants::is_active(mutants::ABORT_DROPS_OLDER);
        let is_over = |of: CheckpointId| of == checkpoint || (drops_older && of < checkpoint);
        let lets_go = |p: &&Pending| {
            is_over(p.barrier.checkpoint) || mutants::is_active(mutants::ABORT_RELEASES_ALL)
        };
        let releases = self.pending.iter().filter(lets_go).any(Pending::holds);
        self.announced.retain(|b| !is_over(b.checkpoint));
        self.pending.retain(|p| !is_over(p.barrier.checkpoint));
        if drops_older {
            self.pass(checkpoint);
        }
        self.aborted.insert(checkpoint);
        if releases { vec![Decision::Release] } else { Vec::new() }
    }

    /// Whether in-flight records are logged for this checkpoint.
    pub fn is_logging(&self, checkpoint: CheckpointId) -> bool {
        self.pending.iter().any(|p| p.captured && p.barrier.checkpoint == checkpoint)
    }

    /// Whether this checkpoint is over here, or was given up.
    pub fn is_over(&self, checkpoint: CheckpointId) -> bool {
        checkpoint <= self.over || self.aborted.contains(&checkpoint)
    }

    /// Whether this checkpoint has begun here and is not over.
    pub fn is_pending(&self, checkpoint: CheckpointId) -> bool {
        self.pending.iter().any(|p| p.barrier.checkpoint == checkpoint)
    }

    /// All up to this checkpoint are over.
    fn pass(&mut self, checkpoint: CheckpointId) {
        self.over = self.over.max(checkpoint);
        self.aborted = self.aborted.split_off(&self.over.next());
    }

    /// Whether every channel has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.len() == self.channels
    }

    /// Whether a checkpoint is under way that waits for barriers with channels held.
    pub fn is_aligning(&self) -> bool {
        self.pending.iter().any(|p| !p.captured && !p.processed.is_empty())
    }

    /// The channels that alignment must hold: their barrier of a checkpoint has been processed, and
    /// its snapshot waits for the others.
    pub fn aligned(&self) -> ChannelSet {
        let is_aligned =
            |p: &&Pending| !p.captured && self.mode_of(p.barrier) == CheckpointMode::ExactlyOnce;
        let mut aligned = ChannelSet::empty(self.channels);
        for channel in self.pending.iter().filter(is_aligned).flat_map(|p| p.processed.iter()) {
            aligned.insert(channel);
        }
        aligned
    }

    /// The rule that this barrier follows.
    fn mode_of(&self, barrier: Barrier) -> CheckpointMode {
        match self.mode {
            CheckpointMode::ExactlyOnceUnaligned if barrier.drain => CheckpointMode::ExactlyOnce,
            CheckpointMode::AtLeastOnceFirstBarrier if barrier.drain => CheckpointMode::AtLeastOnce,
            mode => mode,
        }
    }

    /// The ended channels that count as if their barrier had come: all of them.
    fn counted(&self, ended: &ChannelSet) -> ChannelSet {
        if mutants::is_active(mutants::END_IS_NO_BARRIER) {
            return ChannelSet::empty(self.channels);
        }
        ended.clone()
    }

    fn pending_ids(&self) -> Vec<CheckpointId> {
        self.pending.iter().map(|p| p.barrier.checkpoint).collect()
    }

    fn find(&mut self, checkpoint: CheckpointId) -> &mut Pending {
        let found = self.pending.iter_mut().find(|p| p.barrier.checkpoint == checkpoint);
        found.expect("a barrier is ingested before it is processed")
    }

    /// Whether nothing can come of a barrier. One of a checkpoint that is older than what has begun
    /// here, and has not begun itself, is the first of its kind: the channel of the younger one never
    /// had it, because there the older one was already known to be given up. To begin it now would put
    /// a snapshot of the past behind one of the present (Flink: a barrier below the current id).
    fn is_late(&self, checkpoint: CheckpointId) -> bool {
        self.is_over(checkpoint) || checkpoint < self.youngest && !self.is_pending(checkpoint)
    }

    fn begin(&mut self, barrier: Barrier, now: TimeUs, out: &mut Vec<Decision>) {
        if self.is_pending(barrier.checkpoint) {
            return;
        }
        self.announced.retain(|b| b.checkpoint > barrier.checkpoint);
        out.push(Decision::Begun(barrier));
        let set = ChannelSet::empty(self.channels);
        let pending = Pending {
            barrier,
            first_us: now,
            ingested: set.clone(),
            processed: set,
            captured: false,
        };
        self.youngest = barrier.checkpoint;
        self.pending.push_back(pending);
    }

    /// A newer barrier on a channel that never had older ones: they were given up before they reached
    /// that upstream subtask, and cannot complete. Those that the channel did have go on, also when
    /// they are older still.
    fn overtake(&mut self, channel: usize, newer: CheckpointId, out: &mut Vec<Decision>) {
        let is_overtaken =
            |p: &Pending| p.barrier.checkpoint < newer && !p.processed.contains(channel);
        while let Some(at) = self.pending.iter().position(is_overtaken) {
            let older = self.pending.remove(at).expect("at is a position");
            if older.holds() {
                out.push(Decision::Release);
            }
            let why = format!("overtaken by checkpoint {newer}");
            out.push(Decision::Decline(older.barrier.checkpoint, why));
        }
    }

    fn capture(pending: &mut Pending, out: &mut Vec<Decision>) {
        if pending.captured {
            return;
        }
        pending.captured = true;
        let closed = Some(pending.processed.clone());
        out.push(Decision::Snapshot { barrier: pending.barrier, closed });
    }

    fn complete_captured(&mut self, checkpoint: CheckpointId, out: &mut Vec<Decision>) {
        let ended = self.counted(&self.ended_ingested);
        let missing = usize::from(mutants::is_active(mutants::LAST_LOG_MISSING));
        let found = self.pending.iter().position(|p| {
            let is_covered = p.ingested.covers_with(&ended)
                || (missing > 0 && p.ingested.len() + missing >= self.channels);
            p.barrier.checkpoint == checkpoint && p.captured && is_covered
        });
        if let Some(at) = found {
            self.finish(at, out);
        }
    }

    fn complete_aligned(&mut self, checkpoint: CheckpointId, out: &mut Vec<Decision>) {
        let found = self.pending.iter().position(|p| p.barrier.checkpoint == checkpoint);
        let at = found.expect("complete is for a pending checkpoint");
        out.push(Decision::Snapshot { barrier: self.pending[at].barrier, closed: None });
        out.push(Decision::Release);
        self.finish(at, out);
    }

    fn finish(&mut self, at: usize, out: &mut Vec<Decision>) {
        let done = self.pending.remove(at).expect("at is a position");
        self.pass(done.barrier.checkpoint);
        out.push(Decision::Complete(done.barrier.checkpoint));
    }
}
