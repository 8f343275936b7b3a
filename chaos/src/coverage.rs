//! Coverage: which step was struck by which action, how often it was planned, how often it landed.
//!
//! It counts what it is told; whether a fault landed is decided by whoever observed the effect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stormproof_engine::seam::Step;

use crate::fault::Fault;

/// Where a fault strikes, as a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A named step.
    At(Step),
    /// No step: a moment or a count of records.
    AnyMoment,
}

impl Place {
    /// The row's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::At(step) => step.name(),
            Self::AnyMoment => "any moment",
        }
    }
}

/// One cell with its coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageRow {
    /// The step's name, or "any moment".
    pub place: String,
    /// The action's name.
    pub action: String,
    /// Faults in the schedule.
    pub scheduled: u64,
    /// Faults whose effect was observed.
    pub landed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    scheduled: u64,
    landed: u64,
}

/// The table of steps and actions.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    cells: BTreeMap<(Place, &'static str), Cell>,
}

impl Coverage {
    /// The table of faults with whether each of them landed.
    pub fn of<'a>(faults: impl IntoIterator<Item = (&'a Fault, bool)>) -> Self {
        let mut coverage = Self::default();
        for (fault, landed) in faults {
            let place = fault.step().map_or(Place::AnyMoment, Place::At);
            let cell = coverage.cells.entry((place, fault.action.name())).or_default();
            cell.scheduled += 1;
            cell.landed += u64::from(landed);
            assert!(cell.landed <= cell.scheduled, "a fault lands once");
        }
        coverage
    }

    /// The cells that have a fault, in the order of the steps.
    pub fn rows(&self) -> Vec<CoverageRow> {
        let row = |(&(place, action), cell): (&(Place, &'static str), &Cell)| CoverageRow {
            place: place.name().to_owned(),
            action: action.to_owned(),
            scheduled: cell.scheduled,
            landed: cell.landed,
        };
        self.cells.iter().map(row).collect()
    }
}
