//! The exchange: records and bytes per second by partitioner, parallelism, payload and key skew.
//!
//! `cargo bench --bench exchange`. A star through key by, 100 bytes, uniform keys: every
//! partitioner, payload and skew at every parallelism, and their full product at 2000. What lies on
//! two of these lines is measured on the first. The figure to look at is the ratio between
//! parallelisms.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
    criterion_main,
};
use stormproof_benches::{Exchange, scaled};
use stormproof_engine::connectors::generator::KeySkew;
use stormproof_engine::graph::Partitioner;

const PARALLELISMS: [u16; 7] = [2, 40, 200, 500, 1000, 2000, 4000];
const PAYLOADS: [usize; 3] = [16, 100, 1000];
const USUAL_BYTES: usize = 100;
const PARTITIONERS: [(&str, Partitioner); 6] = [
    ("key-by", Partitioner::KeyBy),
    ("rebalance", Partitioner::Rebalance),
    ("rescale", Partitioner::Rescale),
    ("forward", Partitioner::Forward),
    ("shuffle", Partitioner::Shuffle),
    ("broadcast", Partitioner::Broadcast),
];
const SKEWS: [(&str, KeySkew); 3] = [
    ("uniform", KeySkew::Uniform),
    ("zipf-1.0", KeySkew::Zipf { exponent: 1.0 }),
    ("one-hot-key", KeySkew::HotKey { percent: 50 }),
];

fn by_partitioner(c: &mut Criterion) {
    let mut group = group(c, "exchange/partitioner");
    for (name, partitioner) in PARTITIONERS {
        for parallelism in PARALLELISMS {
            measure(&mut group, name, Exchange { partitioner, parallelism, ..Exchange::default() });
        }
    }
    group.finish();
}

fn by_payload(c: &mut Criterion) {
    let mut group = group(c, "exchange/payload");
    for record_bytes in PAYLOADS.into_iter().filter(|bytes| *bytes != USUAL_BYTES) {
        for parallelism in PARALLELISMS {
            let exchange = Exchange { record_bytes, parallelism, ..Exchange::default() };
            measure(&mut group, &format!("{record_bytes}B"), exchange);
        }
    }
    group.finish();
}

fn by_skew(c: &mut Criterion) {
    let mut group = group(c, "exchange/skew");
    for (name, skew) in SKEWS.into_iter().filter(|(_, skew)| *skew != KeySkew::Uniform) {
        for parallelism in PARALLELISMS {
            measure(&mut group, name, Exchange { skew, parallelism, ..Exchange::default() });
        }
    }
    group.finish();
}

fn at_two_thousand(c: &mut Criterion) {
    let mut group = group(c, "exchange/at-2000");
    for (partitioner_name, partitioner) in PARTITIONERS {
        for record_bytes in PAYLOADS {
            for (skew_name, skew) in SKEWS {
                let name = format!("{partitioner_name}/{record_bytes}B/{skew_name}");
                let exchange = Exchange { partitioner, record_bytes, skew, ..Exchange::default() };
                if !is_on_a_line(&exchange) {
                    measure(&mut group, &name, exchange);
                }
            }
        }
    }
    group.finish();
}

/// Whether two of the three are as usual: then it was measured already.
fn is_on_a_line(exchange: &Exchange) -> bool {
    let is_usual = [
        exchange.partitioner == Partitioner::KeyBy,
        exchange.record_bytes == USUAL_BYTES,
        exchange.skew == KeySkew::Uniform,
    ];
    is_usual.into_iter().filter(|usual| *usual).count() >= 2
}

fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10).nresamples(10_000);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(800));
    group
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut exchange: Exchange) {
    let weight = if exchange.record_bytes > 500 { 4 } else { 1 };
    exchange.records = scaled(1_500_000 / weight);
    if exchange.partitioner == Partitioner::Broadcast {
        exchange.records = (exchange.records / u64::from(exchange.parallelism)).max(1);
    }
    group.throughput(Throughput::ElementsAndBytes {
        elements: exchange.arrivals(),
        bytes: exchange.payload_bytes(),
    });
    let id = BenchmarkId::new(name, exchange.parallelism);
    group.bench_with_input(id, &exchange, |b, exchange| {
        b.iter_custom(|times| (0..times).map(|_| exchange.run().elapsed).sum());
    });
}

criterion_group!(benches, by_partitioner, by_payload, by_skew, at_two_thousand);
criterion_main!(benches);
