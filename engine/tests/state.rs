//! State files, manifests and redistribution: what is written reads back, what is damaged is
//! refused, and nobody's state is lost or given out twice at another parallelism.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use stormproof_engine::api::{KeyedSnapshot, ListKind, StateSnapshot};
use stormproof_engine::checkpoint::*;
use stormproof_engine::graph::*;
use stormproof_engine::ids::*;
use stormproof_engine::record::*;
use stormproof_engine::runtime::CheckpointMode;

mod support;

fn record(partition: u32, offset: u64, target: u16, key: &[u8]) -> Record {
    let provenance = Provenance {
        partition: PartitionId(partition),
        offset: Offset(offset),
        index: 0,
        source_attempt: AttemptId(1),
    };
    let payload = Payload { provenance, event_time_us: 9, key: Some(key), value: None };
    let route = Route { source: SubtaskIndex(0), target: SubtaskIndex(target) };
    let mut buffer = BytesMut::new();
    payload.encode(route, &mut buffer);
    Record::at(&buffer.freeze(), 0)
}

const MAX: u16 = 128;

fn graph(parallelism: u16) -> ExecutionGraph {
    graph_over(parallelism, Partitioner::KeyBy)
}

fn graph_over(parallelism: u16, into_count: Partitioner) -> ExecutionGraph {
    let mut job = JobGraph::builder();
    let log = support::LogSource { partitions: 1, records: 1, keys: 1, run: 1, is_bounded: true };
    let source = job.source("source", parallelism, Arc::new(log));
    let count = job.operator("count", parallelism, Arc::new(support::CountByKey));
    let effects = support::Effects::default();
    let sink = job.sink(
        "sink",
        parallelism,
        Arc::new(support::CollectSink { effects, batch: 1, per_step: 0 }),
    );
    job.connect(source, count, into_count);
    job.connect(count, sink, Partitioner::Forward);
    ExecutionGraph::new(&job.build().unwrap(), 2, MAX).unwrap()
}

fn manifest(parallelism: u16) -> Manifest {
    let vertex = |(id, name): (u16, &str)| ManifestVertex {
        id: VertexId(id),
        name: name.to_owned(),
        parallelism,
        max_parallelism: MAX,
    };
    Manifest {
        format: Manifest::FORMAT,
        job: "test \"quoted\"\nname".to_owned(),
        checkpoint: CheckpointId(7),
        attempt: AttemptId(2),
        mode: CheckpointMode::ExactlyOnceUnaligned,
        kind: "checkpoint".to_owned(),
        vertices: [(0, "source"), (1, "count"), (2, "sink")].map(vertex).to_vec(),
        subtasks_expected: 6,
        subtasks_acknowledged: 6,
        files: Vec::new(),
        triggered_us: 1,
        completed_us: 2,
    }
}

fn items(n: usize) -> Vec<Bytes> {
    (0..n).map(|i| Bytes::from(format!("item-{i}"))).collect()
}

/// A state file with every kind of section.
fn sample_file() -> (Bytes, u32) {
    let mut writer = StateFileWriter::default();
    let mut state = StateSnapshot::default();
    state.put_list("splits", ListKind::EvenSplit, items(3));
    state.put_list("topics", ListKind::Union, items(2));
    let entries = [(KeyGroup(5), b"k", b"v")];
    state.put_keyed("counts", entries.into_iter().collect());
    writer.put(VertexId(1), SubtaskIndex(4), &state);
    writer.put_channel(VertexId(1), SubtaskIndex(0), "source", &[record(1, 2, 3, b"key")]);
    writer.finish()
}

#[test]
fn a_state_file_reads_back() {
    let (file, crc32) = sample_file();
    let sections = read_state_file(&file, crc32).unwrap();
    assert_eq!(sections.len(), 4);
    let Section::Channel { vertex, records } = &sections[3] else { panic!("{sections:?}") };
    assert_eq!((*vertex, records[0].view().key()), (VertexId(1), Some(&b"key"[..])));
    assert_eq!(records[0].view().target(), SubtaskIndex(3));
}

