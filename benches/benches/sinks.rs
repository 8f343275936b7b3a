//! The SQL sink inside a job: rows of a subtask's batch x rows of a transaction (how many subtasks'
//! batches are coalesced), effects/s. SQLite always; MySQL where STORMPROOF_TEST_MYSQL_URL names
//! one, else a line says that it was skipped.

#[path = "peers/bare_loader.rs"]
mod bare_loader;
#[path = "peers/database.rs"]
mod database;

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use database::Database;
use stormproof_benches::scaled;
use stormproof_engine::connectors::sql::SqlSinkConfig;

/// Bytes of a row's value: the generator's default.
const VALUE_BYTES: u64 = 100;
const BATCHES: [usize; 3] = [10, 100, 500];
const TRANSACTIONS: [usize; 3] = [100, 1000, 8000];

fn sqlite(c: &mut Criterion) {
    matrix(c, "sink/sqlite", Database::sqlite);
}

fn mysql(c: &mut Criterion) {
    if Database::mysql().is_none() {
        eprintln!("sink/mysql: skipped, {} names no database", database::URL_VARIABLE);
        return;
    }
    matrix(c, "sink/mysql", || Database::mysql().expect("it was there"));
}

fn matrix(c: &mut Criterion, name: &str, open: fn() -> Database) {
    let records = scaled(30_000);
    let mut group = c.benchmark_group(name);
    let bytes = records * VALUE_BYTES;
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .nresamples(10_000)
        .throughput(Throughput::ElementsAndBytes { elements: records, bytes });
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
    for batch_rows in BATCHES {
        for transaction_rows in TRANSACTIONS {
            let config = SqlSinkConfig { batch_rows, transaction_rows, ..SqlSinkConfig::default() };
            let id = BenchmarkId::new(format!("batch-{batch_rows}"), transaction_rows);
            group.bench_with_input(id, &config, |b, config| {
                b.iter_custom(|times| {
                    let run = |_| {
                        let rate = open().engine(records, config);
                        Duration::from_secs_f64(records as f64 / rate)
                    };
                    (0..times).map(run).sum()
                });
            });
        }
    }
    let bare = |_| Duration::from_secs_f64(records as f64 / open().bare(records));
    group.bench_function("bare-loader", |b| b.iter_custom(|times| (0..times).map(bare).sum()));
    group.finish();
}

criterion_group!(benches, sqlite, mysql);
criterion_main!(benches);
