//! `stormproof shrink`: of a failing simulated schedule, the least that still fails.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::OutputArgs;
use crate::error::{Result, evidence};
use crate::output::Console;
use crate::proof::case::Case;
use crate::sim::Saved;

/// What `shrink` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct ShrinkArgs {
    /// A failing schedule that `sim`, `soak` or `mutants` has saved.
    file: PathBuf,
    /// The rule that must stay broken [default: the first one that is].
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// When to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    time_limit: u64,
    /// Where the smallest schedule is saved.
    #[arg(long, value_name = "DIR", default_value = "stormproof-shrunk")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl ShrinkArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

/// Shrinks; returns the exit code: 1, for what fails is what was asked for.
pub(super) fn shrink(args: &ShrinkArgs) -> Result<u8> {
    let console = args.console();
    let place = args.file.display().to_string();
    let saved = Saved::load(&args.file)?.ok_or_else(|| {
        evidence("this is no simulated schedule")
            .at(&place)
            .remedy("give a file that `stormproof sim`, `soak` or `mutants` has saved")
    })?;
    let case = Case::of(&saved)?;
    let broken = case.broken();
    let rule = match &args.rule {
        Some(rule) => broken.iter().find(|broken| *broken == rule),
        None => broken.first(),
    };
    let Some(rule) = rule else {
        let what = match &args.rule {
            Some(rule) => format!("the schedule does not break {rule}"),
            None => "the schedule breaks no rule".to_owned(),
        };
        let told = if broken.is_empty() { "nothing".to_owned() } else { broken.join(", ") };
        return Err(evidence(what).at(place).remedy(format!("it breaks {told}")));
    };
    let shrunk = case.shrunk(rule, Duration::from_secs(args.time_limit));
    let file = Saved::of(&shrunk.plan, &shrunk.plan.run(true)).save(&args.out)?;
    console.remark(&format!(
        "{} tries, {} of them smaller{}",
        shrunk.tries,
        shrunk.taken,
        if shrunk.is_least { "" } else { "; the time was up" }
    ));
    console.result(&format!("{rule}: {} -> {}", case.size(), shrunk.plan.size()));
    console.result(&format!("replay  stormproof replay {}", file.display()));
    Ok(1)
}
