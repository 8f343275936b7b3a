//! `stormproof soak`: fresh seeds for hours.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::OutputArgs;
use crate::error::Result;
use crate::output::Console;
use crate::proof::parallel_cores;
use crate::proof::soak::{Rolling, Soak};
use crate::run::Interrupt;
use crate::sim::Outcome;

/// What `soak` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct SoakArgs {
    /// How long: a number with s, m or h, such as 90s, 30m, 8h.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1h")]
    time_limit: Duration,
    /// Schedules at most.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    seeds: u64,
    /// The first seed [default: random, printed].
    #[arg(long, value_name = "SEED")]
    first_seed: Option<u64>,
    /// Threads [default: one for each core].
    #[arg(long)]
    jobs: Option<usize>,
    /// Where failing schedules and the summary are saved.
    #[arg(long, value_name = "DIR", default_value = "stormproof-soak")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl SoakArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

/// Reads 90s, 30m or 8h; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| "give a number with s, m or h".to_owned())?;
    let unit_s = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(format!("{unit:?} is no unit of time: use s, m or h")),
    };
    Ok(Duration::from_secs(number.saturating_mul(unit_s)))
}

/// Soaks; returns the exit code.
pub(super) fn soak(args: &SoakArgs) -> Result<u8> {
    let console = args.console();
    let soak = Soak {
        // Below 2^40, so that it can be typed again.
        first_seed: args.first_seed.unwrap_or_else(|| rand::random::<u64>() >> 24),
        seeds: args.seeds,
        jobs: args.jobs.unwrap_or_else(parallel_cores),
        time_limit: args.time_limit,
        out: args.out.clone(),
    };
    console.remark(&format!("from seed {} for {:?}", soak.first_seed, soak.time_limit));
    let rolling = soak.run(&Interrupt::listen()?, &|so_far| console.remark(&line(so_far)))?;
    if console.json {
        console.result(&serde_json::to_string_pretty(&rolling).expect("sums are plain data"));
    } else {
        console.result(&line(&rolling));
        for (seed, broken) in &rolling.failures {
            console.result(&format!("violated: seed {seed}: {}", broken.join(", ")));
        }
    }
    if rolling.was_interrupted {
        console.remark("interrupted: this is what ran until then");
    }
    Ok(match rolling.failed {
        0 if rolling.of(Outcome::Proven) > 0 && !rolling.was_interrupted => 0,
        0 => super::UNKNOWN,
        _ => 1,
    })
}

fn line(rolling: &Rolling) -> String {
    format!(
        "{} schedules in {:.0} s ({:.0}/s): {} proven, {} vacuous, {} unknown, {} violated; {} MiB",
        rolling.schedules,
        rolling.seconds,
        rolling.schedules as f64 / rolling.seconds.max(1e-9),
        rolling.of(Outcome::Proven),
        rolling.of(Outcome::Vacuous),
        rolling.of(Outcome::Unknown),
        rolling.failed,
        rolling.resident_bytes >> 20
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        for wrong in ["", "h", "3d", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
