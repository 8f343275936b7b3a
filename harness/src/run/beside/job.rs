//! The job beside bare clients: over the whole topic, in a process of its own, without a fault.

use std::time::{Duration, Instant};

use stormproof_engine::runtime::{JobConfig, JobEvent};

use super::super::engine::{Engine, last_lines};
use super::{LIMIT, RunFolder};
use crate::clock::monotonic_us;
use crate::driver::child::{Heard, describe};
use crate::driver::protocol::{Command, EngineSpec, Report};
use crate::environment::{Addresses, EffectsProbe, Stop};
use crate::error::{HarnessError, Result, engine};
use crate::scenario::Scenario;

/// Between two looks at the audit table.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest wait for the process's own end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Runs the job until `records` effects are in its audit table; returns the seconds from the
/// attempt's start, when it opens its clients, to the last effect.
pub(super) fn run(
    scenario: &Scenario,
    config: JobConfig,
    at: &Addresses,
    folder: &RunFolder,
    records: u64,
    stop: &Stop,
) -> Result<f64> {
    let checkpoints = folder.path().join("beside-checkpoints");
    let (spec_file, log) =
        (folder.path().join("beside-spec.json"), folder.path().join("beside.log"));
    let spec = EngineSpec::new(at.clone(), checkpoints.clone(), &scenario.job, config, 0);
    let json = serde_json::to_vec(&spec).expect("a specification is plain data");
    folder.write_private(&spec_file, json)?;
    let mut process = Engine::new(spec_file.clone(), log.clone());
    let started = process.start(Vec::new());
    let measured = started.and_then(|()| watch(&mut process, at, records, stop)).map_err(|why| {
        let what = format!("the job beside bare clients: {}{}", why.what, last_lines(&log));
        HarnessError { what, ..why }
    });
    if measured.is_ok() {
        process.send(&Command::Cancel);
        wait_for_end(&mut process);
        let _ = std::fs::remove_file(&log);
    }
    process.end();
    // The specification holds the database's password.
    let _ = std::fs::remove_file(&spec_file);
    let _ = std::fs::remove_dir_all(&checkpoints);
    measured
}

fn watch(process: &mut Engine, at: &Addresses, records: u64, stop: &Stop) -> Result<f64> {
    let begun = Instant::now();
    let mut effects = EffectsProbe::new(&at.database, &at.table_prefix)?;
    let mut started_us = None;
    let mut looked = Instant::now();
    let refuse = |what: String| {
        engine(what).at("its own process").remedy("the verdict of the run stands without this")
    };
    loop {
        stop.check()?;
        if begun.elapsed() > LIMIT {
            return Err(refuse(format!("not at the end after {} s", LIMIT.as_secs())));
        }
        match process.hear(Duration::from_millis(5))? {
            Heard::Ended(status) => return Err(refuse(format!("it {}", describe(status)))),
            Heard::Report(report) => match report {
                Report::Event(timed) => match timed.event {
                    JobEvent::AttemptStarted { .. } if started_us.is_none() => {
                        started_us = Some(timed.t_us);
                    }
                    JobEvent::AttemptFailed { cause, .. } | JobEvent::ClaimFailed { cause } => {
                        return Err(refuse(format!("an attempt failed: {cause}")));
                    }
                    _ => {}
                },
                Report::Failed { reason } => return Err(refuse(reason)),
                _ => {}
            },
            _ => {}
        }
        let Some(started_us) = started_us.filter(|_| looked.elapsed() >= LOOK_EVERY) else {
            continue;
        };
        looked = Instant::now();
        if effects.count().is_some_and(|count| count >= records) {
            return Ok((monotonic_us() - started_us) as f64 / 1e6);
        }
    }
}

fn wait_for_end(process: &mut Engine) {
    let begun = Instant::now();
    while begun.elapsed() < END_LIMIT {
        if matches!(process.hear(Duration::from_millis(20)), Ok(Heard::Ended(_)) | Err(_)) {
            return;
        }
    }
}
