//! Something is changed in the checkpoints, the fences or the commits of a correct run; the rule
//! meant for it convicts.

use stormproof_harness::oracle::checkpoint_reader::{Frame, Split, Torn};
use stormproof_harness::oracle::evidence::Fence;
use stormproof_harness::oracle::{AttemptId, CheckpointId, Site, Verdict};
use stormproof_harness::workload::ledger::{Offset, PartitionId};

use crate::correct::MODES;
use crate::simulation::{History, Plan, simulate};
use crate::tampered::{history, names};

#[test]
fn a_checkpoint_needs_every_subtask() {
    let mut history = history();
    let id = history.restored()[0];
    history.checkpoint(id).0.subtasks_acknowledged -= 1;
    let check = history.convicted_by("offset-coverage");
    assert_eq!(check.witnesses[0].site.checkpoint, Some(id));
    let manifest = &mut history.checkpoint(id).0;
    manifest.subtasks_expected -= 1;
    assert_eq!(manifest.subtasks_expected, manifest.subtasks_acknowledged);
    let check = history.convicted_by("offset-coverage");
    assert_eq!(check.witnesses[0].site.checkpoint, Some(id), "the vertices have more subtasks");
}

#[test]
fn a_split_has_one_owner_and_moves_forward_within_the_log() {
    let clean = history();
    let id = *clean.restored().last().unwrap();
    let p = PartitionId(1);
    let convicted = |history: &mut History, text: &str| {
        let check = history.convicted_by("offset-coverage");
        let site = check.witnesses.iter().find(|w| w.text.contains(text));
        let site = site.unwrap_or_else(|| panic!("{text:?} in {check:#?}")).site;
        assert_eq!((site.checkpoint, site.partition), (Some(id), Some(p)));
    };

    let mut twice = clean.clone();
    let splits = &mut twice.checkpoint(id).1.splits;
    splits.push(Split { subtask: 2, ..splits[1] });
    convicted(&mut twice, "owned twice");

    let mut never = clean.clone();
    never.checkpoint(id).1.splits.retain(|split| split.partition != p);
    convicted(&mut never, "no source subtask owns partition 1");

    let mut beyond = clean.clone();
    beyond.checkpoint(id).1.splits[1].next_offset = Offset(9_999);
    convicted(&mut beyond, "lies outside of partition 1");

    let mut backward = clean.clone();
    backward.checkpoint(id).1.splits[1].next_offset = Offset(0);
    convicted(&mut backward, "went back from offset");

    let mut foreign = clean;
    let split = Split { partition: PartitionId(8), next_offset: Offset(0), subtask: 0 };
    foreign.checkpoint(id).1.splits.push(split);
    let check = foreign.convicted_by("offset-coverage");
    assert_eq!(check.witnesses[0].site.partition, Some(PartitionId(8)));
}

/// Takes a frame out of the first checkpoint that holds one of its own attempt's share: no
/// orphan, and no record that turned out to be committed.
fn drop_a_frame(history: &mut History) -> Option<(CheckpointId, Frame)> {
    let effects = &history.audit.effects;
    let whole = history.checkpoints.checkpoints.iter_mut();
    let mut whole = whole.filter_map(|(id, checkpoint)| Some((*id, checkpoint.as_mut().ok()?)));
    whole.find_map(|(id, (manifest, state))| {
        let next = |p: PartitionId| state.splits[p.0 as usize].next_offset;
        let committed = |frame: &Frame| {
            effects.iter().any(|e| {
                (e.partition, e.offset) == (frame.partition, frame.offset)
                    && (e.sink_attempt, e.source_attempt) == (manifest.attempt, manifest.attempt)
                    && e.tag < id
            })
        };
        let at = state.frames.iter().position(|frame| {
            frame.source_attempt == manifest.attempt
                && frame.offset < next(frame.partition)
                && !committed(frame)
        })?;
        Some((id, state.frames.remove(at)))
    })
}

