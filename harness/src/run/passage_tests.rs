//! What is told of records that were lost, held and written.

use super::*;
use crate::oracle::checkpoint_reader::{CheckpointState, MemoryCheckpoints};
use crate::oracle::evidence::Fence;
use crate::oracle::{AttemptId, Check, CheckpointId, MemoryAudit, Site, Verdict, Witness};
use crate::workload::ledger::LedgerBuilder;

const LOST: Record = (PartitionId(3), Offset(4));

fn ledger() -> Ledger {
    let mut builder = LedgerBuilder::new();
    for offset in 0..8 {
        let key = format!("k{}", offset % 2);
        builder.push(LOST.0, Offset(offset), Some(key.as_bytes()), Some(b"v")).unwrap();
    }
    builder.finish().unwrap()
}

fn judged(record: Record) -> Judgement {
    let site = Site::record(record.0, record.1);
    let witness = Witness { site, text: "lost".to_owned() };
    let check = Check {
        id: "no-loss".to_owned(),
        title: String::new(),
        verdict: Verdict::Violated,
        summary: String::new(),
        figures: Vec::new(),
        witnesses: vec![witness],
    };
    Judgement { checks: vec![check], ..Judgement::default() }
}

fn checkpoints(mode: Mode, frame: Option<Place>) -> MemoryCheckpoints {
    let id = CheckpointId(12);
    let manifest = Manifest {
        format: 1,
        job: "storm".to_owned(),
        checkpoint: id,
        attempt: AttemptId(1),
        mode,
        kind: "checkpoint".to_owned(),
        vertices: Vec::new(),
        subtasks_expected: 1,
        subtasks_acknowledged: 1,
        files: Vec::new(),
        triggered_us: 1,
        completed_us: 2,
    };
    let split = Split { partition: LOST.0, next_offset: Offset(6), subtask: 7 };
    let (partition, offset) = LOST;
    let frame = frame.map(|place| Frame {
        partition,
        offset,
        index: 0,
        source_attempt: AttemptId(1),
        place,
    });
    let frames = frame.into_iter().collect();
    let state = CheckpointState { splits: vec![split], frames, keyed_entries: 0 };
    MemoryCheckpoints { checkpoints: vec![(id, Ok((manifest, state)))] }
}

fn audit(offsets: &[u64]) -> MemoryAudit {
    let effect = |(n, offset): (usize, &u64)| Effect {
        seq: n as u64,
        partition: LOST.0,
        offset: Offset(*offset),
        index: 0,
        source_attempt: AttemptId(1),
        sink_attempt: AttemptId(2),
        subtask: 88,
        tag: CheckpointId(12),
        batch: 0,
        batch_try: 0,
        sent_us: 5,
    };
    let fence = Fence { attempt: AttemptId(2), restored: CheckpointId(12), after_seq: 0 };
    let effects = offsets.iter().enumerate().map(effect).collect();
    MemoryAudit { effects, fences: vec![fence], ..MemoryAudit::default() }
}

fn traced(mode: Mode, frame: Option<Place>, offsets: &[u64]) -> Passage {
    let (mut checkpoints, mut audit) = (checkpoints(mode, frame), audit(offsets));
    let mut all = trace(&judged(LOST), &ledger(), &mut checkpoints, &mut audit).unwrap();
    all.remove(&LOST).expect("the witness's record")
}

fn seen(passage: &Passage) -> Vec<(&str, Seen)> {
    passage.hops.iter().map(|hop| (hop.name.as_str(), hop.seen)).collect()
}

#[test]
fn a_lost_record_is_followed_to_where_it_should_have_been() {
    // Offset 2 has the same key: its row tells the sink subtask.
    let passage = traced(Mode::ExactlyOnceUnaligned, None, &[2, 3]);
    let expected = [
        ("partition 3", Seen::Passed),
        ("source[7]", Seen::Passed),
        ("source[7] to count[88]", Seen::Missing),
        ("count[88]", Seen::Unknown),
        ("sink[88]", Seen::Missing),
        ("database", Seen::Missing),
    ];
    assert_eq!(seen(&passage), expected);
    assert_eq!((passage.checkpoint, passage.restored_by), (Some(12), Some(2)));
    let aligned = traced(Mode::ExactlyOnce, None, &[3]);
    assert_eq!(seen(&aligned)[2], ("source[7] to count[?]", Seen::Unknown));
}

#[test]
fn what_a_checkpoint_held_is_shown_where_it_was_held() {
    let held = traced(Mode::ExactlyOnce, Some(Place::Buffer { subtask: 9 }), &[]);
    assert_eq!(seen(&held)[3], ("count[9]", Seen::Passed), "a sink got it from there");
    assert_eq!(seen(&held)[4], ("sink[9]", Seen::Held));
    assert_eq!(seen(&held)[5], ("database", Seen::Missing));
    let channel = Place::Channel { source: 7, target: 9, vertex: 1 };
    let flying = traced(Mode::ExactlyOnceUnaligned, Some(channel), &[]);
    assert_eq!(seen(&flying)[2], ("source[7] to count[9]", Seen::Held));
}

#[test]
fn a_record_that_was_written_twice_has_both_rows() {
    let passage = traced(Mode::ExactlyOnce, None, &[4, 4]);
    assert!(passage.hops.iter().all(|hop| hop.seen == Seen::Passed));
    assert_eq!(passage.hops[5].note, "row 0 by attempt 2, row 1 by attempt 2");
}
