//! Three answers that everybody asks for first: what hurt most, what was lost, how to run it again.

use maud::{Markup, html};

use super::show;
use crate::figures::{count, counted};
use crate::harm;
use crate::schema::{RunResult, Verdict};
use crate::text;

/// The answers, as a row of three.
pub(super) fn section(result: &RunResult) -> Markup {
    html! {
        section.answers id="answers" {
            h2.quiet { "In short" }
            div { h3 { "Which fault hurt most?" } p { (hurt(result)) } }
            div { h3 { "What was lost?" } p { (lost(result)) } }
            div {
                h3 { "How do I run it again?" }
                @if result.reproduce.is_empty() { p { "The result does not say." } } @else {
                    p { code { (text::line(&result.reproduce, text::CELL)) } " "
                        a href="#again" { "and without the folder" } }
                }
            }
        }
    }
}

fn hurt(result: &RunResult) -> Markup {
    match harm::worst(result) {
        Some(said) => html! { bdi { (said) } " " a href="#faults" { "All faults" } },
        None => html! { "No fault landed." },
    }
}

fn lost(result: &RunResult) -> Markup {
    let Some(lost) = result.lost else {
        return html! { "Nobody counted." };
    };
    if lost == 0 {
        let extra = match result.duplicates {
            Some(0) => " None has more than one.".to_owned(),
            Some(n) => format!(" {} came again.", counted(n, "effect")),
            None => String::new(),
        };
        return html! {
            "Nothing: each of " (count(result.records)) " records has an effect." (extra)
        };
    }
    let broken = result.checks.iter().filter(|check| check.verdict == Verdict::Violated);
    let witness = broken.flat_map(|check| &check.witnesses).next();
    html! {
        b { (counted(lost, "record")) } " of " (count(result.records)) "."
        @if let Some(witness) = witness { " First: " (show(&witness.what)) "." }
        " " a href="#checks" { "Evidence" }
    }
}
