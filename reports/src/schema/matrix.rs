//! The kill matrix: every named step, action, mode and sink design, and what became of each.
//!
//! Invariant: a cell that cannot be reached says why; it never counts as survived. The cells come
//! from simulated schedules, not from the run that they may stand beside.

use serde::{Deserialize, Serialize};

use super::number;

/// The matrix, cell by cell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MatrixSummary {
    /// Every cell, step by step.
    pub cells: Vec<MatrixCell>,
    /// Simulated schedules that were run for it.
    pub schedules: u64,
    /// Wall-clock time that it took.
    #[serde(deserialize_with = "number::or_nan")]
    pub seconds: f64,
    /// Pairs of faults that the job survived.
    #[serde(default)]
    pub pairs_survived: u64,
    /// Pairs of faults after which it was convicted.
    #[serde(default)]
    pub pairs_convicted: u64,
    /// Pairs of faults that did not land.
    #[serde(default)]
    pub pairs_missed: u64,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MatrixCell {
    /// The named step.
    pub step: String,
    /// What struck there.
    pub action: String,
    /// The checkpoint mode.
    pub mode: String,
    /// How the sink met a barrier.
    pub design: String,
    /// What became of it.
    pub outcome: MatrixOutcome,
    /// The seed of the schedule that shows it; `None` when nothing was run.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Why it could not be reached, or what convicted it.
    #[serde(default)]
    pub why: String,
}

/// What became of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatrixOutcome {
    /// The fault landed, and everything held.
    Survived,
    /// The fault landed, and something was broken.
    Convicted,
    /// There is no such step or action in this kind of job.
    Impossible,
    /// It should have been reached and was not.
    #[default]
    Missed,
}

impl MatrixOutcome {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survived => "survived",
            Self::Convicted => "convicted",
            Self::Impossible => "impossible",
            Self::Missed => "missed",
        }
    }
}