#[test]
fn a_buffer_or_channel_that_drops_a_frame_breaks_conservation_there_and_only_there() {
    for retries in [false, true] {
        let mut dropped = 0;
        for (mode, seed) in MODES.into_iter().flat_map(|mode| (0..20).map(move |s| (mode, s))) {
            let mut history = simulate(&Plan { retries, ..Plan::new(seed, mode) });
            let Some((id, frame)) = drop_a_frame(&mut history) else {
                continue;
            };
            let check = history.convicted_by("conservation");
            let sites: Vec<Site> = check.witnesses.iter().map(|witness| witness.site).collect();
            let site = Site::record(frame.partition, frame.offset).at(id);
            assert_eq!(sites, [site], "{check:#?}");
            dropped += 1;
        }
        assert!(dropped > 40, "{dropped} of 80 histories have a frame to drop");
    }
}

#[test]
fn what_was_restored_must_be_whole_and_the_newest() {
    let clean = history();
    let id = *clean.restored().last().unwrap();
    let attempt = clean.audit.fences.last().unwrap().attempt;

    let mut torn = clean.clone();
    let found = torn.checkpoints.checkpoints.iter_mut().find(|(found, _)| *found == id).unwrap();
    found.1 = Err(Torn { reason: "it ends within its first line".to_owned(), has_manifest: true });
    let check = torn.convicted_by("restore-newest");
    assert!(check.witnesses.iter().any(|w| {
        w.site.checkpoint == Some(id) && w.text.contains("it ends within its first line")
    }));
    let judgement = torn.judge();
    assert_eq!(judgement.check("duplicates-exact").unwrap().verdict, Verdict::Unknown);
    assert_eq!(judgement.duplicates_bound, None);

    let mut back = clean.clone();
    let first = back.restored()[0];
    back.audit.fences.last_mut().unwrap().restored = first;
    let check = back.convicted_by("restore-newest");
    assert_eq!(check.witnesses[0].site, Site::default().at(first).of(attempt));
    assert!(check.witnesses[0].text.contains("went back to checkpoint"), "{check:#?}");

    let mut unknown = clean;
    unknown.audit.fences.last_mut().unwrap().restored = CheckpointId(4711);
    assert_eq!(
        unknown.convicted_by("restore-newest").witnesses[0].site.checkpoint,
        Some(CheckpointId(4711))
    );
}

#[test]
fn an_attempt_that_completed_nothing_may_have_looked_after_the_next_one() {
    let mut history = history();
    let last = *history.audit.fences.last().unwrap();
    // What those before had restored who restored something else.
    let others = history.restored().into_iter().filter(|id| *id < last.restored);
    let before = others.max().unwrap();
    let of_it = history.audit.fences.iter().filter(|fence| fence.restored == last.restored);
    let idle: Vec<AttemptId> = of_it.map(|fence| fence.attempt).collect();
    history.checkpoints.checkpoints.retain(|(_, checkpoint)| {
        checkpoint.as_ref().is_ok_and(|checkpoint| !idle.contains(&checkpoint.0.attempt))
    });
    let attempt = AttemptId(last.attempt.0 + 1);
    history.audit.fences.push(Fence { attempt, restored: before, ..last });
    let went_back = |history: &mut History| {
        let check = history.judge().check("restore-newest").unwrap().clone();
        check.witnesses.iter().any(|w| w.text.contains("went back to checkpoint"))
    };
    assert!(went_back(&mut history), "one after the other");
    history.conditions.restores_alone = false;
    assert!(!went_back(&mut history), "side by side");
}

