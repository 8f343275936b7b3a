//! `stormproof matrix`: every step, action, mode and sink design, in simulation or on real services.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use stormproof_chaos::matrix::{Matrix, Outcome, Row, Strike, Tally};
use stormproof_engine::seam::Step;

use super::args::OutputArgs;
use crate::error::{Result, folder};
use crate::output::Console;
use crate::proof::matrix::{Campaign, Table};
use crate::proof::on_services::Siege;
use crate::proof::parallel_cores;
use crate::run::Interrupt;
use crate::scenario::{EnvironmentKind, Overrides};

/// Cells that are told by name.
const SHOWN_AT_MOST: usize = 40;

/// What `matrix` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct MatrixArgs {
    /// With real processes and services, instead of in simulation; takes minutes.
    #[arg(long, value_enum)]
    env: Option<EnvironmentKind>,
    /// Subtasks of each vertex, with --env.
    #[arg(long, value_name = "SUBTASKS", default_value_t = 8, requires = "env")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=200))]
    parallelism: u16,
    /// Faults of one run at most, with --env.
    #[arg(long, value_name = "N", default_value_t = 9, requires = "env")]
    faults_per_run: usize,
    /// Where the runs' folders are kept, with --env.
    #[arg(long, value_name = "DIR", default_value = "stormproof-matrix", requires = "env")]
    runs: PathBuf,
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
/// conviction, 2 a cell that was not reached for no known reason, or an interrupted matrix.
pub(super) fn matrix(args: &MatrixArgs) -> Result<u8> {
    let console = args.console();
    if let Some(environment) = args.env {
        return on_services(args, environment);
    }
    let campaign = Campaign {
        first_seed: args.first_seed,
        jobs: args.jobs.unwrap_or_else(parallel_cores),
        repeats: args.repeats.max(1),
        every: args.every.max(1),
    };
    let look = |done: usize, all: usize| console.remark(&format!("{done} of {all} cells"));
    let table = campaign.run(&Interrupt::listen()?, &look);
    let json = serde_json::to_string_pretty(&table).expect("a table is plain data");
    save(args, &json)?;
    if console.json {
        console.result(&json);
    } else {
        show(console, &table);
    }
    tell_interrupted(console, &table);
    let (cells, pairs) = (table.of_cells, table.of_pairs);
    let open = cells.missed + pairs.missed + table.not_run;
    Ok(exit_code(cells.convicted + pairs.convicted, open))
}

fn on_services(args: &MatrixArgs, environment: EnvironmentKind) -> Result<u8> {
    let console = args.console();
    let siege = Siege {
        overrides: Overrides { environment: Some(environment), ..Overrides::default() },
        parallelism: args.parallelism,
        every: args.every.max(1),
        faults_per_run: args.faults_per_run.max(1),
        out: args.runs.clone(),
    };
    let table = siege.run(&Interrupt::listen()?, &|line| console.remark(line))?;
    let json = serde_json::to_string_pretty(&table).expect("a table is plain data");
    save(args, &json)?;
    if console.json {
        console.result(&json);
    } else {
        show_cells(console, &table.cells);
        let cells = told(table.of_cells);
        console.result(&format!("{cells}; {} runs in {:.1} s", table.schedules, table.seconds));
        let cells = table.cells.iter().map(|row| (row.cell.to_string(), &row.outcome));
        show_trouble(console, cells);
    }
    tell_interrupted(console, &table);
    Ok(exit_code(table.of_cells.convicted, table.of_cells.missed + table.not_run))
}

fn tell_interrupted(console: Console, table: &Table) {
    if table.not_run > 0 {
        let so_far = "interrupted: the table is what was reached until then";
        console.remark(&format!("{so_far}; {} cells and pairs were not run", table.not_run));
    }
}

fn exit_code(convicted: u64, open: u64) -> u8 {
    match (convicted, open) {
        (1.., _) => 1,
        (0, 1..) => super::UNKNOWN,
        (0, 0) => 0,
    }
}

fn save(args: &MatrixArgs, json: &str) -> Result<()> {
    let Some(file) = &args.out else { return Ok(()) };
    std::fs::write(file, json).map_err(|error| {
        folder(format!("cannot write the table: {error}"))
            .at(file.display().to_string())
            .remedy("name a file that can be written")
    })
}

fn show(console: Console, table: &Table) {
    show_cells(console, &table.cells);
    let pairs = table.of_pairs;
    console.result(&format!(
        "{}; of pairs of faults {} survived, {} convicted, {} not reached; {} schedules in {:.1} s",
        told(table.of_cells),
        pairs.survived,
        pairs.convicted,
        pairs.missed,
        table.schedules,
        table.seconds
    ));
    let cells = table.cells.iter().map(|row| (row.cell.to_string(), &row.outcome));
    let pairs = table.pairs.iter().map(|row| {
        let pair = &row.pair;
        (format!("{}, then {} at {}", pair.first, pair.strike.name(), pair.step), &row.outcome)
    });
    show_trouble(console, cells.chain(pairs));
}

/// The grid: steps down, actions across.
fn show_cells(console: Console, rows: &[Row]) {
    let mut matrix = Matrix::default();
    rows.iter().for_each(|row| matrix.note(row.cell, row.outcome.clone()));
    let heads: Vec<String> = Strike::ALL.iter().map(|s| format!("{:>11}", s.name())).collect();
    console.result(&format!("{:<29}{}", "step", heads.concat()));
    for step in Step::ALL {
        let cells: Vec<String> =
            Strike::ALL.iter().map(|strike| cell(&matrix, *step, *strike)).collect();
        console.result(&format!("{:<29}{}", step.name(), cells.concat()));
    }
    console.result("\nsurvived/cells, - not possible, ! convicted, ? not reached");
}

fn told(cells: Tally) -> String {
    format!(
        "{} cells survived, {} convicted, {} not possible, {} not reached",
        cells.survived, cells.convicted, cells.impossible, cells.missed
    )
}

/// What was convicted or not reached, by name; and why cells are not possible, each reason once.
fn show_trouble<'a>(console: Console, ended: impl Iterator<Item = (String, &'a Outcome)>) {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    let mut shown = 0;
    for (name, outcome) in ended {
        let line = match outcome {
            Outcome::Convicted { seed, by } => format!("convicted: {name}, seed {seed}: {by}"),
            Outcome::Missed { reason } => format!("not reached: {name}: {reason}"),
            Outcome::Impossible { reason } => {
                *reasons.entry(reason).or_default() += 1;
                continue;
            }
            Outcome::Survived { .. } => continue,
        };
        shown += 1;
        if shown <= SHOWN_AT_MOST {
            console.result(&line);
        }
    }
    for (reason, cells) in reasons {
        console.result(&format!("not possible: {cells} cells: {reason}"));
    }
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
