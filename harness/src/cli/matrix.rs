//! `stormproof matrix`: every step, action, mode and sink design, in simulation.

use std::path::PathBuf;

use clap::Args;
use stormproof_chaos::matrix::{Matrix, Outcome, Strike};
use stormproof_engine::seam::Step;

use super::args::OutputArgs;
use crate::error::{Result, folder};
use crate::output::Console;
use crate::proof::matrix::{Campaign, Table};
use crate::proof::parallel_cores;

/// What `matrix` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct MatrixArgs {
    /// Schedules for each cell in which its fault lands.
    #[arg(long, default_value_t = 3)]
    repeats: u64,
    /// Only one cell, and one pair, in so many.
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first_seed: u64,
    /// Threads [default: one for each core].
    #[arg(long)]
    jobs: Option<usize>,
    /// Where the whole table is written, as JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl MatrixArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

/// Runs the matrix; returns the exit code: 0 every cell reached or explained and survived, 1 a
/// conviction, 2 a cell that was not reached for no known reason.
pub(super) fn matrix(args: &MatrixArgs) -> Result<u8> {
    let console = args.console();
    let campaign = Campaign {
        first_seed: args.first_seed,
        jobs: args.jobs.unwrap_or_else(parallel_cores),
        repeats: args.repeats.max(1),
        every: args.every.max(1),
    };
    let table = campaign.run(&|done, all| console.remark(&format!("{done} of {all} cells")));
    let json = serde_json::to_string_pretty(&table).expect("a table is plain data");
    if let Some(file) = &args.out {
        std::fs::write(file, &json).map_err(|error| {
            folder(format!("cannot write the table: {error}"))
                .at(file.display().to_string())
                .remedy("name a file that can be written")
        })?;
    }
    if console.json {
        console.result(&json);
    } else {
        show(console, &table);
    }
    Ok(match (table.of_cells, table.of_pairs) {
        (cells, pairs) if cells.convicted + pairs.convicted > 0 => 1,
        (cells, pairs) if cells.missed + pairs.missed > 0 => super::UNKNOWN,
        _ => 0,
    })
}

fn show(console: Console, table: &Table) {
    let mut matrix = Matrix::default();
    table.cells.iter().for_each(|row| matrix.note(row.cell, row.outcome.clone()));
    let heads: Vec<String> = Strike::ALL.iter().map(|s| format!("{:>11}", s.name())).collect();
    console.result(&format!("{:<29}{}", "step", heads.concat()));
    for step in Step::ALL {
        let cells: Vec<String> =
            Strike::ALL.iter().map(|strike| cell(&matrix, *step, *strike)).collect();
        console.result(&format!("{:<29}{}", step.name(), cells.concat()));
    }
    console.result("\nsurvived/cells, - not possible, ! convicted, ? not reached");
    let (cells, pairs) = (table.of_cells, table.of_pairs);
    console.result(&format!(
        "{} cells survived, {} convicted, {} not possible, {} not reached; of pairs of faults {} \
         survived, {} convicted, {} not reached; {} schedules in {:.1} s",
        cells.survived,
        cells.convicted,
        cells.impossible,
        cells.missed,
        pairs.survived,
        pairs.convicted,
        pairs.missed,
        table.schedules,
        table.seconds
    ));
    let cells = table.cells.iter().filter(|row| row.cell.impossible().is_none());
    let cells = cells.map(|row| (row.cell.to_string(), &row.outcome));
    let pairs = table.pairs.iter().map(|row| {
        let pair = &row.pair;
        (format!("{}, then {} at {}", pair.first, pair.strike.name(), pair.step), &row.outcome)
    });
    for (name, outcome) in cells.chain(pairs).filter(|(_, o)| is_trouble(o)).take(40) {
        console.result(&match outcome {
            Outcome::Convicted { seed, by } => format!("convicted: {name}, seed {seed}: {by}"),
            Outcome::Missed { reason } => format!("not reached: {name}: {reason}"),
            Outcome::Survived { .. } => unreachable!("that is no trouble"),
        });
    }
}

fn is_trouble(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Survived { .. })
}

fn cell(matrix: &Matrix, step: Step, strike: Strike) -> String {
    let tally = matrix.tally(Some((step, strike)));
    let possible = tally.survived + tally.convicted + tally.missed;
    let text = match (possible, tally.convicted, tally.missed) {
        (0, ..) => "-".to_owned(),
        (_, 1.., _) => format!("!{}/{possible}", tally.survived),
        (_, _, 1..) => format!("?{}/{possible}", tally.survived),
        _ => format!("{}/{possible}", tally.survived),
    };
    format!("{text:>11}")
}
