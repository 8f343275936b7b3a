//! The oracle over effects: 2000 partitions, one restore, 60 checkpoints, all in memory.
//!
//! `cargo bench --bench oracle`: effects per second on one core.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stormproof_benches::scaled;
use stormproof_harness::oracle::checkpoint_reader::{
    CheckpointState, Manifest, MemoryCheckpoints, Mode, Split, VertexEntry,
};
use stormproof_harness::oracle::evidence::{Effect, Fence, MemoryAudit};
use stormproof_harness::oracle::{AttemptId, CheckpointId, Conditions, Input, judge};
use stormproof_harness::workload::ledger::{Ledger, LedgerBuilder, Offset, PartitionId};

const PARTITIONS: u64 = 2000;
const CHECKPOINTS: u64 = 60;

struct Run {
    ledger: Ledger,
    audit: MemoryAudit,
    checkpoints: MemoryCheckpoints,
}

impl Run {
    /// `records` records without a failure: every effect is canonical.
    fn new(records: u64) -> Self {
        let each = (records / PARTITIONS).max(CHECKPOINTS);
        let step = each / CHECKPOINTS;
        let mut ledger = LedgerBuilder::new();
        for offset in 0..each {
            for p in 0..PARTITIONS {
                let key = format!("k{p}-{}", offset % 10);
                let id = PartitionId(p as u32);
                ledger
                    .push(id, Offset(offset), Some(key.as_bytes()), Some(b"v"))
                    .expect("in order");
            }
        }
        let effects = (0..each * PARTITIONS).map(|n| effect(n, step)).collect();
        let fences = vec![Fence { attempt: AttemptId(1), restored: CheckpointId(0), after_seq: 0 }];
        let checkpoints =
            (1..=CHECKPOINTS).map(|id| (CheckpointId(id), Ok(checkpoint(id, step)))).collect();
        Self {
            ledger: ledger.finish().expect("a ledger"),
            audit: MemoryAudit { effects, fences, results: Vec::new() },
            checkpoints: MemoryCheckpoints { checkpoints },
        }
    }

    fn judge(&mut self) -> u64 {
        let judgement = judge(Input {
            ledger: &self.ledger,
            checkpoints: &mut self.checkpoints,
            audit: &mut self.audit,
            conditions: Conditions::new(Mode::ExactlyOnce),
        });
        assert_eq!(judgement.lost, Some(0));
        judgement.effects.expect("effects are counted")
    }
}

fn effect(n: u64, step: u64) -> Effect {
    let offset = n / PARTITIONS;
    Effect {
        seq: n + 1,
        partition: PartitionId((n % PARTITIONS) as u32),
        offset: Offset(offset),
        index: 0,
        source_attempt: AttemptId(1),
        sink_attempt: AttemptId(1),
        subtask: (n % PARTITIONS) as u32,
        tag: CheckpointId((offset / step).min(CHECKPOINTS)),
        batch: offset,
        batch_try: 0,
        sent_us: 0,
    }
}

fn checkpoint(id: u64, step: u64) -> (Manifest, CheckpointState) {
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
        attempt: AttemptId(1),
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
        state.splits.push(Split { partition, next_offset: Offset(id * step), subtask });
    }
    (manifest, state)
}

fn effects(c: &mut Criterion) {
    let mut run = Run::new(scaled(2_000_000));
    let effects = run.judge();
    let mut group = c.benchmark_group("oracle");
    group.sample_size(10).warm_up_time(Duration::from_millis(100));
    group.throughput(Throughput::Elements(effects));
    group.bench_function("judge", |b| {
        b.iter_custom(|times| {
            let started = Instant::now();
            (0..times).for_each(|_| assert_eq!(run.judge(), effects));
            started.elapsed()
        });
    });
    group.finish();
}

criterion_group!(benches, effects);
criterion_main!(benches);
