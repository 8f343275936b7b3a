//! The kill matrix on real services: one run for each mode, sink design and action, with a fault at
//! one step after the other, each in a checkpoint of its own.
//!
//! The engine is a process, its faults are real. The verdict is the run's: a cell has survived when
//! its fault was seen to land and no rule was broken. What did not land is tried once more, alone;
//! then it is missed, with the run's own reason. Nothing is drawn: the list of cells is the schedule.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use stormproof_chaos::matrix::{Cell, Design, Matrix, Outcome, Strike, Tally};
use stormproof_engine::runtime::CheckpointMode;
use stormproof_engine::seam::Step;
use stormproof_reports::schema::{RunResult, Verdict};

use super::matrix::Table;
use crate::error::Result;
use crate::output::Console;
use crate::run::{Interrupt, RunOptions, run};
use crate::scenario::{Overrides, parse, validate};

/// From one fault to the next, in milliseconds: a restart and two checkpoints.
const SPACING_MS: u64 = 1_200;
/// Before the first fault, in milliseconds: there is a checkpoint to fall back on.
const LEAD_MS: u64 = 1_500;
/// Between two checkpoints, in milliseconds.
const INTERVAL_MS: u64 = 250;
/// Records that arrive in a second.
const RATE_PER_S: u64 = 4_000;
/// How long a process or a subtask stands still, in milliseconds.
const STILL_MS: u64 = 150;

/// What to run.
#[derive(Clone, Debug)]
pub struct Siege {
    /// Where the services are.
    pub overrides: Overrides,
    /// Subtasks of each vertex.
    pub parallelism: u16,
    /// One cell in so many.
    pub every: usize,
    /// Faults of one run, at most.
    pub faults_per_run: usize,
    /// Where the runs' folders are kept.
    pub out: PathBuf,
}

/// Why a cell does not exist on real services, beyond what holds everywhere.
fn impossible(cell: &Cell) -> Option<&'static str> {
    match (cell.design, cell.strike) {
        (Design::Transactional, _) => Some("the SQL sink of a run has no transactions of its own"),
        (_, Strike::TornWrite) => Some(
            "writes are atomic here; a torn checkpoint is a fault of the disk at a moment: \
             action = \"torn-checkpoint\"",
        ),
        _ => cell.impossible(),
    }
}

