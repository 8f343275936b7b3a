//! A comparison as Markdown, for a pull request comment.

use std::fmt::Write as _;

use super::{Finding, Row, Side, Spread, circumstances, rows};
use crate::figures::{NONE, decimal};
use crate::markdown::{prose, symbol};
use crate::text;

/// A difference of so many percent only says that the figure was nearly nothing.
const SENSELESS_PERCENT: f64 = 1_000.0;

/// Renders the comparison.
#[must_use]
pub fn render(a: &Side, b: &Side) -> String {
    let mut out = format!(
        "### Stormproof: {} against {}\n\n",
        prose(&a.name, text::NAME),
        prose(&b.name, text::NAME)
    );
    for (letter, side) in [("A", a), ("B", b)] {
        let verdicts: Vec<&str> = side.results.iter().map(|r| symbol(r.shown_verdict())).collect();
        let (runs, name) = (side.results.len(), prose(&side.name, text::NAME));
        let _ = writeln!(out, "- **{letter}** {name}, {runs} run(s): {}", verdicts.join(" "));
    }
    out.push('\n');
    let differing = circumstances(a, b);
    if !differing.is_empty() {
        out.push_str("| Not alike | A | B |\n|---|---|---|\n");
        for (name, a, b) in differing {
            let [a, b] = [a, b].map(|value| prose(&value, text::NAME));
            let _ = writeln!(out, "| {name} | {a} | {b} |");
        }
        out.push('\n');
    }
    out.push_str("| Figure | A | B | B − A, 95 % | Covers | |\n|---|---|---|---|---|---|\n");
    for row in rows(a, b) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} {} | {} | {}{} |",
            row.name,
            shown(&row, row.a),
            shown(&row, row.b),
            change(&row),
            interval(&row).unwrap_or_default(),
            row.basis.as_str(),
            sign(row.finding),
            row.finding.as_str(),
        );
    }
    out.push_str(
        "\nMedian (quartiles). An interval *within the runs* does not cover the spread between \
         runs: repeat both sides five times for that.\n",
    );
    out
}

/// A value with its spread.
fn shown(row: &Row, spread: Spread) -> String {
    let value = row.unit.show(spread.value);
    match spread.quartiles {
        Some((low, high)) => {
            format!("{value} ({} to {})", row.unit.show(low), row.unit.show(high))
        }
        None => value,
    }
}

/// The difference.
pub(crate) fn change(row: &Row) -> String {
    match row.difference() {
        0.0 => NONE.to_owned(),
        difference => relative(row, difference),
    }
}

/// The interval of the difference.
pub(crate) fn interval(row: &Row) -> Option<String> {
    let interval = row.interval?;
    Some(format!("[{}, {}]", relative(row, interval.low), relative(row, interval.high)))
}

/// A difference in percent of A; as it is where A is zero or, beside B, as good as zero.
fn relative(row: &Row, of: f64) -> String {
    let (low, high) = row.interval.map_or((of, of), |interval| (interval.low, interval.high));
    let says_something = [row.difference(), low, high]
        .iter()
        .all(|of| row.percent(*of).is_some_and(|percent| percent.abs() < SENSELESS_PERCENT));
    match row.percent(of) {
        Some(percent) if says_something => format!("{} %", decimal(percent, 1)),
        _ => row.unit.show(of),
    }
}

fn sign(finding: Finding) -> &'static str {
    match finding {
        Finding::Better => "▲ ",
        Finding::Worse => "▼ ",
        _ => "",
    }
}
