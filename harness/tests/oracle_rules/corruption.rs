//! Ways to corrupt a correct history, one thing at a time, and the rule meant for each.

pub(crate) mod attempts;

use stormproof_harness::oracle::checkpoint_reader::{Frame, Split};
use stormproof_harness::oracle::evidence::{Effect, StoredResult};
use stormproof_harness::oracle::{AttemptId, CheckpointId, Site};
use stormproof_harness::workload::ledger::{Offset, PartitionId, version_of};

use crate::simulation::History;

/// What is done to a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corruption {
    /// The only effect of a record is gone.
    Lost,
    /// An effect is there twice.
    Doubled,
    /// Two effects of one key change places.
    Swapped,
    /// A key's row holds an earlier record's version.
    StaleVersion,
    /// A key has no row.
    KeyWithoutRow,
    /// An effect appears behind the fence of a later attempt.
    AfterFence,
    /// An effect belongs to an attempt that never began.
    UnknownAttempt,
    /// An effect of a record that the input does not have.
    Phantom,
    /// An effect counts for a checkpoint whose source stood below it.
    Orphan,
    /// A checkpoint's position jumps over records.
    OffsetGap,
    /// A partition has two owners.
    SplitTwice,
    /// A partition has no owner.
    SplitNever,
    /// A checkpoint lacks an acknowledgement.
    AckShort,
    /// A sink buffer or channel holds a record twice.
    FrameTwice,
    /// The group's offsets are ahead of every checkpoint.
    CommittedAhead,
    /// Some commit was never a completed checkpoint's.
    CommittedTooEarly,
    /// The last checkpoint was never committed.
    NeverCommitted,
    /// A restored checkpoint does not exist.
    RestoredNothing,
    /// A restored checkpoint vanishes, and a later attempt begins afresh.
    Vanished,
    /// A checkpoint is triggered right after the one before.
    TooSoon,
    /// One checkpoint too many is under way.
    Overlapping,
    /// A checkpoint completes after its timeout.
    Expired,
    /// A checkpoint holds a record of a partition that there is not.
    ForeignFrame,
    /// A later attempt's fence lies before an earlier one's.
    FenceBehind,
    /// Two attempts have taken their fences in the wrong order.
    FencesExchanged,
    /// A checkpoint was made by an attempt that never began.
    MadeByNobody,
    /// An attempt goes back to before what an earlier one had restored.
    WentBack,
    /// A restored orphan is not written once more.
    CopyUnwritten,
    /// A copy is written of what no checkpoint held.
    CopyBeyond,
    /// A record is written twice that nobody is known to have read.
    ReadByNobody,
    /// A checkpoint's position lies behind the end of its partition.
    BeyondTheLog,
    /// The group stands between two checkpoints.
    CommittedBetween,
    /// A key's row has the right version and another value.
    WrongValue,
    /// A key's row has a version that no record of the key has.
    VersionAbove,
    /// A row is tagged with a checkpoint from before its attempt.
    Backdated,
    /// A key has two rows.
    KeyTwice,
    /// There is a row for a key that the input does not have.
    MadeUpKey,
}

/// The rule that must convict, and what its witness must name at least.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    site: Site,
}

impl Corruption {
    pub(crate) const ALL: [Self; 37] = [
        Self::Lost,
        Self::Doubled,
        Self::Swapped,
        Self::StaleVersion,
        Self::KeyWithoutRow,
        Self::AfterFence,
        Self::UnknownAttempt,
        Self::Phantom,
        Self::Orphan,
        Self::OffsetGap,
        Self::SplitTwice,
        Self::SplitNever,
        Self::AckShort,
        Self::FrameTwice,
        Self::CommittedAhead,
        Self::CommittedTooEarly,
        Self::NeverCommitted,
        Self::RestoredNothing,
        Self::Vanished,
        Self::TooSoon,
        Self::Overlapping,
        Self::Expired,
        Self::Backdated,
        Self::ForeignFrame,
        Self::FenceBehind,
        Self::FencesExchanged,
        Self::MadeByNobody,
        Self::WentBack,
        Self::CopyUnwritten,
        Self::CopyBeyond,
        Self::ReadByNobody,
        Self::BeyondTheLog,
        Self::CommittedBetween,
        Self::WrongValue,
        Self::VersionAbove,
        Self::KeyTwice,
        Self::MadeUpKey,
    ];

