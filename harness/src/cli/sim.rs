//! `stormproof sim`: many simulated schedules, or one with its trace.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use stormproof_chaos::sim::{self, Plan, SimRun};

use super::args::OutputArgs;
use crate::error::Result;
use crate::output::Console;
use crate::run::Interrupt;
use crate::sim::campaign::{Campaign, Summary};
use crate::sim::{Outcome, SimJudgement, judge};

/// What `sim` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct SimArgs {
    /// Schedules to run, each from a seed of its own.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed [default: random, printed].
    #[arg(long, value_name = "SEED")]
    first_seed: Option<u64>,
    /// Threads [default: one for each core].
    #[arg(long)]
    jobs: Option<usize>,
    /// No new schedule begins after so long.
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// Run this one seed and print every event with its virtual time.
    #[arg(long)]
    seed: Option<u64>,
    /// Parallelism of every schedule, instead of one drawn between 1 and 2000.
    #[arg(long, value_name = "SUBTASKS", value_parser = clap::value_parser!(u16).range(1..=2000))]
    parallelism: Option<u16>,
    /// Where failing schedules are saved, one file each.
    #[arg(long, value_name = "DIR", default_value = "stormproof-sim")]
    out: PathBuf,
    /// A seeded bug of the engine, which the oracle must convict.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "N", default_value_t = 0)]
    mutant: u32,
    #[command(flatten)]
    output: OutputArgs,
}

impl SimArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }

    fn campaign(&self) -> Campaign {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        Campaign {
            // Below 2^40, so that it can be typed again.
            first_seed: self.first_seed.unwrap_or_else(|| rand::random::<u64>() >> 24),
            seeds: self.seeds,
            jobs: self.jobs.unwrap_or_else(cores),
            time_limit: self.time_limit.map(Duration::from_secs),
            parallelism: self.parallelism,
            out: Some(self.out.clone()),
        }
    }
}

/// Runs the simulation; returns the exit code.
pub(super) fn sim(args: &SimArgs) -> Result<u8> {
    let (console, campaign) = (args.console(), args.campaign());
    #[cfg(feature = "mutants")]
    stormproof_engine::mutants::activate(args.mutant);
    if let Some(seed) = args.seed {
        let plan = campaign.plan(seed);
        let run = sim::run(&plan, true);
        return Ok(show_one(console, &plan, &run, &judge(&plan, &run)));
    }
    console.remark(&format!(
        "{} seeds from {} on {} threads",
        campaign.seeds, campaign.first_seed, campaign.jobs
    ));
    let summary = campaign.run(&Interrupt::listen()?, &|so_far| console.remark(&line(so_far)))?;
    Ok(show_all(console, &campaign, &summary))
}

fn line(summary: &Summary) -> String {
    format!(
        "{} schedules, {:.0}/s: {} proven, {} vacuous, {} unknown, {} violated",
        summary.schedules,
        summary.per_second(),
        summary.of(Outcome::Proven),
        summary.of(Outcome::Vacuous),
        summary.of(Outcome::Unknown),
        summary.failed
    )
}

fn show_all(console: Console, campaign: &Campaign, summary: &Summary) -> u8 {
    if console.json {
        let json = serde_json::to_string_pretty(summary).expect("a summary is plain data");
        console.result(&json);
    } else {
        console.result(&line(summary));
        console.result(&format!(
            "{} attempts, {} restores, {} checkpoints, {} effects, {} events, {:.0} s of virtual time",
            summary.attempts,
            summary.restores,
            summary.checkpoints,
            summary.effects,
            summary.events,
            summary.virtual_s
        ));
        for failed in summary.failures.iter().take(20) {
            console.result(&format!(
                "violated: seed {}: {}",
                failed.seed,
                failed.broken.join(", ")
            ));
        }
        if let (true, Some(folder)) = (summary.failed > 0, &campaign.out) {
            console.result(&format!("saved in {}", folder.display()));
        }
    }
    if summary.was_interrupted {
        console.remark("interrupted: this is what ran until then");
    }
    match summary.failed {
        0 if summary.of(Outcome::Proven) > 0 && !summary.was_interrupted => 0,
        0 => 2,
        _ => 1,
    }
}

fn show_one(console: Console, plan: &Plan, run: &SimRun, judged: &SimJudgement) -> u8 {
    if console.json {
        let json = serde_json::to_string_pretty(judged).expect("a judgement is plain data");
        console.result(&json);
    } else {
        console.result(plan.to_json().trim_end());
        for line in &run.trace {
            console.result(line);
        }
        console.result(&format!(
            "{:?}: {} attempts, {} checkpoints, {} restores, {} effects of {} records",
            run.end,
            run.attempts,
            run.completed,
            run.restores,
            run.evidence.audit.len(),
            run.evidence.input.len()
        ));
        console.result(&format!("{:?}", judged.outcome).to_lowercase());
        for reason in &judged.reasons {
            console.result(reason);
        }
    }
    match judged.outcome {
        Outcome::Proven => 0,
        Outcome::Violated => 1,
        Outcome::Vacuous | Outcome::Unknown => 2,
    }
}
