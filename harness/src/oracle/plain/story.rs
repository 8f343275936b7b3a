//! A story: how a state of affairs came about, told backwards from attempt to attempt.
//!
//! The story of checkpoint 7 may be: "attempt 3 until checkpoint 7, which had restored 4; attempt
//! 1 until checkpoint 4, which had begun afresh". The story of the end is that of the last
//! attempt, without a limit.

use super::super::evidence::Effect;
use super::super::ids::{AttemptId, CheckpointId};
use super::run::{Row, Run, start_of};
use crate::workload::ledger::{Offset, PartitionId};

/// One attempt's part in a story.
#[derive(Debug, Clone, Copy)]
struct Leg {
    attempt: AttemptId,
    /// The checkpoint by which the story leaves the attempt; `None` at the end of the run.
    until: Option<CheckpointId>,
}

/// A story, the latest leg first.
#[derive(Debug)]
pub(super) struct Story {
    legs: Vec<Leg>,
    /// Whether it goes back to a fresh start.
    pub(super) whole: bool,
}

/// What a record is to the story it occurs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It lies in its source attempt's share of the input.
    Share,
    /// Its source attempt read it above the checkpoint by which the story left it: a later
    /// attempt reads it again.
    Orphan,
    /// Its source attempt had no business with it.
    Stray,
}

impl Run<'_> {
    /// The story of a checkpoint; `None` when its maker never took a fence.
    pub(super) fn story_of(&self, checkpoint: CheckpointId) -> Option<Story> {
        let maker = self.cuts.get(&checkpoint)?.manifest.attempt;
        self.attempts.contains_key(&maker).then(|| self.tell(maker, Some(checkpoint)))
    }

    /// The story of the end; `None` when no attempt ever began.
    pub(super) fn final_story(&self) -> Option<Story> {
        let (last, _) = self.attempts.last_key_value()?;
        Some(self.tell(*last, None))
    }

    fn tell(&self, attempt: AttemptId, until: Option<CheckpointId>) -> Story {
        let mut story = Story { legs: vec![Leg { attempt, until }], whole: false };
        let mut attempt = attempt;
        loop {
            let restored = self.attempts[&attempt].restored;
            if restored == CheckpointId::NONE {
                story.whole = true;
                return story;
            }
            let Some(maker) = self.maker_before(restored, attempt) else {
                return story;
            };
            story.legs.push(Leg { attempt: maker, until: Some(restored) });
            attempt = maker;
        }
    }

    /// Who made a checkpoint that `attempt` restored; `None` when that cannot be.
    pub(super) fn maker_before(
        &self,
        restored: CheckpointId,
        attempt: AttemptId,
    ) -> Option<AttemptId> {
        let maker = self.cuts.get(&restored)?.manifest.attempt;
        (self.attempts.contains_key(&maker) && maker < attempt).then_some(maker)
    }

    /// Where the attempt's sources began to read a partition.
    pub(super) fn began_at(&self, attempt: AttemptId, partition: PartitionId) -> Offset {
        let restored = self.attempts[&attempt].restored;
        match self.maker_before(restored, attempt) {
            Some(_) => self.cuts[&restored].next(partition, self.ledger),
            None => start_of(partition, self.ledger),
        }
    }
}

impl Story {
    /// The restored checkpoints, latest first, each with the attempt that made it.
    pub(super) fn restored(&self) -> impl Iterator<Item = (CheckpointId, AttemptId)> {
        self.legs.iter().skip(1).filter_map(|leg| Some((leg.until?, leg.attempt)))
    }

    pub(super) fn has(&self, attempt: AttemptId) -> bool {
        self.legs.iter().any(|leg| leg.attempt == attempt)
    }

    /// Whether the row is part of the story: its attempt is, and left after counting on it.
    pub(super) fn keeps(&self, row: &Row) -> bool {
        let leg = self.legs.iter().find(|leg| leg.attempt == row.effect.sink_attempt);
        leg.is_some_and(|leg| match leg.until {
            None => true,
            Some(until) => row.counted_from.is_some_and(|first| first <= until),
        })
    }

    pub(super) fn standing_of(&self, effect: &Effect, run: &Run<'_>) -> Standing {
        let read_by = effect.source_attempt;
        self.standing(run, effect.sink_attempt, read_by, effect.partition, effect.offset)
    }

    /// What a record that `source` read and `sink` wrote or held is to this story.
    pub(super) fn standing(
        &self,
        run: &Run<'_>,
        sink: AttemptId,
        source: AttemptId,
        partition: PartitionId,
        offset: Offset,
    ) -> Standing {
        let leg = self.legs.iter().find(|leg| leg.attempt == source);
        let Some(leg) = leg.filter(|leg| leg.attempt <= sink) else {
            return Standing::Stray;
        };
        if offset < run.began_at(source, partition) {
            return Standing::Stray;
        }
        match leg.until {
            Some(until) if offset >= run.cuts[&until].next(partition, run.ledger) => {
                Standing::Orphan
            }
            _ => Standing::Share,
        }
    }
}
