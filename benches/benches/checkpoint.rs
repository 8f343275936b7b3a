//! Whole checkpoints under full load, by mode and parallelism: from the trigger to the durable
//! manifest.
//!
//! `cargo bench --bench checkpoint`. Each sample is the mean over the checkpoints of one run.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use stormproof_benches::Exchange;
use stormproof_engine::runtime::CheckpointMode;

fn by_mode(c: &mut Criterion) {
    let mut group = c.benchmark_group("checkpoint/full-load");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    for mode in CheckpointMode::ALL {
        for parallelism in [2, 2000] {
            let exchange = Exchange { parallelism, mode, interval_ms: 50, ..Exchange::default() };
            let id = BenchmarkId::new(mode.name(), parallelism);
            group.bench_with_input(id, &exchange, |b, exchange| {
                b.iter_custom(|times| (0..times).map(|_| mean_checkpoint(exchange)).sum());
            });
        }
    }
    group.finish();
}

fn mean_checkpoint(exchange: &Exchange) -> Duration {
    let durations = exchange.run().checkpoints_us;
    let sum: u64 = durations.iter().sum();
    Duration::from_micros(sum / durations.len().max(1) as u64)
}

criterion_group!(benches, by_mode);
criterion_main!(benches);