    /// In how many of 24 histories there must be a place for it.
    pub(crate) fn least(self) -> u32 {
        match self {
            // Only at-least-once cuts have orphans, and not each one holds some.
            Self::CopyUnwritten => 1,
            Self::WentBack => 3,
            _ => 6,
        }
    }
}

impl Broken {
    fn new(rule: &'static str, site: Site) -> Self {
        Self { rule, site }
    }

    /// Whether a witness names it, whatever else it names.
    pub(crate) fn names(&self, witness: &Site) -> bool {
        fn fits<T: PartialEq + Copy>(asked: Option<T>, found: Option<T>) -> bool {
            asked.is_none() || asked == found
        }
        fits(self.site.partition, witness.partition)
            && fits(self.site.offset, witness.offset)
            && fits(self.site.checkpoint, witness.checkpoint)
            && fits(self.site.attempt, witness.attempt)
    }
}

/// Corrupts a history at a place that `seed` picks; `None` when it has no such place.
pub(crate) fn corrupt(history: &mut History, kind: Corruption, seed: u64) -> Option<Broken> {
    match kind {
        Corruption::Lost => lose(history, seed),
        Corruption::Doubled => double(history, seed),
        Corruption::Swapped => swap(history, seed),
        Corruption::StaleVersion => stale(history, seed),
        Corruption::WrongValue
        | Corruption::VersionAbove
        | Corruption::KeyTwice
        | Corruption::MadeUpKey => spoil_row(history, kind, seed),
        Corruption::KeyWithoutRow => {
            let at = pick(history.audit.results.len(), seed)?;
            let row = history.audit.results.remove(at);
            let facts = history.ledger.key(row.key_hash)?;
            Some(Broken::new("final-values", Site::record(facts.partition, facts.offset)))
        }
        Corruption::AfterFence => after_fence(history, seed),
        Corruption::UnknownAttempt => {
            let at = pick(history.audit.effects.len(), seed)?;
            history.audit.effects[at].sink_attempt = AttemptId(77);
            Some(Broken::new("fencing", record(&history.audit.effects[at]).of(AttemptId(77))))
        }
        Corruption::Phantom => phantom(history, seed),
        Corruption::Orphan => orphan(history, seed),
        Corruption::OffsetGap => gap(history, seed),
        Corruption::SplitTwice | Corruption::SplitNever => split(history, kind, seed),
        Corruption::AckShort => {
            let id = cut(history, seed)?;
            let manifest = &mut history.checkpoint(id).0;
            manifest.subtasks_acknowledged = manifest.subtasks_acknowledged.checked_sub(1)?;
            Some(Broken::new("offset-coverage", Site::default().at(id)))
        }
        Corruption::FrameTwice => frame_twice(history, seed),
        Corruption::CommittedAhead => {
            let committed = history.conditions.committed.as_mut()?;
            let at = pick(committed.len(), seed)?;
            let (partition, offset) = committed.iter_mut().nth(at)?;
            *offset = Offset(offset.0 + 10_000);
            Some(Broken::new("committed-offsets", Site::record(*partition, *offset)))
        }
        Corruption::CommittedTooEarly => {
            let commits = history.conditions.commits.as_mut()?;
            let early = (PartitionId(0), Offset(50_000 + seed % 100));
            commits.offsets.insert(early);
            Some(Broken::new("committed-offsets", Site::record(early.0, early.1)))
        }
        Corruption::NeverCommitted => {
            let committed = history.conditions.committed.clone()?;
            let (partition, offset) = committed.into_iter().next_back()?;
            history.conditions.commits.as_mut()?.offsets.remove(&(partition, offset));
            Some(Broken::new("committed-offsets", Site::record(partition, offset)))
        }
        Corruption::RestoredNothing => {
            let restored = history.audit.fences.len().checked_sub(1)?;
            let at = 1 + pick(restored, seed)?;
            history.audit.fences[at].restored = CheckpointId(4711);
            Some(Broken::new("restore-newest", Site::default().at(CheckpointId(4711))))
        }
        Corruption::Vanished => vanish(history),
        Corruption::TooSoon => too_soon(history, seed),
        Corruption::Overlapping => overlapping(history, seed),
        Corruption::Backdated => attempts::backdated(history, seed),
        Corruption::Expired => {
            let id = cut(history, seed)?;
            let manifest = &mut history.checkpoint(id).0;
            manifest.completed_us = manifest.triggered_us + 1_001;
            Some(Broken::new("checkpoint-pace", Site::default().at(id)))
        }
        Corruption::ForeignFrame => attempts::foreign_frame(history, seed),
        Corruption::FenceBehind => attempts::fence_behind(history, seed),
        Corruption::FencesExchanged => attempts::fences_exchanged(history, seed),
        Corruption::MadeByNobody => attempts::made_by_nobody(history, seed),
        Corruption::WentBack => attempts::went_back(history),
        Corruption::CopyUnwritten => attempts::copy_unwritten(history, seed),
        Corruption::CopyBeyond => attempts::copy_beyond(history, seed),
        Corruption::ReadByNobody => attempts::read_by_nobody(history, seed),
        Corruption::BeyondTheLog => attempts::beyond_the_log(history, seed),
        Corruption::CommittedBetween => attempts::committed_between(history, seed),
    }
}

