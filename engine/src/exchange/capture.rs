//! What is between the two ends of an inbox at the moment of a snapshot, each channel up to its
//! barrier, by reference.

use super::channel_set::ChannelSet;
use super::inbox::Item;
use super::lane::{LaneBuffer, MarkKind};
use crate::ids::CheckpointId;
use crate::mutants;
use crate::record::{Record, RecordView, frame_len};

/// A log of in-flight records under way: part of one checkpoint.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) checkpoint: CheckpointId,
    /// Channels whose barrier has been seen: what follows is not part of the checkpoint.
    pub(super) closed: ChannelSet,
    pub(super) records: Vec<Record>,
}

impl Capture {
    /// A record goes by: it is logged until its channel's barrier has gone by.
    pub(super) fn log(&mut self, channel: usize, record: impl FnOnce() -> Record) {
        if !self.closed.contains(channel) {
            self.records.push(record());
        }
    }

    /// A mark goes by.
    pub(super) fn pass_mark(&mut self, channel: usize, kind: MarkKind) {
        let closes = match kind {
            MarkKind::Barrier(barrier) => barrier.checkpoint >= self.checkpoint,
            MarkKind::EndOfInput => true,
        };
        if closes && !mutants::is_active(mutants::LOGS_TOO_MUCH) {
            self.closed.insert(channel);
        }
    }

    /// Something that has left its lane goes by.
    pub(super) fn pass_item(&mut self, item: &Item) {
        match item {
            Item::Record { channel, record, .. } => self.log(*channel, || record.clone()),
            Item::Mark { channel, kind } => self.pass_mark(*channel, *kind),
        }
    }

    /// A buffer goes by, from `at` and its mark `next_mark` on.
    pub(super) fn pass_buffer(
        &mut self,
        first_channel: usize,
        buffer: &LaneBuffer,
        mut at: usize,
        next_mark: usize,
    ) {
        let mut marks = buffer.marks[next_mark..].iter().peekable();
        loop {
            while let Some(mark) = marks.next_if(|mark| mark.at as usize <= at) {
                self.pass_mark(first_channel + mark.source.index(), mark.kind);
            }
            if at >= buffer.bytes.len() {
                break;
            }
            let channel = first_channel + RecordView::new(&buffer.bytes[at..]).source().index();
            self.log(channel, || Record::at(&buffer.bytes, at));
            at += frame_len(&buffer.bytes[at..]);
        }
    }
}