/// One bit makes a capital of a small letter, and a hexadecimal number of either reads the same.
#[test]
fn a_checksum_in_capitals_is_a_damaged_manifest() {
    let file = manifest(2).encode();
    let letters: Vec<usize> =
        (file.len() - 9..file.len()).filter(|at| file[*at].is_ascii_lowercase()).collect();
    assert!(!letters.is_empty(), "{}", String::from_utf8_lossy(&file));
    for at in letters {
        let mut damaged = file.to_vec();
        damaged[at] ^= 0x20;
        assert!(Manifest::decode(&damaged).is_err(), "{}", String::from_utf8_lossy(&damaged));
    }
}

proptest! {
    #[test]
    fn a_damaged_state_file_is_refused(at in 0_usize..200, flip in 1_u8..=255) {
        let (file, crc32) = sample_file();
        let at = at % file.len();
        let mut damaged = file.to_vec();
        damaged[at] ^= flip;
        prop_assert!(read_state_file(&Bytes::from(damaged), crc32).is_err());
        prop_assert!(read_state_file(&file.slice(..at), crc32).is_err(), "cut off at {}", at);
    }

    #[test]
    fn a_damaged_manifest_is_refused(at in 0_usize..400, flip in 1_u8..=255) {
        let file = manifest(2).encode();
        prop_assert_eq!(Manifest::decode(&file).unwrap(), manifest(2));
        let at = at % file.len();
        let mut damaged = file.to_vec();
        damaged[at] ^= flip;
        prop_assert!(Manifest::decode(&damaged).is_err(), "byte {} changed by {}", at, flip);
        prop_assert!(Manifest::decode(&file[..at]).is_err(), "cut off at {}", at);
    }

    #[test]
    fn redistribution_loses_and_doubles_nothing(
        before in 1_u16..40,
        after in 1_u16..40,
        lists in prop::collection::vec(0_usize..6, 1..40),
        keys in prop::collection::btree_set("[a-z]{1,6}", 0..40),
    ) {
        let mut sections = Vec::new();
        for (subtask, n) in lists.iter().enumerate().take(before as usize) {
            sections.push(Section::List {
                vertex: VertexId(0),
                subtask: SubtaskIndex(subtask as u16),
                name: "splits".to_owned(),
                is_union: false,
                items: (0..*n).map(|i| Bytes::from(format!("{subtask}/{i}"))).collect(),
            });
        }
        let entry = |key: &String| {
            let group = key_group_of(&record(0, 0, 0, key.as_bytes()).view().payload(), MAX);
            (group, key.clone(), "1")
        };
        let counts: KeyedSnapshot = keys.iter().map(entry).collect();
        let name = "counts".to_owned();
        sections.push(Section::Keyed { vertex: VertexId(1), name, entries: counts });
        let in_flight: Vec<_> = keys
            .iter()
            .map(|key| {
                let group = key_group_of(&record(0, 0, 0, key.as_bytes()).view().payload(), MAX);
                record(0, 0, subtask_of_key_group(group, before, MAX).0, key.as_bytes())
            })
            .collect();
        sections.push(Section::Channel { vertex: VertexId(1), records: in_flight });

        let graph = graph(after);
        let state = redistribute(&graph, &manifest(before), sections.clone()).unwrap();
        let mut elements = Vec::new();
        let mut owners = BTreeMap::new();
        for subtask in 0..after {
            let local = subtask..subtask + 1;
            let (source, _) = state.group(VertexId(0), &local);
            elements.extend(source.lists("splits").flat_map(|(_, items)| items.to_vec()));
            let (count, recovered) = state.group(VertexId(1), &local);
            for (_, keyed) in count.keyed("counts") {
                for (group, key, _) in keyed.iter() {
                    prop_assert_eq!(subtask_of_key_group(group, after, MAX).0, subtask);
                    prop_assert!(owners.insert(key.to_vec(), subtask).is_none(), "given out twice");
                }
            }
            for record in recovered {
                let view = record.view();
                prop_assert_eq!(view.target(), SubtaskIndex(subtask));
                let owner = subtask_of_key_group(key_group_of(&view.payload(), MAX), after, MAX);
                prop_assert_eq!(owner, SubtaskIndex(subtask), "in flight beside its state");
            }
        }
        let total: usize = lists.iter().take(before as usize).sum();
        prop_assert_eq!(elements.len(), total);
        elements.sort();
        elements.dedup();
        prop_assert_eq!(elements.len(), total);
        prop_assert_eq!(owners.len(), keys.len());
        if before == after {
            for section in sections {
                let Section::List { subtask, items, .. } = section else { continue };
                let local = subtask.0..subtask.0 + 1;
                let (group, _) = state.group(VertexId(0), &local);
                let own: Vec<Bytes> =
                    group.lists("splits").flat_map(|(_, i)| i.to_vec()).collect();
                prop_assert_eq!(own, items, "the same parallelism: everybody's own");
            }
        }
    }

    #[test]
    fn placement_is_a_partition(parallelism in 1_u16..3000, workers in 1_u16..9) {
        let placement = Placement::new(parallelism, workers);
        let mut next = 0;
        for worker in (0..workers).map(WorkerIndex) {
            let range = placement.range(worker);
            prop_assert_eq!(range.start, next);
            next = range.end;
            for subtask in range {
                prop_assert_eq!(placement.worker_of(SubtaskIndex(subtask)), worker);
            }
        }
        prop_assert_eq!(next, parallelism);
    }

    #[test]
    fn every_partitioner_stays_in_range_and_rescale_reaches_everybody(
        upstream in 1_u16..50,
        downstream in 1_u16..50,
    ) {
        for partitioner in
            [Partitioner::Rebalance, Partitioner::Rescale, Partitioner::Shuffle, Partitioner::KeyBy]
        {
            let mut selector = Selector::new(partitioner, 0..upstream, upstream, downstream, MAX);
            let mut reached = std::collections::BTreeSet::new();
            for source in 0..upstream {
                for i in 0..60_u64 {
                    let sample = record(u32::from(source), i, 0, &i.to_le_bytes());
                    let target =
                        selector.select(SubtaskIndex(source), &sample.view().payload());
                    prop_assert!(target.0 < downstream);
                    reached.insert(target.0);
                }
            }
            if matches!(partitioner, Partitioner::Rebalance | Partitioner::Rescale) {
                prop_assert_eq!(reached.len(), downstream as usize, "{:?}", partitioner);
            }
        }
    }
}

