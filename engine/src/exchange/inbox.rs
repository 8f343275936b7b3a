//! The receiving side of a group: what has arrived and is not processed.
//!
//! Two ends. *Ingest* empties the lanes at once and sees every mark on the way in; *take* hands
//! out records and marks in order (records by the run where nothing stands in the way), and puts
//! aside what belongs to a held channel; a lane whose channels are all held just waits. An aligned
//! barrier is one met at `take`, an unaligned barrier is one met at ingest: that is the whole
//! difference. A *capture* logs the records that are between the two ends at the moment of a
//! snapshot, each channel up to its barrier, by reference.
//!
//! Invariant: for each channel, the order is recovered -> replay -> stash -> lanes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::capture::Capture;
use super::channel_set::ChannelSet;
use super::lane::{Lane, LaneBuffer, Mark, MarkKind};
use super::run::Run;
use crate::ids::{CheckpointId, SubtaskIndex};
use crate::mutants;
use crate::record::{Record, RecordView};

/// What a group processes next.
#[derive(Clone, Debug)]
pub enum Item {
    /// A record; `lane` is where its credit goes back to (none for recovered channel state).
    Record {
        /// Where the credit goes back to.
        lane: Option<u16>,
        /// The logical channel, shared by the group's subtasks.
        channel: usize,
        /// The record.
        record: Record,
    },
    /// A mark.
    Mark {
        /// The logical channel, shared by the group's subtasks.
        channel: usize,
        /// What it says.
        kind: MarkKind,
    },
}

impl Item {
    fn channel(&self) -> usize {
        match self {
            Self::Record { channel, .. } | Self::Mark { channel, .. } => *channel,
        }
    }
}

/// A lane and the part of its content that is not processed.
#[derive(Debug)]
struct InputLane {
    lane: Arc<Lane>,
    first_channel: usize,
    queue: VecDeque<LaneBuffer>,
    at: usize,
    next_mark: usize,
    queued_bytes: u64,
    /// Channels of this lane that are held.
    held: usize,
}

impl InputLane {
    fn new(first_channel: usize, lane: Arc<Lane>) -> Self {
        let queue = VecDeque::new();
        Self { lane, first_channel, queue, at: 0, next_mark: 0, queued_bytes: 0, held: 0 }
    }

    fn has_channel(&self, channel: usize) -> bool {
        let sources = self.lane.sources();
        let first = self.first_channel + usize::from(sources.start);
        (first..first + sources.len()).contains(&channel)
    }

    /// Whether nothing of this lane may be handed out: its content stays where it is.
    fn is_held(&self) -> bool {
        self.held > 0 && self.held == self.lane.sources().len()
    }

    fn mark_due(&self) -> Option<&Mark> {
        let mark = self.queue.front()?.marks.get(self.next_mark)?;
        (mark.at as usize <= self.at).then_some(mark)
    }

    /// Leaves the front buffer when everything of it is processed.
    fn leave_processed(&mut self) -> bool {
        let is_processed = self.queue.front().is_some_and(|buffer| {
            self.at >= buffer.bytes.len() && self.next_mark == buffer.marks.len()
        });
        if is_processed && let Some(buffer) = self.queue.pop_front() {
            (self.at, self.next_mark) = (0, 0);
            self.lane.recycle(buffer.bytes);
        }
        is_processed
    }
}

/// The inbox of one group.
#[derive(Debug)]
pub struct Inbox {
    lanes: Vec<InputLane>,
    channels: usize,
    recovered: VecDeque<Record>,
    replay: VecDeque<Item>,
    stash: VecDeque<Item>,
    held: ChannelSet,
    captures: Vec<Capture>,
    turn: usize,
    scratch: Vec<LaneBuffer>,
    taken_bytes: u64,
    held_bytes: u64,
}

