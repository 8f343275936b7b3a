//! The kill matrix: every named step, every action, every checkpoint mode, every sink design.
//!
//! A cell is one fault at one step in one kind of job. This room lists the cells, says of those
//! that cannot be why, and keeps the table of what became of the others. It runs nothing: the
//! harness does, in simulation all of them, on real services a sample.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use stormproof_engine::runtime::CheckpointMode;
use stormproof_engine::seam::Step;

/// What strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strike {
    /// One subtask panics.
    Panic,
    /// The process dies.
    Sigkill,
    /// The process stops for a while.
    Pause,
    /// One subtask stops for a while.
    Stall,
    /// The step fails.
    Error,
    /// A write under way is cut off, and the process dies.
    TornWrite,
}

/// How the sink meets a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Design {
    /// The buffer is list state.
    BufferInState,
    /// The buffer is flushed before the snapshot.
    FlushOnBarrier,
    /// Effects become visible when their checkpoint completes.
    Transactional,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// The step.
    pub step: Step,
    /// What strikes at it.
    pub strike: Strike,
    /// The job's mode.
    pub mode: CheckpointMode,
    /// The job's sink.
    pub design: Design,
}

impl Strike {
    /// Every action.
    pub const ALL: [Self; 6] =
        [Self::Panic, Self::Sigkill, Self::Pause, Self::Stall, Self::Error, Self::TornWrite];

    /// The action's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Sigkill => "sigkill",
            Self::Pause => "pause",
            Self::Stall => "stall",
            Self::Error => "error",
            Self::TornWrite => "torn-write",
        }
    }
}

impl Design {
    /// Every design.
    pub const ALL: [Self; 3] = [Self::BufferInState, Self::FlushOnBarrier, Self::Transactional];

    /// The design's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BufferInState => "buffer-in-state",
            Self::FlushOnBarrier => "flush-on-barrier",
            Self::Transactional => "transactional",
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, strike, mode, design } = self;
        write!(f, "{} at {step} ({}, {})", strike.name(), mode.name(), design.name())
    }
}

impl Cell {
    /// Every cell, step by step.
    pub fn all() -> impl Iterator<Item = Self> {
        Step::ALL.iter().flat_map(|step| {
            Strike::ALL.into_iter().flat_map(move |strike| {
                CheckpointMode::ALL.into_iter().flat_map(move |mode| {
                    Design::ALL.map(|design| Self { step: *step, strike, mode, design })
                })
            })
        })
    }

    /// Why the cell cannot be reached, if it cannot: the step or the action does not exist there.
    pub fn impossible(&self) -> Option<&'static str> {
        let is_transaction = matches!(
            self.step,
            Step::TransactionPreCommit
                | Step::TransactionCommitSent
                | Step::TransactionCommitConfirmed
        );
        let is_flush = matches!(
            self.step,
            Step::SinkFlushBegun | Step::SinkFlushSent | Step::SinkFlushConfirmed
        );
        let captures = matches!(
            self.mode,
            CheckpointMode::ExactlyOnceUnaligned | CheckpointMode::AtLeastOnceFirstBarrier
        );
        match self.step {
            _ if is_transaction && self.design != Design::Transactional => {
                Some("this sink has no transactions of its own")
            }
            _ if is_flush && self.design == Design::Transactional => {
                Some("this sink writes into its open transaction: nothing is flushed")
            }
            Step::Aligning if self.mode != CheckpointMode::ExactlyOnce => {
                Some("this mode holds no channel")
            }
            Step::Aligned if captures => Some("this mode snapshots before the last barrier"),
            step if self.strike == Strike::TornWrite && !is_written_at(step) => {
                Some("nothing is being written at this step")
            }
            step if self.strike == Strike::Stall && !belongs_to_a_subtask(step) => {
                Some("the step is the coordinator's: there is no subtask to stall")
            }
            _ => None,
        }
    }
}

/// Whether a file is under way while the step is passed.
fn is_written_at(step: Step) -> bool {
    matches!(step, Step::Upload | Step::Acked | Step::AllAcked)
}

