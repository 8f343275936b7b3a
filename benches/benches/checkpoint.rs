//! Whole checkpoints under full load, by mode and parallelism, with everybody well and with one
//! source subtask whose barriers come 50 ms late: from the trigger to the durable manifest, and the
//! alignment alone. No checkpoint of any mode is whole before its last barrier; what the modes differ
//! in is what waits for it.
//!
//! `cargo bench --bench checkpoint`. Each sample is the mean over the checkpoints of one run;
//! quantiles are in `cargo bench -- peers/checkpoint`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use stormproof_benches::{Exchange, scaled};
use stormproof_engine::runtime::CheckpointMode;

const PARALLELISMS: [u16; 4] = [2, 200, 2000, 4000];
const LATE_PARALLELISMS: [u16; 2] = [2, 2000];
const LATE_MS: u64 = 50;
const INTERVAL_MS: u64 = 20;
/// With a subtask that is late.
const LATE_INTERVAL_MS: u64 = 100;

fn full_load(c: &mut Criterion) {
    by_mode(c, "checkpoint/full-load", &PARALLELISMS, 0, whole);
}

fn one_is_late(c: &mut Criterion) {
    by_mode(c, "checkpoint/one-source-late", &LATE_PARALLELISMS, LATE_MS, whole);
}

fn alignment(c: &mut Criterion) {
    by_mode(c, "checkpoint/alignment", &PARALLELISMS, 0, aligned);
    by_mode(c, "checkpoint/alignment-one-source-late", &[2000], LATE_MS, aligned);
}

fn by_mode(
    c: &mut Criterion,
    name: &str,
    parallelisms: &[u16],
    late_ms: u64,
    measure: fn(&Exchange) -> Duration,
) {
    let mut group = c.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10).nresamples(10_000);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(800));
    // A run has several checkpoints at 50 M records/s, and one that is late has several barriers.
    let (interval_ms, records) = match late_ms {
        0 => (INTERVAL_MS, 3_000_000),
        _ => (LATE_INTERVAL_MS, 12_000_000),
    };
    for mode in CheckpointMode::ALL {
        for &parallelism in parallelisms {
            let exchange = Exchange {
                parallelism,
                mode,
                late_ms,
                interval_ms,
                records: scaled(records),
                ..Exchange::default()
            };
            let id = BenchmarkId::new(mode.name(), parallelism);
            group.bench_with_input(id, &exchange, |b, exchange| {
                b.iter_custom(|times| (0..times).map(|_| measure(exchange)).sum());
            });
        }
    }
    group.finish();
}

fn whole(exchange: &Exchange) -> Duration {
    mean(&exchange.run().checkpoints_us)
}

fn aligned(exchange: &Exchange) -> Duration {
    mean(&exchange.run().alignments_us)
}

/// At least a nanosecond: criterion divides by it.
fn mean(durations_us: &[u64]) -> Duration {
    let sum: u64 = durations_us.iter().sum();
    Duration::from_nanos((sum * 1000 / durations_us.len().max(1) as u64).max(1))
}

criterion_group!(benches, full_load, one_is_late, alignment);
criterion_main!(benches);
