//! How many effects per second the SQL sink writes: a measurement, run by hand with
//! `cargo test --release --test connector_sql_speed -- --ignored --nocapture`.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod connector_support;

use std::sync::Arc;
use std::time::Instant;

use stormproof_engine::api::{GroupState, SinkFactory as _};
use stormproof_engine::connectors::sql::{SqlSinkConfig, SqlSinkFactory, WholeValue};
use stormproof_engine::ids::*;
use stormproof_engine::record::Record;

use connector_support::database::Database;
use connector_support::{RealClock, context, record, taken};

const RECORDS: u64 = 600_000;
const KEYS: u64 = 100_000;
const SUBTASKS: u64 = 1_000;

/// Records with their subtasks: a key always goes to the same one, as after a key by.
fn records() -> Vec<(SubtaskIndex, Record)> {
    let value = "x".repeat(100);
    let record = |n: u64| {
        let key = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS;
        let subtask = SubtaskIndex((key % SUBTASKS) as u16);
        (subtask, record(u32::from(subtask.0), n, &format!("k{key}"), &value))
    };
    (0..RECORDS).map(record).collect()
}

fn measure(database: &Database, mut config: SqlSinkConfig) -> f64 {
    let records = records();
    config.table_prefix.clone_from(&database.prefix);
    let handle = database.runtime.handle();
    let factory = SqlSinkFactory::new(&database.url, config, Arc::new(WholeValue), handle).unwrap();
    taken(&factory.begin_attempt(AttemptId(1), CheckpointId::NONE)).unwrap();
    let context = context(1, 0, 0..SUBTASKS as u16, Arc::new(RealClock::default()));
    let clock = Arc::clone(&context.clock);
    let mut sink = factory.open(context, GroupState::default()).unwrap();
    let begun = Instant::now();
    for (n, (subtask, record)) in (0_u64..).zip(records) {
        if n % 100 == 0 {
            while !sink.is_ready() {
                if !sink.poll(clock.now_us()).unwrap() {
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            }
        }
        sink.write(subtask, record, clock.now_us()).unwrap();
        if n % 1_000 == 0 {
            sink.poll(clock.now_us()).unwrap();
        }
    }
    sink.prepare_barrier(CheckpointId(1), true, clock.now_us()).unwrap();
    while sink.pending_records() > 0 {
        if !sink.poll(clock.now_us()).unwrap() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }
    let rate = RECORDS as f64 / begun.elapsed().as_secs_f64();
    let audit = database.integers(&format!("SELECT COUNT(*) FROM {}_audit", database.prefix));
    assert_eq!(audit, [[RECORDS as i64]]);
    rate
}

#[test]
#[ignore = "a measurement"]
fn sqlite() {
    for transaction_rows in [1_000, 8_000] {
        let config = SqlSinkConfig { transaction_rows, ..SqlSinkConfig::default() };
        let rate = measure(&Database::sqlite(), config);
        eprintln!("sqlite, transactions of {transaction_rows} rows: {rate:.0} effects/s");
    }
}

#[test]
#[ignore = "a measurement"]
fn mysql() {
    for connections_per_worker in [1, 4, 8] {
        let Some(database) = Database::mysql() else { return };
        let config = SqlSinkConfig { connections_per_worker, ..SqlSinkConfig::default() };
        let rate = measure(&database, config);
        eprintln!("mysql, {connections_per_worker} connections: {rate:.0} effects/s");
    }
}
