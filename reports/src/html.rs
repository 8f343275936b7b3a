//! The result as one self-contained HTML page.
//!
//! Invariants: the page loads nothing (its content security policy forbids it); every foreign
//! string goes through [`show`] or [`charts::embed`]; tables, witnesses and the timeline are
//! bounded, and say so when they were cut. Without scripts everything but the charts is there.

mod charts;
mod evidence;
mod figures;
mod origin;
mod storm;
mod verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::schema::RunResult;
use crate::text;

const STYLE: &str = include_str!("../assets/report.css");
const SCRIPT: &str = include_str!("../assets/report.js");
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
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (word) ": " (name) " · Stormproof" }
                style { (PreEscaped(UPLOT_STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                (verdict::header(result))
                main {
                    (figures::section(result))
                    (charts::section(result))
                    (evidence::checks(result))
                    (storm::failures(result))
                    (storm::faults(result))
                    (storm::coverage(result))
                    (storm::recoveries(result))
                    (figures::latency(result))
                    (origin::section(result))
                }
                (origin::footer())
                (charts::embed(result))
                script { (PreEscaped(UPLOT_SCRIPT)) }
                script { (PreEscaped(SCRIPT)) }
            }
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
