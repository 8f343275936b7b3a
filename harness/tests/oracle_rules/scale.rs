//! At full size: 2000 partitions, a million records, 60 checkpoints, a restore in the middle.

use stormproof_harness::oracle::checkpoint_reader::{
    CheckpointState, Frame, Manifest, MemoryCheckpoints, Mode, Place, Split, VertexEntry,
};
use stormproof_harness::oracle::evidence::{Effect, Fence, MemoryAudit};
use stormproof_harness::oracle::{AttemptId, CheckpointId, Conditions, Verdict};
use stormproof_harness::workload::ledger::{LedgerBuilder, Offset, PartitionId};

use crate::simulation::History;

const PARTITIONS: u64 = 2000;
const RECORDS_PER_PARTITION: u64 = 500;
const CHECKPOINTS: u64 = 60;
/// Attempt 2 restores this one.
const RESTORED: u64 = 30;
/// How many records each partition reads between two checkpoints.
const STEP: u64 = RECORDS_PER_PARTITION / (CHECKPOINTS + 2);
/// At a checkpoint the last records of each partition are still in the sink buffers.
const BUFFERED: u64 = 3;

fn checkpoint(id: u64) -> (Manifest, CheckpointState) {
    let attempt = AttemptId(if id <= RESTORED { 1 } else { 2 });
    let vertex = |id, name: &str| VertexEntry {
        id,
        name: name.to_owned(),
        parallelism: PARTITIONS as u32,
        max_parallelism: 4096,
    };
    let manifest = Manifest {
        format: 1,
        job: "storm".to_owned(),
        checkpoint: CheckpointId(id),
        attempt,
        mode: Mode::ExactlyOnce,
        kind: "checkpoint".to_owned(),
        vertices: vec![vertex(0, "source"), vertex(1, "sink")],
        subtasks_expected: 2 * PARTITIONS,
        subtasks_acknowledged: 2 * PARTITIONS,
        files: Vec::new(),
        triggered_us: 0,
        completed_us: 0,
    };
    let mut state = CheckpointState::default();
    for p in 0..PARTITIONS {
        let (partition, subtask) = (PartitionId(p as u32), p as u16);
        let next_offset = Offset(id * STEP);
        state.splits.push(Split { partition, next_offset, subtask });
        for back in 1..=BUFFERED {
            state.frames.push(Frame {
                partition,
                offset: Offset(id * STEP - back),
                index: 0,
                source_attempt: attempt,
                place: Place::Buffer { subtask },
            });
        }
    }
    (manifest, state)
}

/// Effects of the offsets below `end`, from `start` on; each is tagged with the last checkpoint
/// that came before its flush.
fn write(effects: &mut Vec<Effect>, attempt: u32, (start, end): (u64, u64), restored: u64) {
    for offset in start..end {
        for p in 0..PARTITIONS {
            // The restored buffer was read by the attempt before.
            let source =
                if attempt > 1 && offset < restored * STEP { attempt - 1 } else { attempt };
            let last = (offset + BUFFERED) / STEP;
            effects.push(Effect {
                seq: effects.len() as u64 + 1,
                partition: PartitionId(p as u32),
                offset: Offset(offset),
                index: 0,
                source_attempt: AttemptId(source),
                sink_attempt: AttemptId(attempt),
                subtask: p as u32,
                tag: CheckpointId(last.min(CHECKPOINTS).max(restored)),
                batch: offset,
                batch_try: 0,
                sent_us: 0,
            });
        }
    }
}

fn history() -> History {
    let mut ledger = LedgerBuilder::new();
    for offset in 0..RECORDS_PER_PARTITION {
        for p in 0..PARTITIONS {
            let key = format!("k{p}-{}", offset % 10);
            let id = PartitionId(p as u32);
            ledger.push(id, Offset(offset), Some(key.as_bytes()), Some(b"v")).expect("in order");
        }
    }
    let mut checkpoints = MemoryCheckpoints::default();
    for id in 1..=CHECKPOINTS {
        checkpoints.checkpoints.push((CheckpointId(id), Ok(checkpoint(id))));
    }
    let mut effects = Vec::new();
    // Attempt 1 dies just before checkpoint 31; 5 records a partition are beyond checkpoint 30.
    write(&mut effects, 1, (0, RESTORED * STEP + 5 - BUFFERED), 0);
    let after_seq = effects.len() as u64;
    write(&mut effects, 2, (RESTORED * STEP - BUFFERED, RECORDS_PER_PARTITION), RESTORED);
    let fences = vec![
        Fence { attempt: AttemptId(1), restored: CheckpointId(0), after_seq: 0 },
        Fence { attempt: AttemptId(2), restored: CheckpointId(RESTORED), after_seq },
    ];
    let mut conditions = Conditions::new(Mode::ExactlyOnce);
    conditions.faults_landed = 1;
    History {
        ledger: ledger.finish().expect("a ledger"),
        audit: MemoryAudit { effects, fences, results: Vec::new() },
        checkpoints,
        conditions,
    }
}

#[test]
fn a_million_records_are_judged_in_seconds_and_one_hole_is_found() {
    let mut history = history();
    let started = std::time::Instant::now();
    let judgement = history.judge();
    let elapsed = started.elapsed();
    let effects = judgement.effects.unwrap();
    eprintln!("{effects} effects judged in {} ms", elapsed.as_millis());
    for check in judgement.checks.iter().filter(|check| check.id != "final-values") {
        assert_eq!(check.verdict, Verdict::Proven, "{check:#?}");
    }
    assert_eq!(judgement.duplicates, Some(5 * PARTITIONS));
    assert_eq!(judgement.duplicates_expected, Some(5 * PARTITIONS));
    assert_eq!(judgement.duplicates_bound, Some((5 - BUFFERED + BUFFERED) * PARTITIONS));
    assert!(elapsed.as_secs() < 30, "{elapsed:?}, even on a loaded machine");

    let hole = history
        .audit
        .effects
        .iter()
        .position(|e| e.partition == PartitionId(417) && e.offset == Offset(100));
    history.audit.effects.remove(hole.expect("it is there"));
    let check = history.convicted_by("conservation");
    let first = &check.witnesses[0].site;
    // Offset 100 is in the buffer of no checkpoint; the first one behind it is number 13.
    assert_eq!(first.checkpoint, Some(CheckpointId(100 / STEP + 1)));
    assert_eq!((first.partition, first.offset), (Some(PartitionId(417)), Some(Offset(100))));
}
