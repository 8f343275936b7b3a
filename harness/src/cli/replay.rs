//! `stormproof replay`: the same scenario, seed and schedule, in a new folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use stormproof_chaos::schedule::Schedule;

use super::args::ReplayArgs;
use super::run::show;
use crate::error::{HarnessError, Result, evidence};
use crate::run::{Interrupt, RunFolder, RunOptions, run};
use crate::scenario::{Overrides, RawScenario, parse, validate};

/// The content of a FAILURE.json, as far as a replay needs it.
#[derive(Debug, Deserialize)]
struct Failure {
    scenario: String,
    schedule: Schedule,
}

/// Runs it again; returns the exit code.
pub(super) fn replay(args: &ReplayArgs) -> Result<u8> {
    let (mut raw, schedule) = load(&args.what)?;
    raw.override_with(&Overrides { database: args.database.clone(), ..Overrides::default() });
    let scenario = validate(raw)?;
    let console = args.console();
    let options = RunOptions { out: args.out.clone(), console, schedule: Some(schedule) };
    let (result, folder) = run(&scenario, &options, &Interrupt::listen()?)?;
    show(console, &result, Some(&folder));
    Ok(result.shown_verdict().exit_code())
}

fn load(what: &Path) -> Result<(RawScenario, Schedule)> {
    let is_failure = what
        .file_name()
        .is_some_and(|name| name.to_string_lossy().to_uppercase().contains("FAILURE"));
    if is_failure && what.is_file() {
        let failure: Failure = serde_json::from_str(&read(what)?).map_err(|e| broken(what, &e))?;
        return Ok((parse(&failure.scenario, &what.display().to_string())?, failure.schedule));
    }
    let folder = if what.is_dir() { what.to_owned() } else { parent_of(what) };
    let folder = RunFolder::open(&folder)?;
    let file = folder.schedule();
    let schedule = serde_json::from_str(&read(&file)?).map_err(|e| broken(&file, &e))?;
    Ok((RawScenario::read(&folder.scenario())?, schedule))
}

fn parent_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| broken(file, &error))
}

fn broken(file: &Path, error: &dyn std::fmt::Display) -> HarnessError {
    evidence(format!("nothing can be replayed from this: {error}"))
        .at(file.display().to_string())
        .remedy("give a run's folder, its result.json, or a FAILURE.json")
}
