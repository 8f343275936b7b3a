//! The table of checks, with figures, witnesses and attribution.
//!
//! Invariants: checks stand in the oracle's order; one that is not proven is open; witnesses are
//! bounded per check and over the page.

use maud::{Markup, html};

use super::verdict::mark;
use super::{ROWS, part, passage, remainder, show};
use crate::figures::{counted, figure};
use crate::schema::{CheckResult, RunResult, Verdict, Witness};
use crate::text;

/// Witnesses shown at most of one check.
const WITNESSES: usize = 12;
/// Witnesses of one check whose record's way is drawn.
const DRAWN: usize = 2;
/// Checks whose witnesses are shown at most.
const WITNESSED: usize = 24;
/// Details and figures shown at most of one thing.
const DETAILS: usize = 24;

/// The section of checks.
pub(super) fn checks(result: &RunResult) -> Markup {
    let total = result.checks.len();
    let with = |v| result.checks.iter().filter(|c| c.verdict == v).count();
    let lead = format!(
        "{}: {} proven, {} violated, {} unknown. Each is judged from outside the engine.",
        counted(total as u64, "check"),
        with(Verdict::Proven),
        with(Verdict::Violated),
        with(Verdict::Unknown),
    );
    let mut budget = WITNESSED;
    let rows = result.checks.iter().take(ROWS).map(|check| {
        let shown = if budget == 0 { 0 } else { WITNESSES };
        budget -= usize::from(shown > 0 && !check.witnesses.is_empty());
        one(result, check, shown)
    });
    let rows: Vec<Markup> = rows.collect();
    let body = html! {
        div.checks { @for row in &rows { (row) } }
        (remainder(rows.len(), total))
    };
    part("checks", "Checks", &lead, &body)
}

fn one(result: &RunResult, check: &CheckResult, shown: usize) -> Markup {
    let bare = check.figures.is_empty() && check.witnesses.is_empty();
    let line = html! {
        (mark(check.verdict))
        span.what {
            span.title {
                strong { (show(&check.title)) } " "
                code { (text::line(&check.id, text::NAME)) }
            }
            span.saw { (show(&check.summary)) }
        }
        span.word.(check.verdict.as_str()) { (check.verdict.as_str()) }
    };
    html! {
        @if bare {
            div.check { div.line { (line) } }
        } @else {
            details.check open[check.verdict != Verdict::Proven] {
                summary.line { (line) }
                div.inside { (figures(check)) (witnesses(result, check, shown)) }
            }
        }
    }
}

fn figures(check: &CheckResult) -> Markup {
    html! {
        @if !check.figures.is_empty() {
            dl.facts {
                @for (name, value) in check.figures.iter().take(DETAILS) {
                    div { dt { (show(&name.replace('_', " "))) } dd { (figure(*value)) } }
                }
            }
        }
    }
}

fn witnesses(result: &RunResult, check: &CheckResult, shown: usize) -> Markup {
    let total = check.witnesses.len();
    html! {
        @if shown > 0 && total > 0 {
            ol.witnesses {
                @for (n, found) in check.witnesses.iter().take(shown).enumerate() {
                    (witness(result, found, n < DRAWN))
                }
            }
        }
        (remainder(total.min(shown), total))
    }
}

fn witness(result: &RunResult, witness: &Witness, is_drawn: bool) -> Markup {
    html! {
        li {
            span.anomaly { (show(&witness.what)) }
            @if !witness.attribution.is_empty() {
                span.attribution { (show(&witness.attribution)) }
            }
            @if !witness.details.is_empty() {
                span.coordinates {
                    @for (name, value) in witness.details.iter().take(DETAILS) {
                        span { (show(name)) " " b { (detail(value)) } }
                    }
                }
            }
            @if let Some(way) = witness.passage.as_ref().filter(|_| is_drawn) {
                (passage::draw(result, way))
            }
        }
    }
}

fn detail(value: &serde_json::Value) -> Markup {
    match value {
        serde_json::Value::String(text) => show(text),
        other => show(&other.to_string()),
    }
}
