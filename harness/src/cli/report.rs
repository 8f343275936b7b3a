//! `stormproof report`: results rendered again: one, two side by side, or many over time.
//!
//! Its exit code says whether it could render, not what the results say.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use stormproof_chaos::matrix::{Outcome, Row};
use stormproof_reports::compare::{self, Side};
use stormproof_reports::schema::{MatrixCell, MatrixOutcome, MatrixSummary, RunResult};
use stormproof_reports::{html, junit, markdown, prometheus, tables, trend};

use super::args::OutputArgs;
use crate::error::{HarnessError, Result, evidence, folder};
use crate::output::Console;
use crate::proof::matrix::Table;

pub(super) const EXAMPLES: &str = "\
Examples:
  stormproof report stormproof-runs/20250131T120000Z-7                the page of a run again
  stormproof report result.json --out summary.md                      for a pull request comment
  stormproof report result.json --format junit > checks.xml           for a CI
  stormproof report --compare main/result.json branch/result.json     two side by side
  stormproof report --compare five-runs-of-main five-runs-of-branch   with intervals between runs
  stormproof report stormproof-runs --out trend.html                  every run over time, faults by mode

Exit codes: 0 rendered, whatever the results say; 2 a result could not be read or written.";

/// Results read of one folder at most.
const RESULTS: usize = 2_000;
/// The file that a run leaves in its folder.
const RESULT: &str = "result.json";

/// What `report` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct ReportArgs {
    /// Results: a result.json, a run's folder, or a folder of runs (a trend).
    #[arg(value_name = "RESULT", required_unless_present = "compare")]
    results: Vec<PathBuf>,
    /// Two results side by side; a folder of runs is a set of repetitions of one.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "results")]
    compare: Option<Vec<PathBuf>>,
    /// How it is rendered [default: by the name of --out, or html].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to; `-` is stdout [default: report.html beside the result, stdout for the others].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The table that `stormproof matrix --out FILE` wrote, shown in the report of one result.
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// How it is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One self-contained page.
    Html,
    /// For a pull request comment or a job summary.
    Markdown,
    /// JUnit XML: a case for each check.
    Junit,
    /// One row for each result.
    Csv,
    /// The result itself without line breaks, the matrix in it.
    Json,
    /// Prometheus text, for a textfile collector or a push gateway.
    Prometheus,
}

impl ReportArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }

    /// The format that was asked for, or the one that the file's name asks for.
    fn format(&self) -> Format {
        if self.output.json {
            return Format::Json;
        }
        let name = self.out.as_deref().and_then(Path::extension).and_then(|name| name.to_str());
        self.format.unwrap_or(match name {
            Some("md") => Format::Markdown,
            Some("xml") => Format::Junit,
            Some("csv") => Format::Csv,
            Some("json") => Format::Json,
            Some("prom" | "txt") => Format::Prometheus,
            _ => Format::Html,
        })
    }
}

/// Renders; returns the exit code, 0.
pub(super) fn report(args: &ReportArgs) -> Result<u8> {
    let format = args.format();
    let (text, beside) = match &args.compare {
        Some(sides) => (compared(&sides[0], &sides[1], format)?, None),
        None => shown(args, format)?,
    };
    let console = args.console();
    let default = (format == Format::Html)
        .then(|| beside.unwrap_or_else(|| PathBuf::from("stormproof-report.html")));
    match args.out.clone().or(default).filter(|out| out != Path::new("-")) {
        Some(file) => {
            std::fs::write(&file, &text).map_err(|error| {
                folder(format!("cannot write the report: {error}"))
                    .at(file.display().to_string())
                    .remedy("name a file that can be written, with --out")
            })?;
            console.remark(&format!("report  {}", file.display()));
        }
        None => console.result(text.trim_end()),
    }
    Ok(0)
}

/// One result or a trend, and where its page belongs.
fn shown(args: &ReportArgs, format: Format) -> Result<(String, Option<PathBuf>)> {
    let mut results = Vec::new();
    let mut beside = None;
    for path in &args.results {
        let loaded = load(path)?;
        if let [(file, _)] = loaded.as_slice() {
            beside = Some(file.with_file_name("report.html"));
        }
        results.extend(loaded.into_iter().map(|(_, result)| result));
    }
    let matrix = args.matrix.as_deref().map(read_matrix).transpose()?;
    if let ([result], Some(matrix)) = (results.as_mut_slice(), &matrix) {
        result.matrix = Some(matrix.clone());
    } else if matrix.is_some() {
        return Err(several("--matrix"));
    }
    let text = match (format, results.as_slice()) {
        (Format::Html, [result]) => html::render(result),
        (Format::Html, results) => html::trend(results),
        (Format::Markdown, [result]) => markdown::render(result),
        (Format::Markdown, results) => trend::markdown(results),
        (Format::Json, [result]) => json(result),
        (Format::Json, _) => return Err(several("--format")),
        (Format::Junit, results) => junit::render(results),
        (Format::Csv, results) => tables::render(results),
        (Format::Prometheus, results) => prometheus::render(results),
    };
    Ok((text, beside.filter(|_| results.len() == 1)))
}

