//! The kill matrix as a heat map: steps down, actions across, in each field one square for each
//! checkpoint mode and sink design.
//!
//! Invariant: a square that nothing was run for is hollow, never coloured as survived.

use maud::{Markup, html};

use super::{part, show, table};
use crate::figures::{count, counted, seconds};
use crate::schema::{MatrixCell, MatrixOutcome, MatrixSummary, RunResult};
use crate::text;

/// Names shown at most on each axis.
const AXIS: usize = 40;
/// Cells in trouble that are listed at most.
const TROUBLES: usize = 40;

/// The section of the matrix, if there is one.
pub(super) fn section(result: &RunResult) -> Markup {
    let Some(matrix) = &result.matrix else { return html! {} };
    let lead = format!(
        "Every named step struck by every action, in every checkpoint mode and with every sink \
         design: {}, in {}.",
        counted(matrix.schedules, "simulated schedule"),
        seconds(matrix.seconds)
    );
    part("matrix", "Kill matrix", &lead, &body(matrix))
}

fn body(matrix: &MatrixSummary) -> Markup {
    let of = |pick: fn(&MatrixCell) -> &str| distinct(matrix.cells.iter().map(pick));
    let (steps, actions) = (of(|c| &c.step), of(|c| &c.action));
    let (modes, designs) = (of(|c| &c.mode), of(|c| &c.design));
    let total = |outcome| matrix.cells.iter().filter(|c| c.outcome == outcome).count() as u64;
    let shown = [
        (MatrixOutcome::Survived, "survived"),
        (MatrixOutcome::Convicted, "convicted"),
        (MatrixOutcome::Missed, "not reached"),
        (MatrixOutcome::Impossible, "cannot be"),
    ];
    html! {
        p.keys.legend {
            @for (outcome, name) in shown {
                span { i.cell.(outcome.as_str()) {} (count(total(outcome))) " " (name) }
            }
            span {
                "pairs of faults: " (count(matrix.pairs_survived)) " survived, "
                (count(matrix.pairs_convicted)) " convicted, "
                (count(matrix.pairs_missed)) " not reached"
            }
        }
        div.scroll tabindex="0" {
            table.heat style=(format!("--across:{}", modes.len().max(1))) {
                thead { tr {
                    th scope="col" { "Step" }
                    @for action in &actions { th scope="col" { (show(action)) } }
                } }
                tbody {
                    @for step in &steps {
                        tr {
                            th scope="row" { (show(step)) }
                            @for action in &actions {
                                td { (field(matrix, (step, action), &modes, &designs)) }
                            }
                        }
                    }
                }
            }
        }
        p.note {
            "In each field, across: " (show(&modes.join(", "))) "; down: "
            (show(&designs.join(", "))) "."
        }
        (troubles(matrix))
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if seen.len() < AXIS && !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn field(
    matrix: &MatrixSummary,
    (step, action): (&str, &str),
    modes: &[&str],
    designs: &[&str],
) -> Markup {
    let find = |mode: &str, design: &str| {
        matrix.cells.iter().find(|c| {
            (c.step.as_str(), c.action.as_str()) == (step, action)
                && (c.mode.as_str(), c.design.as_str()) == (mode, design)
        })
    };
    html! {
        span.field {
            @for design in designs {
                @for mode in modes { (square(find(mode, design))) }
            }
        }
    }
}

fn square(cell: Option<&MatrixCell>) -> Markup {
    let Some(cell) = cell else { return html! { i.cell {} } };
    let mut title = format!("{}, {}: {}", cell.mode, cell.design, cell.outcome.as_str());
    if let Some(seed) = cell.seed {
        title += &format!(", seed {seed}");
    }
    if !cell.why.is_empty() {
        title += &format!(" ({})", cell.why);
    }
    html! { i.cell.(cell.outcome.as_str()) title=(text::line(&title, text::NAME)) {} }
}

/// The cells that need somebody's attention.
fn troubles(matrix: &MatrixSummary) -> Markup {
    let is_trouble =
        |c: &&MatrixCell| matches!(c.outcome, MatrixOutcome::Convicted | MatrixOutcome::Missed);
    let all: Vec<&MatrixCell> = matrix.cells.iter().filter(is_trouble).collect();
    let row = |c: &&MatrixCell| {
        let again = c.seed.map(|seed| format!("stormproof sim --seed {seed}"));
        html! {
            tr {
                td { (c.outcome.as_str()) }
                td { (show(&c.action)) " at " (show(&c.step)) }
                td { (show(&c.mode)) small { (show(&c.design)) } }
                td.wide { (show(&c.why)) }
                td { code { (again.unwrap_or_default()) } }
            }
        }
    };
    let rows: Vec<Markup> = all.iter().take(TROUBLES).map(row).collect();
    html! {
        @if !rows.is_empty() {
            (table(&["Outcome", "Cell", "Job", "Why", "Seed"], &rows, all.len()))
        }
    }
}