impl Inbox {
    /// An inbox of `channels` logical channels over `lanes`, each with its first channel.
    pub fn new(
        lanes: impl IntoIterator<Item = (usize, Arc<Lane>)>,
        channels: usize,
        recovered: VecDeque<Record>,
    ) -> Self {
        Self {
            lanes: lanes.into_iter().map(|(first, lane)| InputLane::new(first, lane)).collect(),
            channels,
            recovered,
            replay: VecDeque::new(),
            stash: VecDeque::new(),
            held: ChannelSet::empty(channels),
            captures: Vec::new(),
            turn: 0,
            scratch: Vec::new(),
            taken_bytes: 0,
            held_bytes: 0,
        }
    }

    /// Empties the lanes; `on_mark` sees every mark on its way in. Returns whether anything came.
    pub fn ingest(&mut self, mut on_mark: impl FnMut(usize, MarkKind)) -> bool {
        let mut arrived = false;
        for lane in &mut self.lanes {
            lane.lane.drain_into(&mut self.scratch);
            if self.scratch.is_empty() {
                continue;
            }
            arrived = true;
            for buffer in self.scratch.drain(..) {
                for capture in &mut self.captures {
                    capture.pass_buffer(lane.first_channel, &buffer, 0, 0);
                }
                for mark in &buffer.marks {
                    on_mark(lane.first_channel + mark.source.index(), mark.kind);
                }
                lane.queued_bytes += buffer.bytes.len() as u64;
                lane.queue.push_back(buffer);
            }
        }
        arrived
    }

    /// The next record or mark of a channel that is not held. What is put aside on the way is taken
    /// off `budget`: `None` with some of it left means that nothing is ready.
    pub fn take(&mut self, budget: &mut usize) -> Option<Item> {
        if let Some(record) = self.recovered.pop_front() {
            return Some(Item::Record { lane: None, channel: 0, record });
        }
        while let Some(item) = self.replay.pop_front() {
            if !self.held.contains(item.channel()) {
                return Some(item);
            }
            self.hold_back(item);
            *budget -= 1;
            if *budget == 0 {
                return None;
            }
        }
        let mut empty_lanes = 0;
        while empty_lanes < self.lanes.len() {
            if self.lanes[self.turn].leave_processed() {
                self.turn = (self.turn + 1) % self.lanes.len();
                empty_lanes = 0;
                continue;
            }
            match self.next_of_lane(self.turn) {
                None => {
                    self.turn = (self.turn + 1) % self.lanes.len();
                    empty_lanes += 1;
                }
                Some(item) if self.held.contains(item.channel()) => {
                    *budget -= 1;
                    if *budget > 0 || !mutants::is_active(mutants::HELD_LOST) {
                        self.hold_back(item);
                    }
                    if *budget == 0 {
                        return None;
                    }
                    empty_lanes = 0;
                }
                free => return free,
            }
        }
        None
    }

