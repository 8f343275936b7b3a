//! The Kafka source by number of partitions, one source subtask for each, beside a bare consumer,
//! on librdkafka's mock cluster in this process.

#[path = "peers/kafka.rs"]
mod kafka;

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use kafka::{Topic, VALUE_BYTES};
use stormproof_benches::scaled;

fn by_partitions(c: &mut Criterion) {
    let records = scaled(200_000);
    let mut group = c.benchmark_group("kafka-source");
    let bytes = records * VALUE_BYTES;
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .throughput(Throughput::ElementsAndBytes { elements: records, bytes });
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
    for partitions in [20, 200, 2000] {
        let topic = Topic::filled(partitions, records);
        let seconds = |rate: f64| Duration::from_secs_f64(records as f64 / rate);
        group.bench_function(BenchmarkId::new("engine", partitions), |b| {
            b.iter_custom(|times| (0..times).map(|_| seconds(topic.engine())).sum());
        });
        group.bench_function(BenchmarkId::new("bare-consumer", partitions), |b| {
            b.iter_custom(|times| (0..times).map(|_| seconds(topic.bare())).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, by_partitions);
criterion_main!(benches);
