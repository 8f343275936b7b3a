//! A trend as Markdown, for a job summary.

use std::fmt::Write as _;

use super::{courses, tally};
use crate::faults;
use crate::figures::{NONE, counted, optional};
use crate::markdown::{prose, symbol};
use crate::schema::RunResult;
use crate::text;

/// Courses shown at most.
const COURSES: usize = 20;

/// Renders the trend.
#[must_use]
pub fn render(results: &[RunResult]) -> String {
    let mut out = format!("### Stormproof: {}\n\n", counted(results.len() as u64, "result"));
    if let Some(table) = faults::table(results) {
        out.push_str(&faults::markdown(&table));
    }
    let courses = courses(results);
    for course in courses.iter().take(COURSES) {
        let _ = writeln!(out, "**{}**\n", prose(&course.name, text::CELL));
        let told: Vec<String> = tally(&course.results)
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(verdict, count)| format!("{} {count}", symbol(verdict)))
            .collect();
        let _ = writeln!(out, "{}\n", told.join(" "));
        if course.figures.is_empty() {
            continue;
        }
        out.push_str("| Figure | Newest | Median before (quartiles) | |\n|---|---|---|---|\n");
        for figure in &course.figures {
            let before = optional(figure.before, |(median, low, high)| {
                let [median, low, high] = [median, low, high].map(|v| figure.unit.show(v));
                format!("{median} ({low} to {high})")
            });
            let newest = figure.newest().map_or(NONE.to_owned(), |v| figure.unit.show(v));
            let _ =
                writeln!(out, "| {} | {newest} | {before} | {} |", figure.name, figure.standing());
        }
        out.push('\n');
    }
    if let Some(more) = courses.len().checked_sub(COURSES).filter(|more| *more > 0) {
        let _ = writeln!(out, "and {more} more kinds of runs");
    }
    out
}
