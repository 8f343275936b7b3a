//! State: snapshot files written and read back, and redistributed over 2000 -> 1500 -> 3000
//! subtasks.
//!
//! `cargo bench --bench state`. 2000 subtasks hold 100 keys and 10 buffered rows each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stormproof_benches::scaled;
use stormproof_engine::api::{ListKind, StateSnapshot};
use stormproof_engine::checkpoint::{
    Manifest, ManifestVertex, Section, StateFileWriter, read_state_file, redistribute,
};
use stormproof_engine::connectors::blackhole::BlackholeFactory;
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory};
use stormproof_engine::graph::{ExecutionGraph, JobGraph, Partitioner};
use stormproof_engine::ids::{AttemptId, CheckpointId, KeyGroup, SubtaskIndex, VertexId};
use stormproof_engine::runtime::CheckpointMode;

const MAX_PARALLELISM: u16 = 4096;
const KEYS_EACH: u64 = 100;
const ROWS_EACH: usize = 10;

fn subtasks() -> u16 {
    scaled(2000).min(2000) as u16
}

fn snapshots(parallelism: u16) -> Vec<StateSnapshot> {
    let row = Bytes::from(vec![7; 150]);
    let snapshot = |subtask: u16| {
        let mut state = StateSnapshot::default();
        let entry = |n| {
            let group = KeyGroup(((u64::from(subtask) * KEYS_EACH + n) % 4096) as u16);
            (group, format!("k{subtask}-{n}"), [1; 8])
        };
        state.put_keyed("counts", (0..KEYS_EACH).map(entry).collect());
        state.put_list("buffer", ListKind::EvenSplit, vec![row.clone(); ROWS_EACH]);
        state
    };
    (0..parallelism).map(snapshot).collect()
}

fn write(snapshots: &[StateSnapshot]) -> (Bytes, u32) {
    let mut writer = StateFileWriter::default();
    for (subtask, state) in (0..).zip(snapshots) {
        writer.put(VertexId(1), SubtaskIndex(subtask), state);
    }
    writer.finish()
}

fn files(c: &mut Criterion) {
    let states = snapshots(subtasks());
    let (file, crc32) = write(&states);
    let mut group = c.benchmark_group("state");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.sample_size(20).throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("snapshot", |b| b.iter(|| write(&states)));
    group.bench_function("restore", |b| b.iter(|| read_state_file(&file, crc32)));
    group.finish();
}

fn graph(parallelism: u16) -> ExecutionGraph {
    let mut graph = JobGraph::builder();
    let generator = GeneratorFactory::new(GeneratorConfig::default()).expect("it is valid");
    let source = graph.source("source", parallelism, Arc::new(generator));
    let sink = graph.sink("sink", parallelism, Arc::new(BlackholeFactory::new()));
    graph.connect(source, sink, Partitioner::KeyBy);
    let graph = graph.build().expect("it is valid");
    ExecutionGraph::new(&graph, 2, MAX_PARALLELISM).expect("it is valid")
}

fn manifest(parallelism: u16) -> Manifest {
    let vertex = |id, name: &str| ManifestVertex {
        id: VertexId(id),
        name: name.to_owned(),
        parallelism,
        max_parallelism: MAX_PARALLELISM,
    };
    Manifest {
        format: 1,
        job: "bench".to_owned(),
        checkpoint: CheckpointId(1),
        attempt: AttemptId(1),
        mode: CheckpointMode::ExactlyOnce,
        kind: "checkpoint".to_owned(),
        vertices: vec![vertex(0, "source"), vertex(1, "sink")],
        subtasks_expected: 2 * u64::from(parallelism),
        subtasks_acknowledged: 2 * u64::from(parallelism),
        files: Vec::new(),
        triggered_us: 0,
        completed_us: 0,
    }
}

fn sections(parallelism: u16) -> Vec<Section> {
    let (file, crc32) = write(&snapshots(parallelism));
    read_state_file(&file, crc32).expect("it was just written")
}

fn rescale(c: &mut Criterion) {
    let mut group = c.benchmark_group("state/rescale");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.sample_size(20);
    for (from, to) in [(2000, 1500), (1500, 3000)] {
        let (from, to) = if subtasks() == 2000 { (from, to) } else { (from / 100, to / 100) };
        let (manifest, sections, graph) = (manifest(from), sections(from), graph(to));
        let bytes = write(&snapshots(from)).0.len() as u64;
        group.throughput(Throughput::ElementsAndBytes {
            elements: u64::from(from) * KEYS_EACH,
            bytes,
        });
        group.bench_with_input(BenchmarkId::new(from.to_string(), to), &sections, |b, sections| {
            b.iter(|| redistribute(&graph, &manifest, sections.clone()));
        });
    }
    group.finish();
}

criterion_group!(benches, files, rescale);
criterion_main!(benches);
