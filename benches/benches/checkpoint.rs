//! Whole checkpoints under full load, by mode and parallelism, with everybody well and with one
//! subtask that stands still for 50 ms at each: from the trigger to the durable manifest, and the
//! alignment alone.
//!
//! `cargo bench --bench checkpoint`. Each sample is the mean over the checkpoints of one run;
//! quantiles are in `cargo bench -- peers/checkpoint`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use stormproof_benches::{Exchange, scaled};
use stormproof_engine::runtime::CheckpointMode;

const PARALLELISMS: [u16; 4] = [2, 200, 2000, 4000];
const STALL_MS: u64 = 50;
const INTERVAL_MS: u64 = 20;
/// With a subtask that stalls: it must come to something between two stalls.
const STALLED_INTERVAL_MS: u64 = 100;

fn full_load(c: &mut Criterion) {
    by_mode(c, "checkpoint/full-load", 0, whole);
}

fn one_stalls(c: &mut Criterion) {
    by_mode(c, "checkpoint/one-subtask-stalls", STALL_MS, whole);
}

fn alignment(c: &mut Criterion) {
    by_mode(c, "checkpoint/alignment", 0, aligned);
}

fn by_mode(c: &mut Criterion, name: &str, stall_ms: u64, measure: fn(&Exchange) -> Duration) {
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(1));
    // A run has several checkpoints: 50 M records/s without stalls, a half of that with them.
    let (interval_ms, records) = match stall_ms {
        0 => (INTERVAL_MS, 4_000_000),
        _ => (STALLED_INTERVAL_MS, 10_000_000),
    };
    for mode in CheckpointMode::ALL {
        for parallelism in PARALLELISMS {
            let exchange = Exchange {
                parallelism,
                mode,
                stall_ms,
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
    let ran = exchange.job().0.run();
    let durations_us: Vec<u64> = ran.checkpoints().map(|stats| stats.alignment_us).collect();
    mean(&durations_us)
}

/// At least a nanosecond: criterion divides by it.
fn mean(durations_us: &[u64]) -> Duration {
    let sum: u64 = durations_us.iter().sum();
    Duration::from_nanos((sum * 1000 / durations_us.len().max(1) as u64).max(1))
}

criterion_group!(benches, full_load, one_stalls, alignment);
criterion_main!(benches);