fn pick(of: usize, seed: u64) -> Option<usize> {
    // Spread: neighbouring seeds pick places far from each other.
    (of > 0).then(|| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % of as u64) as usize)
}

fn record(effect: &Effect) -> Site {
    Site::record(effect.partition, effect.offset)
}

/// A whole checkpoint.
fn cut(history: &History, seed: u64) -> Option<CheckpointId> {
    let all = history.checkpoints.checkpoints.iter();
    let whole: Vec<_> = all.filter(|(_, found)| found.is_ok()).map(|(id, _)| *id).collect();
    Some(whole[pick(whole.len(), seed)?])
}

fn lose(history: &mut History, seed: u64) -> Option<Broken> {
    let counts = history.multiplicities();
    let effects = &history.audit.effects;
    let single: Vec<usize> = (0..effects.len())
        .filter(|at| counts[&(effects[*at].partition, effects[*at].offset)] == 1)
        .collect();
    let lost = history.audit.effects.remove(single[pick(single.len(), seed)?]);
    Some(Broken::new("no-loss", record(&lost)))
}

fn double(history: &mut History, seed: u64) -> Option<Broken> {
    let at = pick(history.audit.effects.len(), seed)?;
    let copy = Effect { batch: 99_999, ..history.audit.effects[at] };
    history.audit.effects.insert(at + 1, copy);
    Some(Broken::new("single-effect-per-attempt", record(&copy).of(copy.sink_attempt)))
}

fn swap(history: &mut History, seed: u64) -> Option<Broken> {
    let effects = &history.audit.effects;
    let place = |e: &Effect| {
        let key = history.ledger.partitions()[history.ledger.slot(e.partition)?].key_hash(e.offset);
        let retried = e.batch_try > 0;
        (!retried).then_some((e.sink_attempt, e.source_attempt, e.partition, e.tag, key?))
    };
    let mut pairs = Vec::new();
    for (a, first) in effects.iter().enumerate() {
        let later = effects.iter().enumerate().skip(a + 1);
        let same = |(_, e): &(usize, &Effect)| place(e).is_some() && place(e) == place(first);
        pairs
            .extend(later.filter(same).find(|(_, e)| e.offset > first.offset).map(|(b, _)| (a, b)));
    }
    let (a, b) = pairs[pick(pairs.len(), seed)?];
    let (first, second) = (effects[a].offset, effects[b].offset);
    history.audit.effects[a].offset = second;
    history.audit.effects[b].offset = first;
    Some(Broken::new("per-key-order", record(&history.audit.effects[b])))
}

