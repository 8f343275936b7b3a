//! Skew: one cell for each subtask, and the figures that tell how uneven they are.
//!
//! The cells are drawn by the script; the figures stand here without it, too.

use maud::{Markup, html};

use super::{part, show, table};
use crate::figures::{NONE, count, decimal, micros};
use crate::schema::{RunResult, SubtaskFigures};

/// Lists shown at most.
pub(super) const LISTS: usize = 6;
/// Subtasks named at each end.
const NAMED: usize = 3;

/// The section of all lists.
pub(super) fn section(result: &RunResult) -> Markup {
    let lists: Vec<(usize, &SubtaskFigures)> = result.subtasks.iter().enumerate().collect();
    let lists: Vec<_> = lists.into_iter().take(LISTS).filter(|l| !l.1.values.is_empty()).collect();
    if lists.is_empty() {
        return html! {};
    }
    let rows: Vec<Markup> = lists.iter().map(|(_, figures)| row(figures)).collect();
    let columns = ["Counted", "#Least", "#Median", "#Most", "#Most to median", "Most of all in"];
    let body = html! {
        (table(&columns, &rows, rows.len()))
        div.waffles {
            @for (at, figures) in &lists {
                figure {
                    figcaption {
                        span { (show(&figures.what)) ", by " (show(&figures.of)) }
                        span.keys { (ends(figures)) }
                    }
                    div.waffle data-of=(at) {}
                }
            }
        }
    };
    let lead = "One cell for each subtask, in the order of their numbers: the darker, the more. \
                A cell that stands out carries or delays the others.";
    part("skew", "Skew between subtasks", lead, &body)
}

fn row(figures: &SubtaskFigures) -> Markup {
    let mut sorted = figures.values.clone();
    sorted.sort_unstable();
    let [least, median, most] = [0, sorted.len() / 2, sorted.len() - 1].map(|at| sorted[at]);
    let mut top: Vec<(usize, u64)> = figures.values.iter().copied().enumerate().collect();
    top.sort_by_key(|(at, value)| (std::cmp::Reverse(*value), *at));
    let named: Vec<String> = top.iter().take(NAMED).map(|(at, _)| at.to_string()).collect();
    let is_even = least == most;
    html! {
        tr {
            td { (show(&figures.what)) small { "by " (show(&figures.of)) } }
            @for value in [least, median, most] { td.n { (shown(value, &figures.unit)) } }
            td.n { (ratio(most, median)) }
            td { @if is_even { "all alike" } @else { (named.join(", ")) } }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn ratio(most: u64, median: u64) -> String {
    match median {
        0 => NONE.to_owned(),
        median => format!("{}×", decimal(most as f64 / median as f64, 2)),
    }
}

/// The scale of the cells: from zero, so that small differences look small.
fn ends(figures: &SubtaskFigures) -> Markup {
    let most = figures.values.iter().max().copied().unwrap_or(0);
    html! { span { "0" } span.ramp {} span { (shown(most, &figures.unit)) } }
}

fn shown(value: u64, unit: &str) -> String {
    if unit == "us" { micros(value) } else { count(value) }
}