fn belongs_to_a_subtask(step: Step) -> bool {
    !matches!(
        step,
        Step::AllAcked
            | Step::MetadataDurable
            | Step::RestoreBegun
            | Step::StateRead
            | Step::RestoreDone
    )
}

/// What became of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The fault landed and the run was proven.
    Survived {
        /// The seed of the run.
        seed: u64,
        /// Schedules that were needed until the fault landed.
        tries: u64,
    },
    /// The fault landed and the run was convicted.
    Convicted {
        /// The seed of the run.
        seed: u64,
        /// The rule, and what it says.
        by: String,
    },
    /// The fault never landed.
    Missed {
        /// Why, as far as it is known.
        reason: String,
    },
    /// The fault cannot land there: that is known beforehand.
    Impossible {
        /// Why.
        reason: String,
    },
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    cells: BTreeMap<Cell, Outcome>,
}

/// One line of the table, as JSON has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How many cells ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Fault landed, run proven.
    pub survived: u64,
    /// Fault landed, run convicted.
    pub convicted: u64,
    /// Cannot be reached, for a reason that is known beforehand.
    pub impossible: u64,
    /// Should have been reached and was not.
    pub missed: u64,
}

impl Matrix {
    /// Notes what became of a cell. The first conviction stays.
    pub fn note(&mut self, cell: Cell, outcome: Outcome) {
        let is_convicted = matches!(self.cells.get(&cell), Some(Outcome::Convicted { .. }));
        if !is_convicted {
            self.cells.insert(cell, outcome);
        }
    }

    /// Every cell that was noted.
    pub fn rows(&self) -> Vec<Row> {
        let row =
            |(cell, outcome): (&Cell, &Outcome)| Row { cell: *cell, outcome: outcome.clone() };
        self.cells.iter().map(row).collect()
    }

    /// Counts all cells, or those of one step and action.
    pub fn tally(&self, of: Option<(Step, Strike)>) -> Tally {
        let mut tally = Tally::default();
        for (cell, outcome) in &self.cells {
            if of.is_some_and(|of| of != (cell.step, cell.strike)) {
                continue;
            }
            match outcome {
                Outcome::Survived { .. } => tally.survived += 1,
                Outcome::Convicted { .. } => tally.convicted += 1,
                Outcome::Impossible { .. } => tally.impossible += 1,
                Outcome::Missed { .. } => tally.missed += 1,
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_listed_once_and_every_step_can_be_struck() {
        let cells: Vec<Cell> = Cell::all().collect();
        assert_eq!(cells.len(), Step::ALL.len() * 6 * 4 * 3);
        for step in Step::ALL {
            let possible = cells.iter().filter(|c| c.step == *step && c.impossible().is_none());
            assert!(possible.count() >= 4, "{step}");
        }
    }

    #[test]
    fn a_conviction_is_not_overwritten_and_the_impossible_is_not_missed() {
        let cell = |step, strike| Cell {
            step,
            strike,
            mode: CheckpointMode::AtLeastOnce,
            design: Design::BufferInState,
        };
        let mut matrix = Matrix::default();
        let (struck, never) =
            (cell(Step::Acked, Strike::Panic), cell(Step::Aligning, Strike::Panic));
        matrix.note(struck, Outcome::Convicted { seed: 7, by: "no-loss".to_owned() });
        matrix.note(struck, Outcome::Survived { seed: 8, tries: 1 });
        matrix.note(never, Outcome::Impossible { reason: String::new() });
        let expected = Tally { convicted: 1, impossible: 1, ..Tally::default() };
        assert_eq!(matrix.tally(None), expected);
        assert_eq!(matrix.tally(Some((Step::Acked, Strike::Panic))).convicted, 1);
        let json = serde_json::to_string(&matrix.rows()).expect("rows are plain data");
        let back: Vec<Row> = serde_json::from_str(&json).expect("what was written is read");
        assert_eq!(back, matrix.rows());
    }
}