#[test]
fn state_without_a_vertex_or_with_other_key_groups_is_refused_with_the_remedy() {
    let graph = graph(2);
    let mut foreign = manifest(2);
    foreign.vertices[1].name = "gone".to_owned();
    let entries = [(KeyGroup(0), b"k", b"v")].into_iter().collect();
    let section = Section::Keyed { vertex: VertexId(1), name: "counts".to_owned(), entries };
    let refusal = redistribute(&graph, &foreign, vec![section.clone()]).unwrap_err();
    assert!(refusal.contains("'gone'"), "{refusal}");
    let mut regrouped = manifest(2);
    regrouped.vertices[1].max_parallelism = 256;
    let refusal = redistribute(&graph, &regrouped, vec![section]).unwrap_err();
    assert!(refusal.contains("max_parallelism = 256"), "{refusal}");
}

#[test]
fn broadcast_records_in_flight_are_refused_at_another_parallelism() {
    let records = vec![record(0, 0, 0, b"a"), record(0, 0, 1, b"a")];
    let section = Section::Channel { vertex: VertexId(1), records };
    let restored = |parallelism: u16| {
        let graph = graph_over(parallelism, Partitioner::Broadcast);
        redistribute(&graph, &manifest(2), vec![section.clone()])
    };
    let state = restored(2).expect("everybody's own");
    for subtask in 0..2 {
        assert_eq!(state.group(VertexId(1), &(subtask..subtask + 1)).1.len(), 1);
    }
    let refusal = restored(3).unwrap_err();
    assert!(refusal.contains("restore it with parallelism 2"), "{refusal}");
}
