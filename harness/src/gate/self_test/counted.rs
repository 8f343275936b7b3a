//! The hard gate over real plants: idle instructions in the sink of the counted job.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::super::baseline::Baseline;
use super::super::binary::Binary;
use super::super::callgrind;
use super::super::compare;
use super::super::config::Counts;
use super::super::measure::subject::Subject;
use super::PLANTS;
use crate::error::{Result, evidence};
use crate::output::Console;

const FIGURE: &str = "exchange.instructions_per_record";

/// What the hard gate said to a plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountedTrial {
    /// The plant, in percent of the instructions of a record.
    pub planted_percent: f64,
    /// How many more were counted, in percent.
    pub counted_percent: f64,
    /// What the gate said.
    pub answer: String,
}

/// One trial of each plant, and one more of A/A.
pub(super) fn trials(
    binary: &Binary,
    limits: &Counts,
    console: Console,
) -> Result<Vec<CountedTrial>> {
    let limit = Duration::from_secs(limits.time_limit_s);
    let take = |burn: u64| -> Result<Baseline> {
        let counts = callgrind::count(&binary.path, Subject::Exchange, burn, limit)?;
        Ok(Baseline { counts, build: binary.build()?, ..Baseline::default() })
    };
    /// Iterations for a thousand records: enough to know what one costs.
    const CALIBRATION: u64 = 20_000;
    let base = take(0)?;
    let plain = base.counts[FIGURE];
    let each = (take(CALIBRATION)?.counts[FIGURE] - plain) / (CALIBRATION as f64 / 1000.0);
    if each <= 0.0 {
        return Err(evidence("planted instructions were not counted")
            .at(FIGURE)
            .remedy("this is a defect of the gate: please report it"));
    }
    let mut all = Vec::new();
    for planted_percent in PLANTS.into_iter().chain([0.0]) {
        let burn = (planted_percent / 100.0 * plain / each * 1000.0).round() as u64;
        let found = compare::counts(&base, &take(burn)?, limits);
        let Some(finding) = found.into_iter().find(|finding| finding.figure == FIGURE) else {
            continue;
        };
        let trial = CountedTrial {
            planted_percent,
            counted_percent: finding.worse_percent.unwrap_or(f64::NAN),
            answer: finding.answer.as_str().to_owned(),
        };
        console.remark(&format!(
            "planted {planted_percent} % of instructions: {} ({:+.3} %)",
            trial.answer, trial.counted_percent
        ));
        all.push(trial);
    }
    Ok(all)
}