fn several(option: &str) -> HarnessError {
    evidence("this is for one result, and there are several").at(option).remedy("give one RESULT")
}

fn json(result: &RunResult) -> String {
    serde_json::to_string(result).expect("a result is plain data") + "\n"
}

fn compared(a: &Path, b: &Path, format: Format) -> Result<String> {
    let [a, b] = [side(a)?, side(b)?];
    match format {
        Format::Html => Ok(html::comparison(&a, &b)),
        Format::Markdown => Ok(compare::markdown(&a, &b)),
        Format::Csv => {
            let results: Vec<RunResult> = a.results.into_iter().chain(b.results).collect();
            Ok(tables::render(&results))
        }
        Format::Junit | Format::Prometheus | Format::Json => {
            Err(evidence("a comparison has no such format")
                .at("--format")
                .remedy("html, markdown or csv; or render the results without --compare"))
        }
    }
}

fn side(path: &Path) -> Result<Side> {
    let results = load(path)?.into_iter().map(|(_, result)| result).collect();
    Ok(Side { name: path.display().to_string(), results })
}

/// The results at a path, each with its file: of a file, of a run, of every run in a folder.
fn load(path: &Path) -> Result<Vec<(PathBuf, RunResult)>> {
    if path.is_file() {
        return Ok(vec![(path.to_owned(), read(path)?)]);
    }
    let own = path.join(RESULT);
    if own.is_file() {
        let result = read(&own)?;
        return Ok(vec![(own, result)]);
    }
    let files = files_in(path)?;
    if files.is_empty() {
        return Err(evidence("there is no result in this folder")
            .at(path.display().to_string())
            .remedy("give a result.json, the folder of a run, or a folder of runs"));
    }
    files.into_iter().map(|file| read(&file).map(|result| (file, result))).collect()
}

/// Every `*/result.json` and every `*.json` that is a result, by name.
fn files_in(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).map_err(|error| {
        evidence(format!("cannot read: {error}"))
            .at(path.display().to_string())
            .remedy("give a result.json, the folder of a run, or a folder of runs")
    })?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| {
            let at = entry.ok()?.path();
            let inside = at.join(RESULT);
            let is_json = at.extension().is_some_and(|name| name == "json");
            match (inside.is_file(), is_json && at.is_file()) {
                (true, _) => Some(inside),
                // Other JSON may lie beside results: summaries, tables.
                (_, true) if RunResult::load(&at).is_ok() => Some(at),
                _ => None,
            }
        })
        .collect();
    files.sort();
    if files.len() > RESULTS {
        return Err(evidence(format!("{} results are too many for one page", files.len()))
            .at(path.display().to_string())
            .remedy(format!("give a folder with at most {RESULTS}")));
    }
    Ok(files)
}

fn read(file: &Path) -> Result<RunResult> {
    RunResult::load(file).map_err(|error| evidence(error.to_string()))
}

/// The table of `stormproof matrix`, in the result's words.
fn read_matrix(file: &Path) -> Result<MatrixSummary> {
    let refuse = |error: &dyn std::fmt::Display| -> HarnessError {
        evidence(format!("this is no kill matrix: {error}"))
            .at(file.display().to_string())
            .remedy("write one with `stormproof matrix --out FILE`")
    };
    let json = std::fs::read(file).map_err(|e| refuse(&e))?;
    let table: Table = serde_json::from_slice(&json).map_err(|e| refuse(&e))?;
    Ok(summary(&table))
}

fn summary(table: &Table) -> MatrixSummary {
    let cell = |row: &Row| {
        let (outcome, seed, why) = match &row.outcome {
            Outcome::Survived { seed, .. } => (MatrixOutcome::Survived, Some(*seed), String::new()),
            Outcome::Convicted { seed, by } => (MatrixOutcome::Convicted, Some(*seed), by.clone()),
            Outcome::Missed { reason } => (MatrixOutcome::Missed, None, reason.clone()),
            Outcome::Impossible { reason } => (MatrixOutcome::Impossible, None, reason.clone()),
        };
        MatrixCell {
            step: row.cell.step.to_string(),
            action: row.cell.strike.name().to_owned(),
            mode: row.cell.mode.name().to_owned(),
            design: row.cell.design.name().to_owned(),
            outcome,
            seed,
            why,
        }
    };
    MatrixSummary {
        cells: table.cells.iter().map(cell).collect(),
        schedules: table.schedules,
        seconds: table.seconds,
        pairs_survived: table.of_pairs.survived,
        pairs_convicted: table.of_pairs.convicted,
        pairs_missed: table.of_pairs.missed,
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
