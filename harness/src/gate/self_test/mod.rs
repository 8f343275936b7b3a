//! The gate tried on itself: slowdowns that are really planted, and pairs of the same binary.
//!
//! *Follow a plant:* [`calibrate`] finds how many idle iterations cost a percent -> the measured
//! job wastes them in its sink, record by record -> the very gate that judges changes judges it.
//! Real trials are few, since each takes pairs of runs; rates come from [`mod@rates`]: the pairs of a
//! long A/A series, drawn again and again, moved by the size of the plant.
//!
//! Invariants: plants are asked for by an option of `stormproof measure`, which no run knows; every
//! raw pair is kept in the report, so that the rates can be computed again.

mod counted;
pub mod rates;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::binary::Binary;
use super::build::Build;
use super::config::Thresholds;
use super::interval::trimmed_mean;
use super::measure::Figures;
use super::wall::{self, Side};
use crate::clock::Utc;
use crate::error::{Result, evidence};
use crate::output::Console;
pub use counted::CountedTrial;
use rates::{Rate, rates};

/// The planted slowdowns, in percent; 0 = A/A.
pub const PLANTS: [f64; 4] = [0.0, 2.0, 5.0, 10.0];

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// A/A pairs whose noise the rates are drawn from.
    pub pairs: usize,
    /// Real trials of each plant.
    pub trials: usize,
    /// Drawn trials of each plant.
    pub draws: usize,
}

/// A real trial of one figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RealTrial {
    /// The figure.
    pub figure: String,
    /// The plant, in percent of the processor time of a record.
    pub planted_percent: f64,
    /// What the gate said: `pass`, `regression`, `no verdict`.
    pub answer: String,
    /// What it measured, in percent.
    pub measured_percent: f64,
    /// Its interval.
    pub interval_percent: (f64, f64),
    /// Pairs of both rounds.
    pub pairs: usize,
}

/// Everything that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// When, RFC 3339.
    pub at: String,
    /// The build and the host.
    pub build: Build,
    /// Processor and cores.
    pub machine: String,
    /// The smallest slowdown that mattered, in percent.
    pub worse_percent: f64,
    /// Records of a measurement.
    pub records: u64,
    /// Processor time of a record and of an idle iteration, in nanoseconds.
    pub calibration_ns: (f64, f64),
    /// The logarithms of the A/A pairs, by figure.
    pub noise: BTreeMap<String, Vec<f64>>,
    /// Rates of answers to drawn trials.
    pub rates: Vec<Rate>,
    /// Answers to real ones.
    pub real: Vec<RealTrial>,
    /// Instruction counts of real plants.
    pub counted: Vec<CountedTrial>,
}

/// Tries the gate on `binary`.
///
/// # Errors
/// When it cannot be measured.
pub fn run(
    binary: &Binary,
    thresholds: &Thresholds,
    effort: Effort,
    machine: String,
    console: Console,
) -> Result<SelfTest> {
    let limits = &thresholds.wall;
    let mut measure = |burn| binary.times(limits, burn);
    let (record_ns, iteration_ns) = calibrate(&mut measure)?;
    console.remark(&format!(
        "a record costs {record_ns:.1} ns, an idle iteration {iteration_ns:.2} ns of processor time"
    ));
    let burn = |percent: f64| (percent / 100.0 * record_ns / iteration_ns * 1000.0).round() as u64;
    let noise = noise(&mut measure, effort.pairs, console)?;
    let mut real = Vec::new();
    for planted_percent in PLANTS {
        for n in 0..effort.trials {
            let trials = one(thresholds, &mut measure, burn(planted_percent), planted_percent)?;
            for trial in &trials {
                console.remark(&format!(
                    "planted {planted_percent} %, trial {n}: {}: {} ({:+.1} % in {} pairs)",
                    trial.figure, trial.answer, trial.measured_percent, trial.pairs
                ));
            }
            real.extend(trials);
        }
    }
    let build = binary.build()?;
    let counted = match build.valgrind.is_empty() {
        true => Vec::new(),
        false => counted::trials(binary, &thresholds.counts, console)?,
    };
    Ok(SelfTest {
        at: Utc::now().rfc3339(),
        build,
        machine,
        worse_percent: limits.worse_percent,
        records: limits.records,
        calibration_ns: (record_ns, iteration_ns),
        rates: rates(&noise, limits.rule(), effort.draws),
        noise,
        real,
        counted,
    })
}

