//! The kill matrix in simulation: for each cell, schedules until its fault has landed.
//!
//! A cell's plan is a drawn one with everything else taken away: its mode, its sink, one fault at
//! its step. What a cell cannot reach is explained ([`Cell::impossible`]); what it should have
//! reached and did not is missed, and fails the command. *Pairs* are two faults in one checkpoint
//! window, or a second one while the job recovers from the first.

use serde::{Deserialize, Serialize};
use stormproof_chaos::fault::{
    CheckpointRef, Fault, FaultAction, FaultId, FaultTarget, FaultTrigger,
};
use stormproof_chaos::matrix::{Cell, Design, Matrix, Outcome, Row, Strike, Tally};
use stormproof_chaos::sim::{self, Plan};
use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::ids::AttemptId;
use stormproof_engine::runtime::CheckpointMode;
use stormproof_engine::seam::Step;

use super::parallel;
use crate::run::Interrupt;
use crate::sim::judge;

/// Schedules that a cell gets to land its fault.
const TRIES: u64 = 60;

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first_seed: u64,
    /// Threads.
    pub jobs: usize,
    /// Schedules for each cell in which the fault lands.
    pub repeats: u64,
    /// One cell in so many.
    pub every: usize,
}

/// Two faults: the second strikes in the window of the same checkpoint, or while the job recovers
/// from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The first fault.
    pub first: Cell,
    /// Where the second strikes.
    pub step: Step,
    /// What strikes there.
    pub strike: Strike,
}

/// What became of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRow {
    /// The pair.
    #[serde(flatten)]
    pub pair: Pair,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Every cell.
    pub cells: Vec<Row>,
    /// Every pair.
    pub pairs: Vec<PairRow>,
    /// How the cells ended.
    pub of_cells: Tally,
    /// How the pairs ended.
    pub of_pairs: Tally,
    /// Schedules that were run.
    pub schedules: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Cells and pairs that nobody came to, because somebody interrupted it: they are not in the
    /// table.
    #[serde(default)]
    pub not_run: u64,
}

/// One thing to land.
#[derive(Clone, Copy, Debug)]
enum Aim {
    Cell(Cell),
    Pair(Pair),
}

impl Campaign {
    /// Runs the matrix; `look` sees how many of how many cells and pairs are done. Once interrupted
    /// it begins nothing more, and the table holds what was reached until then.
    pub fn run(&self, interrupt: &Interrupt, look: &(dyn Fn(usize, usize) + Sync)) -> Table {
        let started = std::time::Instant::now();
        let cells: Vec<Cell> = Cell::all().step_by(self.every.max(1)).collect();
        let pairs: Vec<Pair> = pairs().step_by(self.every.max(1)).collect();
        let aims: Vec<Aim> = cells
            .iter()
            .map(|c| Aim::Cell(*c))
            .chain(pairs.iter().map(|p| Aim::Pair(*p)))
            .collect();
        let all = aims.len();
        let land = |aim: &Aim| (!interrupt.is_raised()).then(|| self.land(*aim));
        let ended = parallel::each(&aims, self.jobs, land, &|done| look(done, all));
        let schedules = ended.iter().flatten().map(|(_, schedules)| schedules).sum();
        let not_run = ended.iter().filter(|ended| ended.is_none()).count() as u64;
        let mut matrix = Matrix::default();
        let mut pair_rows = Vec::new();
        let mut of_pairs = Tally::default();
        for (aim, ended) in aims.iter().zip(ended) {
            let Some((outcome, _)) = ended else { continue };
            match aim {
                Aim::Cell(cell) => matrix.note(*cell, outcome),
                Aim::Pair(pair) => {
                    match &outcome {
                        Outcome::Survived { .. } => of_pairs.survived += 1,
                        Outcome::Convicted { .. } => of_pairs.convicted += 1,
                        Outcome::Missed { .. } | Outcome::Impossible { .. } => of_pairs.missed += 1,
                    }
                    pair_rows.push(PairRow { pair: *pair, outcome });
                }
            }
        }
        Table {
            cells: matrix.rows(),
            pairs: pair_rows,
            of_cells: matrix.tally(None),
            of_pairs,
            schedules,
            seconds: started.elapsed().as_secs_f64(),
            not_run,
        }
    }

    /// Draws plans until the faults have landed `repeats` times.
    fn land(&self, aim: Aim) -> (Outcome, u64) {
        if let Aim::Cell(cell) = aim
            && let Some(reason) = cell.impossible()
        {
            return (Outcome::Impossible { reason: reason.to_owned() }, 0);
        }
        let mut survived = None;
        let (mut landed, mut tries) = (0, 0);
        while tries < TRIES.max(self.repeats) && landed < self.repeats {
            let seed = self.first_seed.wrapping_add(tries);
            tries += 1;
            let plan = plan_of(aim, seed);
            let run = sim::run(&plan, false);
            let judged = judge(&plan, &run);
            if !judged.broken.is_empty() {
                let by = judged.reasons.first().cloned().unwrap_or_default();
                return (Outcome::Convicted { seed, by }, tries);
            }
            let is_landed =
                |index: usize| run.landed.iter().any(|l| !l.is_window && l.index == index);
            if (0..plan.faults.len()).all(is_landed) {
                landed += 1;
                survived = survived.or(Some(Outcome::Survived { seed, tries }));
            }
        }
        let missed = || Outcome::Missed { reason: format!("it did not land in {tries} schedules") };
        (survived.unwrap_or_else(missed), tries)
    }
}

