//! The command line: options in, exit code out.
//!
//! Exit codes: 0 proven, 1 violated, 2 unknown or invalid.

mod args;
mod bench;
mod broker;
mod claims;
mod clean;
mod completions;
mod doctor;
mod explain;
mod gate;
mod judge;
mod keep;
mod matrix;
mod measure;
mod mutants;
mod replay;
mod report;
mod run;
mod scenario;
mod shrink;
mod sim;
mod soak;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use crate::error::Result;
use crate::output::Console;
use args::{Cli, Command};

/// The exit code of what could not be decided or not even begun.
const UNKNOWN: u8 = 2;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let (console, outcome): (Console, Result<u8>) = match cli.command {
        Some(Command::Engine { spec, parent }) => {
            return crate::driver::engine_main::main(&spec, parent);
        }
        Some(Command::Keep(args)) => return keep::keep(&args),
        Some(Command::Bench(args)) => (args.console(), bench::bench(&args)),
        Some(Command::Clean(args)) => (args.console(), clean::clean(&args)),
        None => (cli.run.console(), run::run(&cli.run)),
        Some(Command::Run(args)) => (args.console(), run::run(&args)),
        Some(Command::Broker(args)) => (Console::default(), broker::broker(&args)),
        Some(Command::Verify(args)) => (args.console(), verify::verify(&args)),
        Some(Command::Explain(args)) => (Console::default(), explain::explain(&args)),
        Some(Command::Replay(args)) => (args.console(), replay::replay(&args)),
        Some(Command::Report(args)) => (args.console(), report::report(&args)),
        Some(Command::Mutants(args)) => (args.console(), mutants::mutants(&args)),
        Some(Command::Matrix(args)) => (args.console(), matrix::matrix(&args)),
        Some(Command::Shrink(args)) => (args.console(), shrink::shrink(&args)),
        Some(Command::Soak(args)) => (args.console(), soak::soak(&args)),
        Some(Command::Judge(args)) => (args.console(), judge::judge(&args)),
        Some(Command::Scenario(args)) => (Console::default(), scenario::scenario(&args)),
        Some(Command::Claims(args)) => (args.console(), claims::claims(&args)),
        Some(Command::Sim(args)) => (args.console(), sim::sim(&args)),
        Some(Command::Gate(args)) => (args.console(), gate::gate(&args)),
        Some(Command::Measure(args)) => (Console::default(), measure::measure(&args)),
        Some(Command::Completions(args)) => {
            (Console::default(), Ok(completions::completions(&args)))
        }
        Some(Command::Doctor(args)) => (args.console(), doctor::doctor(&args)),
        Some(Command::Man(args)) => (Console::default(), completions::man(&args)),
    };
    // A second Ctrl-C may be clearing up meanwhile.
    crate::environment::leftovers::let_sweep_end();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console.error(&error);
            ExitCode::from(UNKNOWN)
        }
    }
}