impl Siege {
    /// Runs it; `look` hears of each run before it begins. There are no pairs of faults in the
    /// table, and its schedules are runs. Once interrupted it begins no other run, and the table
    /// holds what was reached until then.
    ///
    /// # Errors
    /// When a run cannot begin.
    pub fn run(&self, interrupt: &Interrupt, look: &dyn Fn(&str)) -> Result<Table> {
        let started = Instant::now();
        let mut matrix = Matrix::default();
        let mut runs = 0;
        let chosen: Vec<Cell> = Cell::all().step_by(self.every.max(1)).collect();
        for cell in &chosen {
            if let Some(reason) = impossible(cell) {
                matrix.note(*cell, Outcome::Impossible { reason: reason.to_owned() });
            }
        }
        for group in groups(&chosen, self.faults_per_run.max(1)) {
            if interrupt.is_raised() {
                break;
            }
            let mut missed = self.one(&group, &mut runs, &mut matrix, interrupt, look)?;
            // By itself a fault has all the time there is.
            while let Some(cell) = missed.pop().filter(|_| !interrupt.is_raised()) {
                self.one(&[cell], &mut runs, &mut matrix, interrupt, look)?;
            }
        }
        let cells = matrix.rows();
        Ok(Table {
            not_run: (chosen.len() - cells.len()) as u64,
            cells,
            of_cells: matrix.tally(None),
            pairs: Vec::new(),
            of_pairs: Tally::default(),
            schedules: runs,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// One run; returns the cells whose fault did not land.
    fn one(
        &self,
        cells: &[Cell],
        runs: &mut u64,
        matrix: &mut Matrix,
        interrupt: &Interrupt,
        look: &dyn Fn(&str),
    ) -> Result<Vec<Cell>> {
        *runs += 1;
        let first = cells[0];
        look(&format!(
            "run {runs}: {} at {} steps ({}, {})",
            first.strike.name(),
            cells.len(),
            first.mode.name(),
            first.design.name()
        ));
        let mut raw = parse(&scenario(cells, self.parallelism, *runs), "the matrix")?;
        raw.override_with(&self.overrides);
        let options = RunOptions {
            out: Some(self.out.join(format!("run-{runs:03}"))),
            console: Console { quiet: true, json: false },
            schedule: None,
            beside_bare: false,
        };
        match run(&validate(raw)?, &options, interrupt) {
            // What was cut short says nothing of its cells.
            _ if interrupt.is_raised() => Ok(Vec::new()),
            Ok((result, _)) => Ok(note(cells, &result, *runs, matrix)),
            Err(error) => Err(error),
        }
    }
}

/// Cells of the same job and action, in the order of steps, so many at a time.
fn groups(cells: &[Cell], most: usize) -> Vec<Vec<Cell>> {
    let mut groups = Vec::new();
    for mode in CheckpointMode::ALL {
        for design in Design::ALL {
            for strike in Strike::ALL {
                let of =
                    |cell: &&Cell| (cell.mode, cell.design, cell.strike) == (mode, design, strike);
                let own = cells.iter().filter(of).filter(|cell| impossible(cell).is_none());
                let own: Vec<Cell> = own.copied().collect();
                groups.extend(own.chunks(most).map(<[Cell]>::to_vec));
            }
        }
    }
    groups
}

/// What a run says of its cells. The n-th fault is the n-th cell's; faults that only prepare the
/// ground come after all of them.
fn note(cells: &[Cell], result: &RunResult, seed: u64, matrix: &mut Matrix) -> Vec<Cell> {
    let violated = result.checks.iter().find(|check| check.verdict == Verdict::Violated);
    let mut missed = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        let fault = result.faults.iter().find(|fault| fault.id == format!("fault-{}", at + 1));
        let outcome = match (fault, violated) {
            (Some(fault), Some(check)) if fault.landed => {
                let by = format!("{}: {}", check.id, check.summary);
                Outcome::Convicted { seed, by }
            }
            (Some(fault), None) if fault.landed && is_over(result) => {
                Outcome::Survived { seed, tries: 1 }
            }
            (Some(fault), _) if !fault.landed => Outcome::Missed { reason: fault.effect.clone() },
            _ => Outcome::Missed { reason: result.verdict_reason.clone() },
        };
        if matches!(outcome, Outcome::Missed { .. }) {
            missed.push(*cell);
        }
        matrix.note(*cell, outcome);
    }
    missed
}

/// Whether the run was drained and every check answered: a fault that missed is no flaw of others.
fn is_over(result: &RunResult) -> bool {
    let mut checks = result.checks.iter().filter(|check| check.id != "vacuity");
    result.lost == Some(0) && checks.all(|check| check.verdict == Verdict::Proven)
}

/// The scenario of a run.
fn scenario(cells: &[Cell], parallelism: u16, seed: u64) -> String {
    let duration_ms = LEAD_MS + SPACING_MS * (cells.len() as u64 + 2);
    let design = match cells[0].design {
        Design::FlushOnBarrier => "flush-on-barrier",
        Design::BufferInState | Design::Transactional => "buffer-in-state",
    };
    let mut text = format!(
        "name = \"kill matrix\"\nseed = {seed}\n[load]\nrecords = {}\nrate_per_s = {RATE_PER_S}\n\
         partitions = {parallelism}\n[job]\nparallelism = {parallelism}\nbatch_interval_ms = 50\n\
         sink_design = \"{design}\"\n[checkpoint]\nmode = \"{}\"\ninterval_ms = {INTERVAL_MS}\n\
         tolerable_failures = 100\n",
        RATE_PER_S * duration_ms / 1_000,
        cells[0].mode.name(),
    );
    let mut ground = String::new();
    for (at, cell) in cells.iter().enumerate() {
        let at_ms = LEAD_MS + SPACING_MS * at as u64;
        fault(&mut text, action(cell.strike), Some(cell.step), at_ms);
        if cell.step >= Step::RestoreBegun {
            // Nothing is restored before something has failed.
            fault(&mut ground, "\"sigkill\"", None, at_ms + 100);
        }
    }
    text + &ground
}

fn action(strike: Strike) -> &'static str {
    match strike {
        Strike::Panic => "\"panic\"",
        Strike::Sigkill | Strike::TornWrite => "\"sigkill\"",
        Strike::Pause => "{ pause = { ms = STILL } }",
        Strike::Stall => "{ stall = { ms = STILL } }",
        Strike::Error => "\"error\"",
    }
}

fn fault(text: &mut String, action: &str, step: Option<Step>, at_ms: u64) {
    let action = action.replace("STILL", &STILL_MS.to_string());
    let when = match step {
        Some(step) => format!("{{ at_step = {{ step = \"{step}\", armed_at_ms = {at_ms} }} }}"),
        None => format!("{{ at_ms = {at_ms} }}"),
    };
    write!(text, "[[faults.schedule]]\naction = {action}\nwhen = {when}\n")
        .expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_in_one_group_or_explained_and_every_scenario_is_valid() {
        let cells: Vec<Cell> = Cell::all().collect();
        let groups = groups(&cells, 6);
        let reached: usize = groups.iter().map(Vec::len).sum();
        let explained = cells.iter().filter(|cell| impossible(cell).is_some()).count();
        assert_eq!(reached + explained, cells.len());
        assert!(reached > 400, "{reached}");
        for group in groups {
            assert!(group.len() <= 6);
            let text = scenario(&group, 4, 1);
            let raw = parse(&text, "the matrix").unwrap_or_else(|error| panic!("{text}\n{error}"));
            let schedule = validate(raw).and_then(|scenario| scenario.schedule());
            let faults = schedule.unwrap_or_else(|error| panic!("{text}\n{error}")).faults;
            assert!(faults.len() >= group.len());
        }
    }
}