/// Processor time of a record, and of one idle iteration.
fn calibrate(measure: &mut dyn FnMut(u64) -> Result<Figures>) -> Result<(f64, f64)> {
    /// Iterations for a thousand records: about as much as a record costs.
    const PLANT: u64 = 20_000;
    let mut cost = |burn: u64| -> Result<f64> {
        let mut all = Vec::new();
        for _ in 0..5 {
            let figures = measure(burn)?;
            all.push(*figures.get("cpu_ns_per_record").ok_or_else(|| {
                evidence("the self-test needs the figure cpu_ns_per_record")
                    .at("wall.arguments")
                    .remedy("leave wall.arguments empty for the self-test")
            })?);
        }
        Ok(trimmed_mean(&all))
    };
    let (plain, planted) = (cost(0)?, cost(PLANT)?);
    let iteration_ns = (planted - plain) / (PLANT as f64 / 1000.0);
    if iteration_ns <= 0.0 {
        return Err(evidence("planted work costs nothing that can be measured here")
            .at("stormproof measure rate --burn")
            .remedy("raise wall.records, or quiet the machine"));
    }
    Ok((plain, iteration_ns))
}

/// A long A/A series.
fn noise(
    measure: &mut dyn FnMut(u64) -> Result<Figures>,
    pairs: usize,
    console: Console,
) -> Result<BTreeMap<String, Vec<f64>>> {
    let mut noise: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    console.remark(&format!("{pairs} pairs of the same binary"));
    for n in 0..pairs {
        // As in a comparison, who comes first alternates.
        let (one, other) = (measure(0)?, measure(0)?);
        let (base, head) = if n % 2 == 0 { (one, other) } else { (other, one) };
        for (name, value) in &base {
            if let Some(other) = head.get(name) {
                let log = wall::log_worse(name, *value, *other);
                noise.entry(name.clone()).or_default().push(log);
            }
        }
    }
    Ok(noise)
}

/// One real comparison.
fn one(
    thresholds: &Thresholds,
    measure: &mut dyn FnMut(u64) -> Result<Figures>,
    burn: u64,
    planted_percent: f64,
) -> Result<Vec<RealTrial>> {
    let mut side = |side| measure(if side == Side::Head { burn } else { 0 });
    let all = wall::compare(thresholds.wall.rule(), &mut side, &mut |_, _| ())?;
    let found = wall::findings(&thresholds.wall, &all);
    let trial = |finding: &stormproof_reports::gate::Finding| RealTrial {
        figure: finding.figure.clone(),
        planted_percent,
        answer: finding.answer.as_str().to_owned(),
        measured_percent: finding.worse_percent.unwrap_or(f64::NAN),
        interval_percent: finding.interval_percent.unwrap_or((f64::NAN, f64::NAN)),
        pairs: all[&finding.figure].trial.pairs(),
    };
    Ok(found.iter().map(trial).collect())
}

impl SelfTest {
    /// The report in a few lines.
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{}, {}: a slowdown of {} % matters",
            self.machine, self.build.compiler, self.worse_percent
        )];
        for rate in &self.rates {
            lines.push(format!(
                "  {:<20} planted {:>4.1} %: {:>5.1} % regression, {:>5.1} % pass, {:>5.1} % no \
                 verdict, {:.0} pairs ({} draws)",
                rate.figure,
                rate.planted_percent,
                rate.regression * 100.0,
                rate.pass * 100.0,
                rate.no_verdict * 100.0,
                rate.mean_pairs,
                rate.draws
            ));
        }
        for trial in &self.real {
            lines.push(format!(
                "  {:<20} planted {:>4.1} %: really {} ({:+.2} % [{:+.2}, {:+.2}], {} pairs)",
                trial.figure,
                trial.planted_percent,
                trial.answer,
                trial.measured_percent,
                trial.interval_percent.0,
                trial.interval_percent.1,
                trial.pairs
            ));
        }
        for trial in &self.counted {
            lines.push(format!(
                "  {:<20} planted {:>4.1} %: counted {} ({:+.3} %)",
                "instructions", trial.planted_percent, trial.answer, trial.counted_percent
            ));
        }
        lines.join("\n")
    }

    /// The largest share of false alarms over all figures, drawn and real.
    pub fn false_alarms(&self) -> f64 {
        let drawn = self.rates.iter().filter(|rate| rate.planted_percent == 0.0);
        drawn.map(|rate| rate.regression).fold(0.0, f64::max)
    }

    /// The best share of detection of the largest plant.
    pub fn detection(&self) -> f64 {
        let largest = PLANTS[PLANTS.len() - 1];
        let drawn = self.rates.iter().filter(|rate| rate.planted_percent == largest);
        drawn.map(|rate| rate.regression).fold(0.0, f64::max)
    }
}