#[test]
fn attempts_follow_each_other() {
    let clean = history();
    let mut twice = clean.clone();
    let fence = twice.audit.fences[1];
    twice.audit.fences.insert(1, fence);
    assert_eq!(twice.convicted_by("attempt-order").witnesses[0].site.attempt, Some(fence.attempt));

    let mut early = clean.clone();
    let last = early.audit.fences.last_mut().unwrap();
    *last = Fence { after_seq: 0, ..*last };
    let attempt = last.attempt;
    assert_eq!(early.convicted_by("attempt-order").witnesses[0].site.attempt, Some(attempt));

    let mut stale = clean;
    let (id, _) = *stale.checkpoints.checkpoints.last().map(|(id, _)| (id, ())).as_ref().unwrap();
    let id = *id;
    stale.checkpoint(id).0.attempt = AttemptId(77);
    assert_eq!(stale.convicted_by("attempt-order").witnesses[0].site.checkpoint, Some(id));
}

#[test]
fn committed_offsets_are_those_of_a_checkpoint() {
    let clean = history();
    let p = PartitionId(2);
    let committed = clean.conditions.committed.clone().unwrap()[&p];
    let mut history = clean.clone();
    let mut commit = |offset: Offset, faults: u64| {
        history.conditions.committed.as_mut().unwrap().insert(p, offset);
        history.conditions.faults_landed = faults;
        let judgement = history.judge();
        judgement.check("committed-offsets").unwrap().clone()
    };
    let ahead = commit(Offset(committed.0 + 1), 1);
    assert_eq!(ahead.verdict, Verdict::Violated);
    assert!(names(&ahead, Site::record(p, Offset(committed.0 + 1))), "{ahead:#?}");
    let between = commit(Offset(committed.0 - 1), 1);
    assert_eq!(between.verdict, Verdict::Violated, "{between:#?}");
    assert_eq!(commit(Offset(0), 0).verdict, Verdict::Unknown, "behind, and no fault explains it");
    assert_eq!(commit(Offset(0), 1).verdict, Verdict::Proven, "a notification may be lost");
    assert_eq!(commit(committed, 0).verdict, Verdict::Proven);
}

#[test]
fn a_commit_may_be_of_a_checkpoint_that_cannot_be_read_any_more() {
    let mut clean = history();
    clean.conditions.faults_landed = 1;
    let restored = clean.restored();
    let of_all = clean
        .checkpoints
        .checkpoints
        .iter()
        .filter_map(|(id, found)| Some((*id, found.as_ref().ok()?.1.splits.clone())));
    let of_all: Vec<_> = of_all.collect();
    // Offsets in the middle that belong to one checkpoint alone, which nobody has restored.
    let is_once = |partition: PartitionId, offset: Offset| {
        let all = of_all.iter().flat_map(|(_, splits)| splits);
        all.filter(|split| (split.partition, split.next_offset) == (partition, offset)).count() == 1
    };
    let is_inner = |id: CheckpointId| id > of_all[0].0 && id < of_all[of_all.len() - 1].0;
    let free = of_all.iter().filter(|(id, _)| is_inner(*id) && !restored.contains(id));
    let candidates = free.flat_map(|(id, splits)| splits.iter().map(|split| (*id, split)));
    let mut candidates =
        candidates.filter(|(_, split)| is_once(split.partition, split.next_offset));
    let (id, split) = candidates.next().expect("such an offset");
    clean.conditions.committed.as_mut().unwrap().insert(split.partition, split.next_offset);
    let (mut damaged, mut gone) = (clean.clone(), clean.clone());
    let found = damaged.checkpoints.checkpoints.iter_mut().find(|(found, _)| *found == id).unwrap();
    let reason = "its checksum does not match".to_owned();
    found.1 = Err(Torn { reason, has_manifest: true });
    gone.checkpoints.checkpoints.retain(|(found, _)| *found != id);
    let check = |history: &mut History| history.judge().check("committed-offsets").unwrap().clone();
    assert_eq!(check(&mut clean).verdict, Verdict::Proven);
    assert_eq!(check(&mut damaged).verdict, Verdict::Unknown, "it may be the damaged one's");
    assert_eq!(check(&mut gone).verdict, Verdict::Violated, "nothing is left that explains it");
}
