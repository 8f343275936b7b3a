//! Runs that do not come to their end: interrupted in each phase, interrupted twice, killed. They
//! are unknown, what nobody counted is not a number, and nothing outlives them.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Running, engines_of, json, scenario, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const A_WHILE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(15);

/// Half a million records in five seconds, and checkpoints so rare that the drain takes its time.
const LONG_PHASES: &str = "
seed = 3
[load]
records = 500000
partitions = 32
rate_per_s = 100000
[job]
parallelism = 8
[checkpoint]
interval_ms = 4000
[faults]
count = 0
";

/// A load of ten minutes with a fault now and then.
const LONG_LOAD: &str = "
seed = 3
[load]
records = 600000
partitions = 32
rate_per_s = 1000
[job]
parallelism = 8
batch_interval_ms = 100
[checkpoint]
interval_ms = 300
[faults]
schedule = []
";

fn run_in(folder: &Path) -> Running {
    Running::start(&["run", "--scenario", "storm.toml", "--out", "out"], folder)
}

/// The run has ended, says that it was interrupted and nothing more, and nothing is left.
fn check_interrupted(folder: &Path, phase: &str) {
    let result = json(&folder.join("out/result.json"));
    assert_eq!(result["verdict"], "unknown", "{phase}");
    let reason = result["verdict_reason"].as_str().unwrap();
    assert!(reason.contains("interrupted"), "{phase}: {reason}");
    let counted =
        ["effects", "lost", "duplicates", "duplicates_expected", "duplicates_bound", "latency"];
    for name in counted {
        let value = result.get(name).unwrap_or_else(|| panic!("{phase}: {name} is missing"));
        assert!(value.is_null(), "{phase}: {name} = {value}, and nobody counted");
    }
    let page = std::fs::read_to_string(folder.join("out/report.html")).unwrap();
    assert!(page.contains("not counted"), "{phase}");
    assert!(engines_of(folder).is_empty(), "{phase}");
    assert!(!folder.join("out/engine-spec.json").exists(), "{phase}: it may hold a password");
    let outside = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(outside, 2, "{phase}: only the scenario and the run's folder");
}

#[test]
fn every_phase_can_be_interrupted() {
    let phases = [
        ("start  ", Signal::SIGINT),
        ("load  ", Signal::SIGTERM),
        ("drain  ", Signal::SIGHUP),
        ("judging", Signal::SIGINT),
    ];
    for (phase, signal) in phases {
        let folder = scenario(LONG_PHASES);
        let mut run = run_in(folder.path());
        run.hear(phase, A_WHILE);
        run.signal(signal);
        assert_eq!(run.end(SOON), Some(2), "{phase}: {}", run.heard());
        check_interrupted(folder.path(), phase);
    }
}

#[test]
fn the_second_interruption_ends_it_at_once() {
    let folder = scenario(LONG_LOAD);
    let mut run = run_in(folder.path());
    run.hear("load  ", A_WHILE);
    run.signal(Signal::SIGINT);
    // Two of a kind at once are one to the system.
    std::thread::sleep(Duration::from_millis(20));
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end(SOON), Some(2), "{}", run.heard());
    assert!(!run.heard().contains("panicked"), "{}", run.heard());
    wait_for("the engine's end", SOON, || engines_of(folder.path()).is_empty());
}

#[test]
fn an_interrupted_matrix_leaves_the_table_of_what_was_reached() {
    let with_processes = ["--env", "embedded", "--every", "223", "--parallelism", "4"];
    for (args, reached) in [(&with_processes[..], "run 2:"), (&[], "cells")] {
        let folder = tempfile::tempdir().unwrap();
        let args = [&["matrix", "--out", "table.json"], args].concat();
        let mut matrix = Running::start(&args, folder.path());
        matrix.hear(reached, A_WHILE);
        matrix.signal(Signal::SIGINT);
        assert_eq!(matrix.end(SOON), Some(2), "{}", matrix.heard());
        let table = json(&folder.path().join("table.json"));
        assert!(table["not_run"].as_u64() > Some(0), "{table}");
        assert!(table["of_cells"]["survived"].as_u64() > Some(0), "{table}");
        assert!(matrix.heard().contains("cells and pairs were not run"), "{}", matrix.heard());
        assert!(engines_of(folder.path()).is_empty());
    }
}

#[test]
fn a_campaign_that_is_interrupted_says_what_ran_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let mut soak = Running::start(
        &["soak", "--jobs", "1", "--first-seed", "1", "--out", "out"],
        folder.path(),
    );
    soak.hear("schedules in", A_WHILE);
    soak.signal(Signal::SIGTERM);
    assert_eq!(soak.end(SOON), Some(2));
    let summary = json(&folder.path().join("out/summary.json"));
    assert_eq!(summary["was_interrupted"], true);
    assert!(summary["schedules"].as_u64() >= Some(2_000), "{summary}");

    let mut sim = Running::start(&["sim", "--jobs", "1", "--seeds", "10000000"], folder.path());
    sim.hear("schedules,", A_WHILE);
    sim.signal(Signal::SIGINT);
    sim.hear("interrupted", SOON);
    assert_eq!(sim.end(SOON), Some(2));
}

/// What the engine process does when its parent is killed.
#[derive(Debug)]
enum Doing {
    /// It works: somewhere between two checkpoints, or in the middle of an upload.
    Working,
    /// It is stopped.
    Paused,
    /// It was killed, and the next one is about to start.
    Restarting,
}

#[test]
fn no_engine_outlives_a_killed_run() {
    // The kills of a working engine fall anywhere in its checkpoint interval of 300 ms.
    let working = (0..4).map(|n| (Doing::Working, n * 80));
    let restarting = (0..5).map(|n| (Doing::Restarting, n * 60));
    let paused = (0..2).map(|n| (Doing::Paused, n * 50));
    for (doing, wait_ms) in working.chain(restarting).chain(paused) {
        let folder = scenario(LONG_LOAD);
        let mut run = run_in(folder.path());
        run.hear("load  ", A_WHILE);
        let engine = Pid::from_raw(engines_of(folder.path())[0]);
        match doing {
            Doing::Working => {}
            Doing::Paused => kill(engine, Signal::SIGSTOP).unwrap(),
            Doing::Restarting => kill(engine, Signal::SIGKILL).unwrap(),
        }
        std::thread::sleep(Duration::from_millis(wait_ms));
        run.signal(Signal::SIGKILL);
        assert_eq!(run.end(SOON), None);
        wait_for(&format!("the end of an engine that was {doing:?}"), SOON, || {
            engines_of(folder.path()).is_empty()
        });
        // Not even one that was just being started.
        std::thread::sleep(Duration::from_millis(300));
        assert!(engines_of(folder.path()).is_empty(), "{doing:?} after {wait_ms} ms");
    }
}
