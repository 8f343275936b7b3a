//! The table fault x mode of several runs.

use maud::{Markup, html};

use super::{ROWS, part, remainder, show};
use crate::faults::{self, Cell, Column, FaultTable, Row};
use crate::figures::{counted, optional, seconds};
use crate::schema::{RunResult, Verdict};

/// Faults down, environments with their modes across.
pub(super) fn section(results: &[RunResult]) -> Markup {
    let Some(table) = faults::table(results) else { return html! {} };
    let lead = "Landed of scheduled, then the longest time from the strike to the next checkpoint \
                that was triggered after the healing. A cell has the colour of the worst verdict \
                of its runs.";
    part("faults", "Faults by mode", lead, &body(&table))
}

fn body(table: &FaultTable) -> Markup {
    let line = |head: &str, of: &dyn Fn(&Column) -> Markup| {
        html! { tr { th scope="row" { (head) } @for column in &table.columns { td.n { (of(column)) } } } }
    };
    html! {
        div.scroll tabindex="0" {
            table.matrix {
                thead { tr {
                    th scope="col" { "Fault" }
                    @for column in &table.columns {
                        th.n scope="col" { (show(&column.mode)) small { (show(&column.environment)) } }
                    }
                } }
                tbody { @for row in table.rows.iter().take(ROWS) { (fault(row)) } }
                tfoot {
                    (line("Landed, of them mid-checkpoint", &|column| html! {
                        (column.landed) "/" (column.scheduled) ", " (column.mid_checkpoint)
                    }))
                    (line("All is running after", &|column| html! {
                        (optional(column.start_s, seconds))
                    }))
                    (line("Whole run", &|column| html! { (seconds(column.wall_s)) }))
                    (line("Verdict", &|column| html! {
                        span.word.(column.verdict.as_str()) { (column.verdict) }
                        @if column.runs > 1 { small { "of " (counted(column.runs as u64, "run")) } }
                    }))
                }
            }
        }
        (remainder(table.rows.len().min(ROWS), table.rows.len()))
        (remainder(table.columns.len(), table.kinds))
    }
}

fn fault(row: &Row) -> Markup {
    html! {
        tr {
            th scope="row" { (show(&row.target)) small { (show(&row.action)) } }
            @for cell in &row.cells { (became(cell.as_ref())) }
        }
    }
}

fn became(cell: Option<&Cell>) -> Markup {
    let Some(cell) = cell else { return html! { td.n.none { "·" } } };
    let class = match (cell.verdict, cell.landed < cell.scheduled) {
        (Verdict::Violated, _) => "missed",
        (Verdict::Unknown, _) | (Verdict::Proven, true) => "some",
        (Verdict::Proven, false) => "all",
    };
    html! { td.n.(class) { (cell.told()) } }
}
