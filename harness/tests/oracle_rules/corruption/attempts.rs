//! Corruptions of what attempts did: their fences, what they restored, what they wrote of records
//! that earlier attempts had read.

use stormproof_harness::oracle::checkpoint_reader::{Frame, Place};
use stormproof_harness::oracle::evidence::Effect;
use stormproof_harness::oracle::{AttemptId, CheckpointId, Site};
use stormproof_harness::workload::ledger::{Offset, PartitionId};

use super::{Broken, cut, pick, record};
use crate::simulation::History;

/// A checkpoint holds a record of a partition that there is not.
pub(super) fn foreign_frame(history: &mut History, seed: u64) -> Option<Broken> {
    if !history.conditions.mode.has_exact_cuts() {
        return None;
    }
    let id = cut(history, seed)?;
    let (manifest, state) = history.checkpoint(id);
    let places = [Place::Channel { source: 0, target: 0, vertex: 1 }, Place::Buffer { subtask: 0 }];
    let frame = Frame {
        partition: PartitionId(42),
        offset: Offset(7),
        index: 0,
        source_attempt: manifest.attempt,
        place: places[pick(places.len(), seed)?],
    };
    state.frames.push(frame);
    let site = Site::record(frame.partition, frame.offset).at(id);
    Some(Broken::new("no-orphans", site.of(frame.source_attempt)))
}

/// The place of a fence that has another one before it.
fn later_fence(history: &History, seed: u64) -> Option<usize> {
    Some(1 + pick(history.audit.fences.len().checked_sub(1)?, seed)?)
}

/// A later attempt's fence lies before an earlier one's.
pub(super) fn fence_behind(history: &mut History, seed: u64) -> Option<Broken> {
    let at = later_fence(history, seed)?;
    let fences = &mut history.audit.fences;
    fences[at].after_seq = fences[at - 1].after_seq.checked_sub(1)?;
    Some(Broken::new("attempt-order", Site::default().of(fences[at].attempt)))
}

/// Two attempts have taken their fences in the wrong order.
pub(super) fn fences_exchanged(history: &mut History, seed: u64) -> Option<Broken> {
    let at = later_fence(history, seed)?;
    let fences = &mut history.audit.fences;
    let (first, second) = (fences[at - 1].attempt, fences[at].attempt);
    fences[at - 1].attempt = second;
    fences[at].attempt = first;
    Some(Broken::new("attempt-order", Site::default().of(first)))
}

/// A checkpoint was made by an attempt that never began.
pub(super) fn made_by_nobody(history: &mut History, seed: u64) -> Option<Broken> {
    let id = cut(history, seed)?;
    history.checkpoint(id).0.attempt = AttemptId(77);
    Some(Broken::new("attempt-order", Site::default().at(id).of(AttemptId(77))))
}

/// The last attempt goes back to before what an earlier one had restored.
pub(super) fn went_back(history: &mut History) -> Option<Broken> {
    let (last, earlier) = history.audit.fences.split_last_mut()?;
    let highest = earlier.iter().map(|fence| fence.restored).max()?;
    let whole = |id: CheckpointId| {
        let mut all = history.checkpoints.checkpoints.iter();
        all.any(|(other, found)| *other == id && found.is_ok())
    };
    if highest == CheckpointId::NONE || !whole(highest) {
        return None;
    }
    let older = history.checkpoints.checkpoints.iter().filter(|(_, found)| found.is_ok());
    let older = older.map(|(id, _)| *id).filter(|id| *id < highest).max();
    last.restored = older.unwrap_or(CheckpointId::NONE);
    let site = Site::default().at(last.restored).of(last.attempt);
    Some(Broken::new("restore-newest", site))
}

/// The checkpoint that the last attempt restored, and who made it.
fn last_restored(history: &mut History) -> Option<(CheckpointId, AttemptId)> {
    let id = history.audit.fences.last()?.restored;
    let mut all = history.checkpoints.checkpoints.iter();
    let found = all.find_map(|(other, found)| (*other == id).then_some(found.as_ref().ok()?))?;
    Some((id, found.0.attempt))
}

/// A restored orphan, for which its copy has to be written once more, is not.
pub(super) fn copy_unwritten(history: &mut History, seed: u64) -> Option<Broken> {
    if history.conditions.mode.has_exact_cuts() || !history.conditions.drained {
        return None;
    }
    let (id, maker) = last_restored(history)?;
    let last = history.audit.fences.last()?.attempt;
    let state = history.checkpoint(id).1.clone();
    let is_orphan = |frame: &&Frame| {
        let split = state.splits.iter().find(|split| split.partition == frame.partition);
        frame.source_attempt == maker
            && split.is_some_and(|split| frame.offset >= split.next_offset)
    };
    let orphans: Vec<&Frame> = state.frames.iter().filter(is_orphan).collect();
    let frame = **orphans.get(pick(orphans.len(), seed)?)?;
    let is_copy = |effect: &Effect| {
        (effect.partition, effect.offset) == (frame.partition, frame.offset)
            && (effect.sink_attempt, effect.source_attempt) == (last, maker)
    };
    let before = history.audit.effects.len();
    history.audit.effects.retain(|effect| !is_copy(effect));
    let site = Site::record(frame.partition, frame.offset).of(maker);
    (history.audit.effects.len() < before).then(|| Broken::new("duplicates-exact", site))
}

