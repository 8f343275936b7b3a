//! Results as CSV: one row for each result, one column for each figure.
//!
//! Invariants: the columns are the same for the same version, whatever a result holds; a figure
//! that does not exist is an empty field; a text that a spreadsheet would run as a formula is not
//! one any more.

use crate::measures::{Measure, measures};
use crate::schema::RunResult;
use crate::text;

/// Texts before the figures.
const TEXTS: [&str; 8] =
    ["scenario", "started_at", "git_commit", "verdict", "mode", "parallelism", "workers", "seed"];

/// Renders the results.
///
/// The columns of figures are those that any of the results has.
#[must_use]
pub fn render(results: &[RunResult]) -> String {
    let all: Vec<Vec<Measure>> = results.iter().map(measures).collect();
    let mut names: Vec<&str> = Vec::new();
    for measure in all.iter().flatten() {
        if !names.contains(&measure.id) {
            names.push(measure.id);
        }
    }
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut rows = vec![TEXTS.iter().chain(&names).map(|name| (*name).to_owned()).collect()];
    for (result, measures) in results.iter().zip(&all) {
        let mut row = texts(result);
        row.extend(names.iter().map(|name| {
            let found = measures.iter().find(|measure| measure.id == *name);
            found.map_or_else(String::new, |measure| measure.value.to_string())
        }));
        rows.push(row);
    }
    let written = rows.iter().try_for_each(|row: &Vec<String>| out.write_record(row));
    let bytes = written.ok().and_then(|()| out.into_inner().ok()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

fn texts(result: &RunResult) -> Vec<String> {
    vec![
        plain(&result.scenario),
        plain(&result.started_at),
        plain(result.environment.git_commit.as_deref().unwrap_or("")),
        result.shown_verdict().as_str().to_owned(),
        plain(&result.mode),
        result.parallelism.to_string(),
        result.workers.to_string(),
        result.seed.to_string(),
    ]
}

/// Foreign text that no spreadsheet takes for a formula.
fn plain(foreign: &str) -> String {
    let shown = text::line(foreign, text::NAME);
    match shown.starts_with(['=', '+', '-', '@']) {
        true => format!("'{shown}"),
        false => shown,
    }
}