fn stale(history: &mut History, seed: u64) -> Option<Broken> {
    let rows = &history.audit.results;
    let mut choices = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let facts = history.ledger.key(row.key_hash)?;
        let partition = &history.ledger.partitions()[history.ledger.slot(facts.partition)?];
        let mut offsets = partition.offsets();
        let first = offsets.find(|o| partition.key_hash(*o) == Some(facts.hash))?;
        if first < facts.offset {
            choices.push((at, version_of(facts.partition, first), facts));
        }
    }
    let (at, version, facts) = choices[pick(choices.len(), seed)?];
    history.audit.results[at].version = version;
    Some(Broken::new("final-values", Site::record(facts.partition, facts.offset)))
}

/// A row of the results table that is wrong in another way than being stale.
fn spoil_row(history: &mut History, kind: Corruption, seed: u64) -> Option<Broken> {
    let rows = &mut history.audit.results;
    let at = pick(rows.len(), seed)?;
    let facts = history.ledger.key(rows[at].key_hash)?;
    let mut site = Site::record(facts.partition, facts.offset);
    match kind {
        Corruption::WrongValue => rows[at].value = Some(b"another value".to_vec()),
        Corruption::VersionAbove => rows[at].version = version_of(facts.partition, Offset(99_999)),
        Corruption::KeyTwice => rows.push(rows[at].clone()),
        _ => {
            let made_up =
                StoredResult { key_hash: 4711, key: b"made up".to_vec(), ..rows[at].clone() };
            rows.push(made_up);
            site = Site::default();
        }
    }
    Some(Broken::new("final-values", site))
}

fn after_fence(history: &mut History, seed: u64) -> Option<Broken> {
    let last = history.audit.fences.last()?.attempt;
    let effects = &mut history.audit.effects;
    let seq = effects.last()?.seq + 1;
    let earlier: Vec<usize> =
        (0..effects.len()).filter(|at| effects[*at].sink_attempt < last).collect();
    let zombie = effects.remove(earlier[pick(earlier.len(), seed)?]);
    effects.push(Effect { seq, ..zombie });
    Some(Broken::new("fencing", record(&zombie).of(zombie.sink_attempt)))
}

fn phantom(history: &mut History, seed: u64) -> Option<Broken> {
    let last = *history.audit.effects.last()?;
    let next = Effect { seq: last.seq + 1, batch: 99_999, ..last };
    let made_up = [
        Effect { offset: Offset(99_999), ..next },
        Effect { partition: PartitionId(42), ..next },
        Effect { index: 1, ..next },
    ];
    let phantom = made_up[pick(made_up.len(), seed)?];
    history.audit.effects.push(phantom);
    Some(Broken::new("no-phantom", record(&phantom).of(phantom.sink_attempt)))
}

/// Moves the tag of an effect before a checkpoint whose source had not read its record.
fn orphan(history: &mut History, seed: u64) -> Option<Broken> {
    if !history.conditions.mode.has_exact_cuts() {
        return None;
    }
    let id = cut(history, seed)?;
    let (manifest, state) = history.checkpoint(id).clone();
    let above = |e: &Effect| {
        let split = state.splits.iter().find(|split| split.partition == e.partition);
        (e.sink_attempt, e.source_attempt) == (manifest.attempt, manifest.attempt)
            && split.is_some_and(|split| e.offset >= split.next_offset)
            && e.tag >= id
            && e.batch_try == 0
    };
    let effects = &mut history.audit.effects;
    let found: Vec<usize> = (0..effects.len()).filter(|at| above(&effects[*at])).collect();
    let at = found[pick(found.len(), seed)?];
    effects[at].tag = CheckpointId(id.0 - 1);
    Some(Broken::new("no-orphans", record(&effects[at]).at(id)))
}

