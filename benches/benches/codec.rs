//! The codec: frames in and out of a lane buffer, state files in and out of bytes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stormproof_engine::api::{ListKind, StateSnapshot};
use stormproof_engine::checkpoint::{StateFileWriter, read_state_file};
use stormproof_engine::ids::{AttemptId, Offset, PartitionId, SubtaskIndex, VertexId};
use stormproof_engine::record::{Payload, Provenance, Record, RecordView, Route, frame_len};

const RECORDS: u64 = 1_000;

/// What a call works on, with all of its bytes.
fn of_records(bytes: usize) -> Throughput {
    Throughput::ElementsAndBytes { elements: RECORDS, bytes: bytes as u64 }
}

fn write_frames(value: &[u8]) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(256 * 1024);
    for offset in 0..RECORDS {
        let payload = Payload {
            provenance: Provenance {
                partition: PartitionId(1),
                offset: Offset(offset),
                index: 0,
                source_attempt: AttemptId(1),
            },
            event_time_us: 1,
            key: Some(b"k1-1"),
            value: Some(value),
        };
        let route = Route { source: SubtaskIndex(1), target: SubtaskIndex(2) };
        payload.encode(route, &mut buffer);
    }
    buffer
}

fn frames(c: &mut Criterion) {
    let value = [7_u8; 100];
    let mut group = c.benchmark_group("codec/frame/100B");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    let written = write_frames(&value).freeze();
    group.throughput(of_records(written.len()));
    group.bench_function("write", |b| b.iter(|| write_frames(&value)));
    group.bench_function("read", |b| {
        b.iter(|| {
            let (mut at, mut offsets) = (0, 0);
            while at < written.len() {
                offsets += RecordView::new(&written[at..]).provenance().offset.0;
                at += frame_len(&written[at..]);
            }
            offsets
        });
    });
    group.finish();
}

fn state_files(c: &mut Criterion) {
    let written = write_frames(&[7; 100]).freeze();
    let mut items = Vec::new();
    let mut at = 0;
    while at < written.len() {
        let record = Record::at(&written, at);
        at += record.frame().len();
        items.push(record.frame().clone());
    }
    let mut group = c.benchmark_group("codec/state-file/1000-records");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    let write = |items: Vec<Bytes>| {
        let mut state = StateSnapshot::default();
        state.put_list("buffer", ListKind::EvenSplit, items);
        let mut writer = StateFileWriter::default();
        writer.put(VertexId(0), SubtaskIndex(0), &state);
        writer.finish()
    };
    let (file, crc32) = write(items.clone());
    group.throughput(of_records(file.len()));
    group.bench_function("write", |b| b.iter(|| write(items.clone())));
    group.bench_function("read", |b| b.iter(|| read_state_file(&file, crc32)));
    group.finish();
}

criterion_group!(benches, frames, state_files);
criterion_main!(benches);
