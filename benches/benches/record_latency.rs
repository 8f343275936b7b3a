//! What it costs to measure: one latency recorded into an HdrHistogram.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;

const RECORDS: u64 = 10_000;

fn record(c: &mut Criterion) {
    let mut group = c.benchmark_group("hdr-histogram/record");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(RECORDS));
    for digits in [2, 3] {
        let mut histogram: Histogram<u64> =
            Histogram::new_with_bounds(1, 3_600_000_000, digits).expect("bounds are in order");
        group.bench_function(format!("{digits}-digits"), |b| {
            b.iter(|| {
                for n in 0..RECORDS {
                    histogram.saturating_record(n.wrapping_mul(2_654_435_761) % 10_000_000);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