/// Moves a checkpoint's position over at least one record, but not past the next checkpoint's.
fn gap(history: &mut History, seed: u64) -> Option<Broken> {
    if !history.conditions.mode.has_exact_cuts() {
        return None;
    }
    let id = cut(history, seed)?;
    let (manifest, state) = history.checkpoint(id).clone();
    let split = state.splits[pick(state.splits.len(), seed)?];
    let following = history.checkpoints.checkpoints.iter().find_map(|(later, found)| {
        let (made, state) = found.as_ref().ok()?;
        let same = *later > id && made.attempt == manifest.attempt;
        let next = state.splits.iter().find(|s| s.partition == split.partition)?.next_offset;
        same.then_some(next)
    });
    let partition = &history.ledger.partitions()[history.ledger.slot(split.partition)?];
    let limit = following.unwrap_or(partition.end());
    let skipped = partition.offsets().find(|o| *o >= split.next_offset && *o < limit)?;
    let splits = &mut history.checkpoint(id).1.splits;
    let moved = splits.iter_mut().find(|s| s.partition == split.partition)?;
    moved.next_offset = Offset(skipped.0 + 1);
    Some(Broken::new("conservation", Site::record(split.partition, skipped).at(id)))
}

fn split(history: &mut History, kind: Corruption, seed: u64) -> Option<Broken> {
    let id = cut(history, seed)?;
    let splits = &mut history.checkpoint(id).1.splits;
    let at = pick(splits.len(), seed)?;
    let split = splits[at];
    if kind == Corruption::SplitTwice {
        splits.push(Split { subtask: split.subtask + 1, ..split });
    } else {
        splits.remove(at);
    }
    Some(Broken::new("offset-coverage", Site::partition(split.partition).at(id)))
}

fn frame_twice(history: &mut History, seed: u64) -> Option<Broken> {
    let mut found = Vec::new();
    for (id, checkpoint) in &history.checkpoints.checkpoints {
        let Ok((manifest, state)) = checkpoint else { continue };
        let below = |frame: &&Frame| {
            let split = state.splits.iter().find(|split| split.partition == frame.partition);
            frame.source_attempt == manifest.attempt
                && split.is_some_and(|split| frame.offset < split.next_offset)
        };
        found.extend(state.frames.iter().filter(below).map(|frame| (*id, *frame)));
    }
    let (id, frame) = found[pick(found.len(), seed)?];
    history.checkpoint(id).1.frames.push(frame);
    Some(Broken::new("conservation", Site::record(frame.partition, frame.offset).at(id)))
}

fn vanish(history: &mut History) -> Option<Broken> {
    let (last, earlier) = history.audit.fences.split_last_mut()?;
    let restored = earlier.iter().map(|fence| fence.restored).max()?;
    if restored == CheckpointId::NONE {
        return None;
    }
    last.restored = CheckpointId::NONE;
    let attempt = last.attempt;
    history.checkpoints.checkpoints.retain(|(id, _)| *id != restored);
    let site = Site::default().at(CheckpointId::NONE).of(attempt);
    Some(Broken::new("restore-newest", site))
}

/// A checkpoint of an attempt that has made one before, and when that one was completed.
fn with_one_before(history: &History, seed: u64) -> Option<(CheckpointId, i64)> {
    let all = history.checkpoints.checkpoints.iter();
    let whole: Vec<_> = all.filter_map(|(_, found)| found.as_ref().ok()).map(|(m, _)| m).collect();
    let pairs = whole.windows(2).filter(|pair| pair[0].attempt == pair[1].attempt);
    let choices: Vec<_> = pairs.map(|p| (p[1].checkpoint, p[0].completed_us)).collect();
    Some(choices[pick(choices.len(), seed)?])
}

fn too_soon(history: &mut History, seed: u64) -> Option<Broken> {
    let (id, completed_us) = with_one_before(history, seed)?;
    history.checkpoint(id).0.triggered_us = completed_us + 1;
    Some(Broken::new("checkpoint-pace", Site::default().at(id)))
}

fn overlapping(history: &mut History, seed: u64) -> Option<Broken> {
    let (id, completed_us) = with_one_before(history, seed)?;
    history.checkpoint(id).0.triggered_us = completed_us - 1;
    // Without a pause nothing else forbids it.
    history.conditions.pace.as_mut()?.min_pause_us = 0;
    Some(Broken::new("checkpoint-pace", Site::default().at(id)))
}