    /// Hands a run of records to `consume`. `None` when the next item is not a record on a free
    /// lane: [`Inbox::take`] knows what it is then.
    pub fn take_run<R>(
        &mut self,
        budget: usize,
        consume: impl FnOnce(&mut Run<'_>) -> R,
    ) -> Option<R> {
        let replays = !self.replay.is_empty() && !mutants::is_active(mutants::RUN_BEFORE_REPLAY);
        if !self.recovered.is_empty() || replays {
            return None;
        }
        let skipped = (0..self.lanes.len()).find(|n| {
            let lane = &self.lanes[(self.turn + n) % self.lanes.len()];
            !lane.queue.is_empty() && !lane.is_held()
        })?;
        self.turn = (self.turn + skipped) % self.lanes.len();
        let lane = &mut self.lanes[self.turn];
        if lane.held > 0 || lane.mark_due().is_some() {
            return None;
        }
        let front = lane.queue.front()?;
        if lane.at == 0 {
            fetch(&front.bytes);
        }
        let end = front.marks.get(lane.next_mark).map_or(front.bytes.len(), |m| m.at as usize);
        let mut run = Run::new(&lane.lane, &front.bytes, lane.at, end, budget);
        let outcome = consume(&mut run);
        run.settle();
        let taken = (run.at() - lane.at) as u64;
        lane.at = run.at();
        lane.queued_bytes -= taken;
        self.taken_bytes += taken;
        if lane.leave_processed() {
            self.turn = (self.turn + 1) % self.lanes.len();
        }
        Some(outcome)
    }

    fn hold_back(&mut self, item: Item) {
        if let Item::Record { record, .. } = &item {
            self.held_bytes += record.frame().len() as u64;
        }
        self.stash.push_back(item);
    }

    /// The next item of one lane, unless all of it is held.
    fn next_of_lane(&mut self, index: usize) -> Option<Item> {
        let lane = &mut self.lanes[index];
        if lane.is_held() {
            return None;
        }
        if let Some(Mark { source, kind, .. }) = lane.mark_due().copied() {
            lane.next_mark += 1;
            return Some(Item::Mark { channel: lane.first_channel + source.index(), kind });
        }
        let record = Record::at(&lane.queue.front()?.bytes, lane.at);
        lane.at += record.frame().len();
        lane.queued_bytes -= record.frame().len() as u64;
        self.taken_bytes += record.frame().len() as u64;
        let channel = lane.first_channel + record.view().source().index();
        Some(Item::Record { lane: Some(index as u16), channel, record })
    }

    /// Holds a channel: what follows its barrier waits.
    pub fn hold(&mut self, channel: usize) {
        if self.held.insert(channel) {
            let lane = self.lanes.iter_mut().find(|lane| lane.has_channel(channel));
            lane.expect("every channel has its lane").held += 1;
        }
    }

    /// Lets every held channel go.
    pub fn release(&mut self) {
        self.held.clear();
        self.lanes.iter_mut().for_each(|lane| lane.held = 0);
        self.held_bytes = 0;
        std::mem::swap(&mut self.replay, &mut self.stash);
        // `stash` now has what was left of the replay: younger than what was held.
        self.replay.append(&mut self.stash);
    }

    /// Starts to log, for `checkpoint`, what is in flight: `parked` records first, then
    /// everything up to the barrier of each channel that is not in `closed`.
    pub fn begin_capture(
        &mut self,
        checkpoint: CheckpointId,
        parked: impl Iterator<Item = Record>,
        closed: &ChannelSet,
    ) {
        let mut records: Vec<Record> = parked.collect();
        let parked = records.len();
        if !mutants::is_active(mutants::RECOVERED_UNLOGGED) {
            records.extend(self.recovered.iter().cloned());
        }
        let mut capture = Capture { checkpoint, closed: closed.clone(), records };
        if mutants::is_active(mutants::QUEUE_OVERTAKEN) {
            self.captures.push(capture);
            return;
        }
        if !mutants::is_active(mutants::REPLAY_UNLOGGED) {
            self.replay.iter().for_each(|item| capture.pass_item(item));
        }
        for lane in &self.lanes {
            let (mut at, mut next_mark) = (lane.at, lane.next_mark);
            for buffer in &lane.queue {
                capture.pass_buffer(lane.first_channel, buffer, at, next_mark);
                (at, next_mark) = (0, 0);
            }
        }
        if mutants::is_active(mutants::PARKED_BEHIND) {
            capture.records.rotate_left(parked);
        }
        self.captures.push(capture);
    }

    /// Ends the log of `checkpoint`: every barrier is in.
    pub fn end_capture(&mut self, checkpoint: CheckpointId) -> Vec<Record> {
        let found = self.captures.iter().position(|c| c.checkpoint == checkpoint);
        found.map(|i| self.captures.remove(i).records).unwrap_or_default()
    }

    /// Gives up the log of `checkpoint`, if there is one.
    pub fn abandon_capture(&mut self, checkpoint: CheckpointId) {
        if mutants::is_active(mutants::ABORTED_LOG_GOES_ON) {
            return;
        }
        self.captures.retain(|c| c.checkpoint != checkpoint);
        if mutants::is_active(mutants::CAPTURES_CLEARED) {
            self.captures.clear();
        }
    }

    /// The checkpoints that in-flight records are logged for.
    pub fn captures(&self) -> impl Iterator<Item = CheckpointId> {
        self.captures.iter().map(|capture| capture.checkpoint)
    }

    /// The channels that are held.
    pub fn held(&self) -> &ChannelSet {
        &self.held
    }

    /// How many channels are held.
    pub fn held_channels(&self) -> usize {
        self.held.len()
    }

    /// Gives credit back.
    pub fn refund(&self, lane: u16, source: SubtaskIndex, bytes: u64) {
        self.lanes[lane as usize].lane.refund(source, bytes);
    }

    /// Sets what each upstream subtask may have under way on each lane into this group.
    pub fn set_credit(&self, credit_bytes: u64) {
        let only_first = mutants::is_active(mutants::CREDIT_OF_FIRST_LANE);
        for lane in self.lanes.iter().take(if only_first { 1 } else { self.lanes.len() }) {
            lane.lane.set_credit(credit_bytes);
        }
    }

    /// The least and the most that an upstream subtask may have under way to this inbox, bytes.
    pub fn credits(&self) -> (u64, u64) {
        let of_each = self.lanes.iter().map(|lane| lane.lane.credit_bytes());
        (of_each.clone().min().unwrap_or(0), of_each.max().unwrap_or(0))
    }

    /// Logical channels into each subtask.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Whether there is nothing here, not even on channels that are held.
    pub fn is_empty(&self) -> bool {
        self.recovered.is_empty()
            && self.replay.is_empty()
            && self.lanes.iter().all(|lane| lane.queue.is_empty())
    }

    /// Whether there is anything to hand out, held channels aside.
    pub fn has_ready(&self) -> bool {
        !self.recovered.is_empty()
            || !self.replay.is_empty()
            || self.lanes.iter().any(|lane| !lane.queue.is_empty() && !lane.is_held())
    }

    /// Bytes that wait in lanes' buffers, held lanes aside.
    pub fn queued_bytes(&self) -> u64 {
        let free = self.lanes.iter().filter(|lane| !lane.is_held());
        free.map(|lane| lane.queued_bytes).sum()
    }

    /// Bytes taken out of lanes' buffers since the beginning.
    pub fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Bytes held back by alignment.
    pub fn held_bytes(&self) -> u64 {
        let held = self.lanes.iter().filter(|lane| lane.is_held());
        self.held_bytes + held.map(|lane| lane.queued_bytes).sum::<u64>()
    }
}

/// Brings a buffer that another core has written into this core's cache, with loads that do not
/// wait for each other. The way from frame to frame would wait for every one of them.
fn fetch(buffer: &[u8]) {
    const LINE_BYTES: usize = 64;
    let sum = buffer.iter().step_by(LINE_BYTES).fold(0_u8, |sum, byte| sum ^ byte);
    std::hint::black_box(sum);
}

/// Credit on its way back, gathered over runs of records of one upstream subtask.
#[derive(Debug, Default)]
pub struct Refunds {
    lane: u16,
    source: SubtaskIndex,
    bytes: u64,
}

impl Refunds {
    /// Notes that a record was processed.
    #[inline]
    pub fn note(&mut self, inbox: &Inbox, lane: Option<u16>, view: RecordView<'_>) {
        let Some(lane) = lane else { return };
        let source = view.source();
        if self.bytes > 0 && (self.lane != lane || self.source != source) {
            self.settle(inbox);
        }
        self.lane = lane;
        self.source = source;
        self.bytes += view.frame_bytes() as u64;
        let lane = &inbox.lanes[lane as usize].lane;
        if lane.is_large(view.frame_bytes()) {
            lane.refund_large(view.frame_bytes() as u64);
        }
    }

    /// Gives back what was gathered.
    pub fn settle(&mut self, inbox: &Inbox) {
        if self.bytes > 0 {
            inbox.refund(self.lane, self.source, std::mem::take(&mut self.bytes));
        }
    }
}
