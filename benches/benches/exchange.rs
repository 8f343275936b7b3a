//! The exchange: records per second by parallelism, partitioner and payload.
//!
//! `cargo bench --bench exchange`. The figure to look at is the ratio between parallelisms.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stormproof_benches::Exchange;
use stormproof_engine::graph::Partitioner;

fn by_parallelism(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange/key-by/100B");
    for parallelism in [2, 40, 200, 2000, 4000] {
        let exchange = Exchange { parallelism, ..Exchange::default() };
        measure(&mut group, &parallelism.to_string(), &exchange);
    }
    group.finish();
}

fn by_partitioner(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange/2000/100B");
    for (name, partitioner) in [
        ("key-by", Partitioner::KeyBy),
        ("rebalance", Partitioner::Rebalance),
        ("rescale", Partitioner::Rescale),
        ("forward", Partitioner::Forward),
    ] {
        let exchange = Exchange { partitioner, ..Exchange::default() };
        measure(&mut group, name, &exchange);
    }
    group.finish();
}

fn by_payload(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange/key-by/2000");
    for (record_bytes, records) in [(16, 2_000_000), (100, 2_000_000), (1000, 500_000)] {
        let exchange = Exchange { record_bytes, records, ..Exchange::default() };
        measure(&mut group, &format!("{record_bytes}B"), &exchange);
    }
    group.finish();
}

fn measure(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    exchange: &Exchange,
) {
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements(exchange.records));
    group.bench_with_input(BenchmarkId::from_parameter(name), exchange, |b, exchange| {
        b.iter_custom(|times| (0..times).map(|_| exchange.run().elapsed).sum());
    });
}

criterion_group!(benches, by_parallelism, by_partitioner, by_payload);
criterion_main!(benches);
