//! Throughput beside bare clients: on the services of the run, over the run's own topic, once the
//! run has been judged.
//!
//! *Follow a comparison:* a bare consumer reads the whole topic ([`consumer`]); a bare loader writes
//! the same records into tables like the job's, and once more with the upserts alone ([`loader`]);
//! then the job itself, from the topic's beginning, with checkpoints and without a fault, until the
//! last effect is in its own audit table ([`job`]). One after the other: nobody shares the machine.
//!
//! Invariants: all read the same records and reach the services directly; each clock runs from the
//! first request to the last answer; what was made for this is taken away again. It is no part of the verdict.

mod consumer;
mod job;
mod loader;

use std::time::Duration;

use stormproof_reports::schema::BesideBare;

use super::{RunFolder, job_config};
use crate::environment::{Addresses, DatabaseAddress, Stop};
use crate::error::Result;
use crate::scenario::Scenario;

/// The longest that one of the parts may take.
const LIMIT: Duration = Duration::from_secs(180);

/// A record as a bare client holds it.
struct Row {
    partition: u32,
    offset: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Measures all of them, over the topic at `addresses`.
pub(super) fn measure(
    scenario: &Scenario,
    addresses: &Addresses,
    folder: &RunFolder,
    stop: &Stop,
) -> Result<BesideBare> {
    let DatabaseAddress::Sqlite(_) = &addresses.database else {
        return measure_in(scenario, addresses, folder, stop);
    };
    // The run's own file is evidence: nothing is written there.
    let file = folder.path().join("beside.sqlite");
    let database = DatabaseAddress::Sqlite(file.clone());
    let measured = measure_in(scenario, &Addresses { database, ..addresses.clone() }, folder, stop);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
    measured
}

fn measure_in(
    scenario: &Scenario,
    addresses: &Addresses,
    folder: &RunFolder,
    stop: &Stop,
) -> Result<BesideBare> {
    let (records, consumer_s) = consumer::read(addresses, stop, |_| {})?;
    let rows = std::sync::Mutex::new(Vec::with_capacity(records as usize));
    consumer::read(addresses, stop, |row| {
        rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(row);
    })?;
    let rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let loader_s = loader::load(addresses, &rows, loader::Tables::AsTheJob, stop)?;
    let upserts_s = loader::load(addresses, &rows, loader::Tables::UpsertsAlone, stop)?;
    drop(rows);
    let own = Addresses {
        group: format!("{}-beside", addresses.group),
        table_prefix: format!("{}_beside", addresses.table_prefix),
        ..addresses.clone()
    };
    let job_s = job::run(scenario, job_config(scenario), &own, folder, records, stop)?;
    loader::drop_tables(&own)?;
    let rate = |seconds: f64| records as f64 / seconds.max(1e-6);
    let mut all = BesideBare {
        records,
        consumer_records_per_s: rate(consumer_s),
        loader_records_per_s: rate(loader_s),
        upserts_records_per_s: rate(upserts_s),
        job_records_per_s: rate(job_s),
        share_of_bare: 0.0,
    };
    all.share_of_bare =
        all.job_records_per_s / all.consumer_records_per_s.min(all.loader_records_per_s);
    Ok(all)
}
