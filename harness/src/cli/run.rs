//! `stormproof run`.

use stormproof_reports::schema::RunResult;
use stormproof_reports::terminal::{self, Colour};

use super::args::RunArgs;
use crate::error::Result;
use crate::output::Console;
use crate::run::{Interrupt, RunFolder, RunOptions, run as run_scenario};
use crate::scenario::{RawScenario, print, validate};

/// Runs what the options ask for; returns the exit code.
pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let mut raw = match &args.scenario {
        Some(file) => RawScenario::read(file)?,
        None => RawScenario::default(),
    };
    let overrides = args.overrides();
    overrides.check()?;
    raw.override_with(&overrides);
    let scenario = validate(raw)?;
    let console = args.console();
    if args.print_scenario {
        console.result(print(&scenario).trim_end());
        return Ok(0);
    }
    let options = RunOptions {
        out: args.out.clone(),
        console,
        schedule: None,
        beside_bare: args.beside_bare,
    };
    let (result, folder) = run_scenario(&scenario, &options, &Interrupt::listen()?)?;
    show(console, &result, Some(&folder));
    Ok(result.shown_verdict().exit_code())
}

/// Shows a result: the table, or JSON.
pub(super) fn show(console: Console, result: &RunResult, folder: Option<&RunFolder>) {
    if console.json {
        let json = serde_json::to_string_pretty(result).expect("a result is plain data");
        console.result(&json);
        return;
    }
    let colour = if console.has_colour() { Colour::Ansi } else { Colour::Plain };
    console.result(terminal::render(result, colour).trim_end());
    if let Some(folder) = folder {
        console.result(&format!("\nreport  {}", folder.report().display()));
        console.result(&format!("replay  stormproof replay {}", folder.path().display()));
    }
}
