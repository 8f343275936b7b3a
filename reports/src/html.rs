//! Results as one self-contained HTML page: one, two side by side, or many over time.
//!
//! Invariants: the page loads nothing (its content security policy forbids it); every foreign
//! string goes through [`show`] or [`chart_data::embed`]; tables, witnesses and the timeline are
//! bounded, and say so when they were cut. Without scripts everything but the charts is there.

mod answers;
mod beside;
mod chart_data;
mod charts;
mod checkpoints;
mod compare;
mod evidence;
mod faults;
mod figures;
mod matrix;
mod origin;
mod passage;
mod skew;
mod storm;
mod trend;
mod verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::compare::Side;
use crate::schema::RunResult;
use crate::text;

const STYLE: &str = include_str!("../assets/report.css");
const BASE: &str = include_str!("../assets/base.js");
const TIMELINE: &str = include_str!("../assets/timeline.js");
const DISTRIBUTION: &str = include_str!("../assets/distribution.js");
const SKEW: &str = include_str!("../assets/skew.js");
const OVERLAY: &str = include_str!("../assets/overlay.js");
const UPLOT_STYLE: &str = include_str!("../assets/uPlot.min.css");
const UPLOT_SCRIPT: &str = include_str!("../assets/uPlot.iife.min.js");
const UPLOT_LICENSE: &str = include_str!("../assets/uPlot.LICENSE.txt");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// Rows shown at most of any table.
const ROWS: usize = 300;

/// Renders the page.
#[must_use]
pub fn render(result: &RunResult) -> String {
    let name = text::line(&result.scenario, text::NAME);
    let word = crate::proof::headline(result.shown_verdict());
    let body = html! {
        (verdict::header(result))
        main {
            (answers::section(result))
            (figures::section(result))
            (charts::section(result))
            (evidence::checks(result))
            (storm::faults(result))
            (storm::failures(result))
            (storm::recoveries(result))
            (checkpoints::section(result))
            (figures::latency(result))
            (beside::section(result))
            (skew::section(result))
            (storm::coverage(result))
            (matrix::section(result))
            (origin::section(result))
        }
        (origin::footer())
        (chart_data::embed(result))
        script { (PreEscaped(UPLOT_SCRIPT)) }
        @for source in [BASE, TIMELINE, DISTRIBUTION, SKEW] { script { (PreEscaped(source)) } }
    };
    shell(&format!("{word}: {name}"), &body)
}

/// Renders two results, or two sets of repetitions, side by side.
#[must_use]
pub fn comparison(a: &Side, b: &Side) -> String {
    let body = html! {
        (compare::header(a, b))
        main {
            (compare::charts(a, b))
            (compare::figures(a, b))
            (compare::checks(a, b))
            (compare::circumstances(a, b))
        }
        (origin::footer())
        (chart_data::script(&compare::data(a, b)))
        script { (PreEscaped(UPLOT_SCRIPT)) }
        @for source in [BASE, OVERLAY] { script { (PreEscaped(source)) } }
    };
    let [a, b] = [a, b].map(|side| text::line(&side.name, text::NAME));
    shell(&format!("{a} against {b}"), &body)
}

/// Renders many results over time.
#[must_use]
pub fn trend(results: &[RunResult]) -> String {
    let body = html! {
        (trend::header(results))
        main { (faults::section(results)) (trend::courses(results)) (trend::results(results)) }
        (origin::footer())
    };
    shell("Trend", &body)
}

fn shell(title: &str, body: &Markup) -> String {
    page(title, POLICY, &[UPLOT_STYLE, STYLE], body)
}

/// A self-contained page around `body`: what `policy` does not name cannot be loaded.
pub(crate) fn page(title: &str, policy: &str, styles: &[&str], body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) " · Stormproof" }
                style { @for style in styles { (PreEscaped(style)) } }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// Foreign text of a table cell: cleaned, cut, isolated in its own direction, escaped.
fn show(foreign: &str) -> Markup {
    html! { bdi { (text::line(foreign, text::CELL)) } }
}

/// A titled part of the page.
fn part(id: &str, title: &str, lead: &str, body: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (title) }
            @if !lead.is_empty() { p.lead { (lead) } }
            (body)
        }
    }
}

/// A table that scrolls by itself on narrow screens; columns that start with `#` are figures.
fn table(columns: &[&str], rows: &[Markup], total: usize) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    @for column in columns {
                        @match column.strip_prefix('#') {
                            Some(name) => th.n scope="col" { (name) },
                            None => th scope="col" { (column) },
                        }
                    }
                } }
                tbody { @for row in rows { (row) } }
            }
        }
        (remainder(rows.len(), total))
    }
}

/// The note below a list that was cut.
fn remainder(shown: usize, total: usize) -> Markup {
    html! {
        @if total > shown {
            p.note { (total - shown) " more of " (total) " are in " code { "result.json" } "." }
        }
    }
}