/// The last attempt writes a record that the one before it had read above the restored offsets.
pub(super) fn copy_beyond(history: &mut History, seed: u64) -> Option<Broken> {
    let (id, maker) = last_restored(history)?;
    let last = history.audit.fences.last()?.attempt;
    let state = history.checkpoint(id).1.clone();
    let above = |effect: &Effect| {
        let split = state.splits.iter().find(|split| split.partition == effect.partition);
        (effect.sink_attempt, effect.source_attempt) == (maker, maker)
            && split.is_some_and(|split| effect.offset >= split.next_offset)
    };
    let effects = &history.audit.effects;
    let found: Vec<usize> = (0..effects.len()).filter(|at| above(&effects[*at])).collect();
    let copied = effects[found[pick(found.len(), seed)?]];
    let tail = *effects.last()?;
    let copy = Effect {
        seq: tail.seq + 1,
        sink_attempt: last,
        tag: tail.tag.max(id),
        batch: 99_999,
        batch_try: 0,
        ..copied
    };
    history.audit.effects.push(copy);
    Some(Broken::new("duplicates-exact", record(&copy).of(maker)))
}

/// An attempt has written a record twice that nobody knows to have read.
pub(super) fn read_by_nobody(history: &mut History, seed: u64) -> Option<Broken> {
    let at = pick(history.audit.effects.len(), seed)?;
    let effect =
        Effect { source_attempt: AttemptId(77), batch: 99_999, ..history.audit.effects[at] };
    history.audit.effects[at] = effect;
    history.audit.effects.insert(at + 1, effect);
    Some(Broken::new("single-effect-per-attempt", record(&effect).of(effect.sink_attempt)))
}

/// A checkpoint's position lies behind the end of its partition.
pub(super) fn beyond_the_log(history: &mut History, seed: u64) -> Option<Broken> {
    let id = cut(history, seed)?;
    let count = history.checkpoint(id).1.splits.len();
    let at = pick(count, seed)?;
    let partition = history.checkpoint(id).1.splits[at].partition;
    let end = history.ledger.partitions()[history.ledger.slot(partition)?].end();
    let split = &mut history.checkpoint(id).1.splits[at];
    split.next_offset = Offset(end.0 + 5);
    Some(Broken::new("offset-coverage", Site::record(partition, split.next_offset).at(id)))
}

/// What each checkpoint says of a partition, ascending.
fn positions(history: &History, partition: PartitionId) -> Vec<Offset> {
    let all = history.checkpoints.checkpoints.iter().filter_map(|(_, found)| found.as_ref().ok());
    let splits = all.flat_map(|(_, state)| &state.splits);
    let mut positions: Vec<Offset> =
        splits.filter(|s| s.partition == partition).map(|s| s.next_offset).collect();
    positions.sort_unstable();
    positions
}

/// The group stands between two checkpoints.
pub(super) fn committed_between(history: &mut History, seed: u64) -> Option<Broken> {
    let partitions: Vec<PartitionId> =
        history.conditions.committed.as_ref()?.keys().copied().collect();
    let partition = partitions[pick(partitions.len(), seed)?];
    let positions = positions(history, partition);
    let gap = positions.windows(2).find(|pair| pair[1].0 > pair[0].0 + 1)?;
    let between = Offset(gap[0].0 + 1);
    history.conditions.committed.as_mut()?.insert(partition, between);
    Some(Broken::new("committed-offsets", Site::record(partition, between)))
}

/// The group stands at an older checkpoint than the last one: no flaw while faults strike.
pub(crate) fn commit_behind(history: &mut History) -> Option<()> {
    let partition = *history.conditions.committed.as_ref()?.keys().next()?;
    let oldest = *positions(history, partition).first()?;
    history.conditions.committed.as_mut()?.insert(partition, oldest);
    Some(())
}

/// The last checkpoint is a savepoint that did not wait for the pause: it need not.
pub(crate) fn hasty_savepoint(history: &mut History) -> Option<()> {
    let all = history.checkpoints.checkpoints.iter_mut();
    let mut whole: Vec<_> = all.filter_map(|(_, found)| found.as_mut().ok()).collect();
    let completed_us = whole.iter().rev().nth(1)?.0.completed_us;
    let last = whole.last_mut()?;
    last.0.kind = "savepoint".to_owned();
    last.0.triggered_us = completed_us + 1;
    Some(())
}

/// A retried batch has written a record twice in one try.
pub(crate) fn retry_doubled(history: &mut History) -> Option<()> {
    let effects = &mut history.audit.effects;
    let at = effects.iter().position(|effect| effect.batch_try > 0)?;
    effects.insert(at + 1, effects[at]);
    Some(())
}

/// A row is tagged with a checkpoint from before its attempt.
pub(super) fn backdated(history: &mut History, seed: u64) -> Option<Broken> {
    let restores = history.audit.fences.iter().filter(|f| f.restored > CheckpointId::NONE);
    let began: Vec<_> = restores.map(|fence| (fence.attempt, fence.restored)).collect();
    let (attempt, restored) = began[pick(began.len(), seed)?];
    let effects = history.audit.effects.iter_mut();
    let effect = effects.filter(|e| e.sink_attempt == attempt && e.tag == restored).last()?;
    effect.tag = CheckpointId(restored.0 - 1);
    Some(Broken::new("fencing", record(effect).of(attempt)))
}