/// Every pair: something that delays and then something that kills, in one checkpoint's window;
/// and something that kills, then trouble in the recovery.
fn pairs() -> impl Iterator<Item = Pair> {
    let kills = |strike| matches!(strike, Strike::Panic | Strike::Sigkill);
    Cell::all()
        .filter(|cell| cell.impossible().is_none())
        .flat_map(move |first| {
            let is_recovery = |step: &Step| *step >= Step::RestoreBegun;
            let window = Step::ALL.iter().filter(move |step| {
                !kills(first.strike)
                    && first.strike != Strike::TornWrite
                    && step.is_mid_checkpoint()
                    && first.step.is_mid_checkpoint()
                    && **step > first.step
            });
            let recovery = Step::ALL.iter().filter(move |step| {
                kills(first.strike) && is_recovery(step) && !is_recovery(&first.step)
            });
            let strikes = [Strike::Panic, Strike::Sigkill];
            window
                .chain(recovery)
                .flat_map(move |step| strikes.map(|strike| Pair { first, step: *step, strike }))
        })
        .filter(|pair| {
            Cell { step: pair.step, strike: pair.strike, ..pair.first }.impossible().is_none()
        })
}

/// A drawn plan, reduced to what the aim is about.
fn plan_of(aim: Aim, seed: u64) -> Plan {
    let cell = match aim {
        Aim::Cell(cell) => cell,
        Aim::Pair(pair) => pair.first,
    };
    let mut plan = Plan::draw_sized(seed, 1 + (seed % 3) as u16);
    plan.checkpoint.mode = cell.mode;
    if cell.mode == CheckpointMode::AtLeastOnce {
        // Held records may be in two cuts there (`Topology::hold_us`): nothing could explain them.
        plan.topology.hold_us = 0;
    }
    plan.checkpoint.timeout_ms = 10_000;
    plan.checkpoint.tolerable_failures = 100;
    plan.checkpoint.alignment_timeout_ms = None;
    plan.checkpoint.interval_ms = plan.checkpoint.interval_ms.min(10);
    plan.topology.parallelism.truncate(1);
    (plan.topology.later_workers, plan.sink.later_design) = (None, None);
    plan.sink.versions_guarded = true;
    plan.max_restarts = 1000;
    plan.growing_pause = None;
    plan.load.over_us = plan.load.over_us.max(60_000);
    plan.safety_us = plan.load.over_us + 200_000;
    plan.services.rots_per_mille = 0;
    plan.services.torn_per_mille = if cell.strike == Strike::TornWrite { 1000 } else { 0 };
    plan.windows = Vec::new();
    plan.truncations = Vec::new();
    set_design(&mut plan, cell.design);
    let is_recovery = cell.step >= Step::RestoreBegun;
    plan.faults = Vec::new();
    if is_recovery {
        // Nothing is restored before something has failed.
        plan.faults.push(fault(0, Strike::Panic, Step::Acked, None));
    }
    let after = is_recovery.then_some(AttemptId(2));
    plan.faults.push(fault(plan.faults.len(), cell.strike, cell.step, after));
    if let Aim::Pair(pair) = aim {
        let after = (pair.step >= Step::RestoreBegun).then_some(AttemptId(2));
        plan.faults.push(fault(plan.faults.len(), pair.strike, pair.step, after));
    }
    plan
}

fn set_design(plan: &mut Plan, design: Design) {
    // It outlives whatever a cell does.
    plan.sink.transactional_us = (design == Design::Transactional).then_some(u64::MAX / 4);
    plan.sink.design = match design {
        Design::FlushOnBarrier => BufferDesign::FlushOnBarrier,
        Design::BufferInState | Design::Transactional => BufferDesign::BufferInState,
    };
}

fn fault(index: usize, strike: Strike, step: Step, attempt: Option<AttemptId>) -> Fault {
    let action = match strike {
        Strike::Panic => FaultAction::Panic,
        Strike::Sigkill | Strike::TornWrite => FaultAction::Sigkill,
        Strike::Pause => FaultAction::Pause { ms: 20 },
        Strike::Stall => FaultAction::Stall { ms: 20 },
        Strike::Error => FaultAction::Error,
    };
    // The second checkpoint: then a restore has the first one to fall back on.
    let nth = if step.is_mid_checkpoint() { 2 } else { 1 };
    Fault {
        id: FaultId(index as u32 + 1),
        action,
        target: FaultTarget::AnySubtask,
        when: FaultTrigger::AtStep {
            step,
            checkpoint: CheckpointRef::Nth(nth),
            attempt,
            armed_at_ms: 0,
        },
        heal_after_ms: 0,
    }
}
