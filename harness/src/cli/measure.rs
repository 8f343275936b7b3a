//! `stormproof measure`: one measurement of this very binary, as a line of JSON. The gate calls it
//! on base and on head.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::bench::BenchScenario;
use crate::error::Result;
use crate::gate::build::Build;
use crate::gate::measure::subject::Subject;
use crate::gate::measure::{rate, schedules};
use crate::output::Console;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(super) struct MeasureArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// The build: compiler, target, what the host adds.
    Build,
    /// Records per second and processor time of a bench's job, as fast as it goes.
    Rate {
        /// A bench whose pipeline is `engine`.
        scenario: PathBuf,
        /// Records.
        #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        records: u64,
        /// A planted slowdown: idle iterations for a thousand records.
        #[arg(long, default_value_t = 0)]
        burn: u64,
    },
    /// A counted piece of work, for callgrind.
    Subject {
        /// Which.
        subject: Subject,
        /// How much of it.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
        size: u64,
        /// A planted slowdown: idle iterations for a thousand units.
        #[arg(long, default_value_t = 0)]
        burn: u64,
    },
    /// What becomes of simulated schedules.
    Schedules {
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        first_seed: u64,
        /// How many.
        #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
    },
}

/// Measures; returns the exit code.
pub(super) fn measure(args: &MeasureArgs) -> Result<u8> {
    match &args.what {
        What::Build => show(&Build::current()),
        What::Rate { scenario, records, burn } => {
            show(&rate(&BenchScenario::read(scenario)?, *records, *burn)?);
        }
        What::Subject { subject, size, burn } => show(&subject.run(*size, *burn)?),
        What::Schedules { first_seed, seeds } => show(&schedules::run(*first_seed, *seeds)),
    }
    Ok(0)
}

fn show(measured: &impl Serialize) {
    let line = serde_json::to_string(measured).expect("a measurement is plain data");
    Console::default().result(&line);
}
