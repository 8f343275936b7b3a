//! `stormproof replay`: a failure again. A simulated schedule to the bit; a real run with the same
//! scenario, seed and schedule, in a new folder, as often as asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stormproof_chaos::schedule::Schedule;
use stormproof_reports::schema::{Origin, RunResult};

use super::args::ReplayArgs;
use super::run::show;
use crate::error::{HarnessError, Result, evidence};
use crate::output::Console;
use crate::proof::case::Case;
use crate::run::{Interrupt, RunFolder, RunOptions, run};
use crate::scenario::{Overrides, RawScenario, parse, validate};
use crate::sim::{Outcome, Saved};

/// The content of a FAILURE.json, as far as a replay needs it.
#[derive(Debug, Deserialize)]
struct Failure {
    scenario: String,
    schedule: Schedule,
}

/// Runs it again; returns the exit code.
pub(super) fn replay(args: &ReplayArgs) -> Result<u8> {
    if args.what.is_file()
        && let Some(saved) = Saved::load(&args.what)?
    {
        return replay_simulated(args.console(), &args.what, &saved);
    }
    let (mut raw, schedule) = load(&args.what)?;
    raw.override_with(&Overrides { database: args.database.clone(), ..Overrides::default() });
    let scenario = validate(raw)?;
    let console = args.console();
    let interrupt = Interrupt::listen()?;
    let mut ends: BTreeMap<u8, u32> = BTreeMap::new();
    for n in 1..=args.tries {
        let out = args.out.as_ref().map(|out| numbered(out, n, args.tries));
        let options =
            RunOptions { out, console, schedule: Some(schedule.clone()), ..RunOptions::default() };
        let (result, folder) = run(&scenario, &options, &interrupt)?;
        show(console, &result, Some(&folder));
        *ends.entry(result.shown_verdict().exit_code()).or_default() += 1;
    }
    let of = |code: u8| ends.get(&code).copied().unwrap_or(0);
    if args.tries > 1 {
        let (tries, violated) = (args.tries, of(1));
        let rate = f64::from(violated) * 100.0 / f64::from(tries);
        let line = format!(
            "violated in {violated} of {tries} tries ({rate:.0} %); {} proven, {} unknown",
            of(0),
            of(super::UNKNOWN)
        );
        // With --json stdout has the results, one after the other, and nothing else.
        if console.json { console.remark(&line) } else { console.result(&line) }
    }
    // A violation in any of the tries is one.
    Ok(if of(1) > 0 { 1 } else { ends.keys().next_back().copied().unwrap_or(super::UNKNOWN) })
}

/// The folder of the n-th try.
fn numbered(out: &Path, n: u32, tries: u32) -> PathBuf {
    if tries == 1 { out.to_owned() } else { out.join(format!("try-{n}")) }
}

/// Runs a simulated schedule again and compares it with what was saved.
fn replay_simulated(console: Console, file: &Path, saved: &Saved) -> Result<u8> {
    let ran = Case::of(saved)?.run(true);
    for line in &ran.run.trace {
        console.remark(line);
    }
    if console.json {
        let json = serde_json::to_string_pretty(&ran.judged).expect("a judgement is plain data");
        console.result(&json);
    } else {
        ran.judged.reasons.iter().for_each(|reason| console.result(reason));
    }
    let fingerprint = ran.fingerprint();
    let is_same = saved.fingerprint.as_ref().is_none_or(|saved| *saved == fingerprint)
        && saved.broken == ran.judged.broken
        && saved.reasons == ran.judged.reasons;
    if !is_same {
        return Err(evidence("the schedule does not run as it did when it was saved")
            .at(file.display().to_string())
            .remedy("it was saved by another version: check out that one, or shrink it again"));
    }
    console.remark(&format!("the same run, to the bit: {fingerprint}"));
    Ok(match ran.judged.outcome {
        Outcome::Violated => 1,
        Outcome::Proven => 0,
        Outcome::Vacuous | Outcome::Unknown => super::UNKNOWN,
    })
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
    if let Some(origin) = alone(what, &folder)? {
        let schedule = serde_json::from_value(origin.schedule).map_err(|e| broken(what, &e))?;
        return Ok((parse(&origin.scenario_toml, &what.display().to_string())?, schedule));
    }
    let folder = RunFolder::open(&folder)?;
    let file = folder.schedule();
    let schedule = serde_json::from_str(&read(&file)?).map_err(|e| broken(&file, &e))?;
    Ok((RawScenario::read(&folder.scenario())?, schedule))
}

/// The origin in a result.json whose folder did not come along.
fn alone(what: &Path, folder: &Path) -> Result<Option<Origin>> {
    if !what.is_file() || folder.join("schedule.json").is_file() {
        return Ok(None);
    }
    let result = RunResult::load(what).map_err(|e| broken(what, &e))?;
    Ok(result.origin)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_without_its_folder_is_enough() {
        let raw = RawScenario { seed: Some(7), ..RawScenario::default() };
        let scenario = validate(raw).unwrap();
        let schedule = scenario.schedule().unwrap();
        let origin = Origin {
            scenario_toml: crate::scenario::print(&scenario),
            schedule: serde_json::to_value(&schedule).unwrap(),
            mutant: None,
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("result.json");
        RunResult { origin: Some(origin), ..RunResult::default() }.save(&file).unwrap();
        let (raw, replayed) = load(&file).unwrap();
        assert_eq!((validate(raw).unwrap(), replayed), (scenario, schedule));
        RunResult::default().save(&file).unwrap();
        assert!(load(&file).is_err(), "a result without an origin needs its folder");
    }
}
