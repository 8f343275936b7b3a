//! `stormproof mutants`: every seeded bug must be convicted, the sound engine never.

use std::time::Duration;

use clap::Args;
use stormproof_engine::mutants;

use super::args::OutputArgs;
use crate::error::{Result, scenario};
use crate::output::Console;
use crate::proof::hunt::{Caught, Hunt, Hunted, Report};
use crate::proof::parallel_cores;
use crate::run::Interrupt;

/// What `mutants` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct MutantsArgs {
    /// Schedules for each bug and round, after which it is missed.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// Rounds, each with seeds of its own.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first_seed: u64,
    /// Hunt this one only.
    #[arg(long, value_name = "N")]
    mutant: Option<u32>,
    /// Threads [default: one for each core].
    #[arg(long)]
    jobs: Option<usize>,
    /// No new schedule begins after so long.
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

impl MutantsArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

/// Hunts; returns the exit code: 0 all convicted, 1 one missed or the sound engine convicted, 2
/// the time was up, or somebody interrupted it.
pub(super) fn mutants(args: &MutantsArgs) -> Result<u8> {
    if cfg!(not(feature = "mutants")) {
        return Err(scenario("the seeded bugs are not compiled in")
            .at("stormproof mutants")
            .remedy("run it with `cargo run --release --features mutants -- mutants`"));
    }
    if let Some(unknown) = args.mutant.filter(|number| mutants::numbered(*number).is_none()) {
        return Err(scenario(format!("there is no mutant {unknown}"))
            .at("--mutant")
            .remedy("`stormproof explain mutants` lists them"));
    }
    let console = args.console();
    let hunt = Hunt {
        first_seed: args.first_seed,
        seeds: args.seeds.max(1),
        rounds: args.rounds.max(1),
        jobs: args.jobs.unwrap_or_else(parallel_cores),
        only: args.mutant,
        time_limit: args.time_limit.map(Duration::from_secs),
    };
    let look = |done, all| console.remark(&format!("{done} of {all} rounds"));
    let report = hunt.run(&Interrupt::listen()?, &look);
    show(console, &hunt, &report);
    let is_bad = !report.sound_convicted.is_empty() || report.missed().next().is_some();
    Ok(match (is_bad, report.was_cut_short) {
        (true, false) => 1,
        (true, true) => {
            if report.sound_convicted.is_empty() {
                super::UNKNOWN
            } else {
                1
            }
        }
        (false, _) => 0,
    })
}

fn show(console: Console, hunt: &Hunt, report: &Report) {
    if console.json {
        let json = serde_json::to_string_pretty(report).expect("a report is plain data");
        return console.result(&json);
    }
    console.result("  no  mutant                       median  worst  convicted by (first seed)");
    for hunted in &report.mutants {
        console.result(&line(hunted));
    }
    let missed: Vec<String> = report.missed().map(|hunted| hunted.number.to_string()).collect();
    let all = report.mutants.len();
    console.result(&format!(
        "\n{} of {all} convicted in each of {} rounds; median {} schedules{}",
        all - missed.len(),
        hunt.rounds,
        report.median(),
        if missed.is_empty() { String::new() } else { format!("; missed: {}", missed.join(", ")) }
    ));
    console.result(&format!(
        "the sound engine: {} convictions in the same {} seeds; {:.1} s",
        report.sound_convicted.len(),
        report.sound_schedules,
        report.seconds
    ));
    for convicted in report.sound_convicted.iter().take(20) {
        let broken = convicted.broken.join(", ");
        console.result(&format!("  seed {}: {broken}", convicted.seed));
    }
}

fn line(hunted: &Hunted) -> String {
    let caught: Vec<&Caught> = hunted.rounds.iter().filter_map(|r| r.caught.as_ref()).collect();
    let by = match caught.first() {
        Some(first) if hunted.is_caught() => {
            format!("{} ({})", first.broken.join(", "), first.seed)
        }
        _ => format!(
            "MISSED in {} of {} rounds",
            hunted.rounds.len() - caught.len(),
            hunted.rounds.len()
        ),
    };
    let Hunted { number, name, .. } = hunted;
    format!("  {number:>2}  {name:<27}{:>8}{:>7}  {by}", hunted.median(), hunted.worst())
}
