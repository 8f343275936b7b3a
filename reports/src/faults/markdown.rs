//! The table fault x mode as Markdown.

use std::fmt::Write as _;

use super::{Column, FaultTable, Row};
use crate::figures::{NONE, optional, seconds};
use crate::markdown::{prose, symbol};
use crate::text;

/// Rows shown at most.
const ROWS: usize = 200;

/// Renders the table.
pub(crate) fn render(table: &FaultTable) -> String {
    let mut out = String::from(
        "**Faults by mode**: landed of scheduled, then the longest time from the strike to the \
         next checkpoint that was triggered after the healing.\n\n",
    );
    let line = |out: &mut String, head: &str, of: &dyn Fn(&Column) -> String| {
        let cells: Vec<String> = table.columns.iter().map(of).collect();
        let _ = writeln!(out, "| {head} | {} |", cells.join(" | "));
    };
    let name = |column: &Column| format!("{}: {}", column.environment, column.mode);
    line(&mut out, "Fault", &|column| prose(&name(column), text::NAME));
    let _ = writeln!(out, "|---{}|", "|---".repeat(table.columns.len()));
    for row in table.rows.iter().take(ROWS) {
        fault(&mut out, row);
    }
    line(&mut out, "landed, of them mid-checkpoint", &|column| {
        format!("{}/{}, {}", column.landed, column.scheduled, column.mid_checkpoint)
    });
    line(&mut out, "all is running after", &|column| optional(column.start_s, seconds));
    line(&mut out, "whole run", &|column| seconds(column.wall_s));
    line(&mut out, "**verdict**", &|column| {
        format!("{} **{}**", symbol(column.verdict), column.verdict)
    });
    out.push('\n');
    for (what, more) in [
        ("kinds of faults", table.rows.len().saturating_sub(ROWS)),
        ("kinds of runs", table.kinds - table.columns.len()),
    ] {
        if more > 0 {
            let _ = writeln!(out, "and {more} more {what}\n");
        }
    }
    out
}

fn fault(out: &mut String, row: &Row) {
    let cells = row.cells.iter().map(|cell| match cell {
        Some(cell) => format!("{} {}", symbol(cell.verdict), cell.told()),
        None => NONE.to_owned(),
    });
    let cells: Vec<String> = cells.collect();
    let name = format!("{}: {}", row.target, row.action);
    let _ = writeln!(out, "| {} | {} |", prose(&name, text::NAME), cells.join(" | "));
}
