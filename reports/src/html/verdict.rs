//! The top of the page: the verdict, the evidence in plain words, and what was not tested.
//!
//! Invariant: the verdict shown is [`RunResult::shown_verdict`], and every sign between two
//! figures is computed from them.

use maud::{Markup, html};

use super::show;
use crate::figures::counted_or_not;
use crate::proof;
use crate::schema::{RunResult, Verdict};
use crate::text;

/// Sentences shown at most of a list.
const SENTENCES: usize = 24;

/// The header of the page.
pub(super) fn header(result: &RunResult) -> Markup {
    let verdict = result.shown_verdict();
    html! {
        header class=(verdict.as_str()) {
            p.eyebrow {
                span { "Stormproof report" }
                span { bdi { (text::line(&result.scenario, text::NAME)) } }
                span { time { (show(&result.started_at)) } }
            }
            h1 { (mark(verdict)) " " (proof::headline(verdict)) }
            p.reason { bdi { (text::line(proof::reason(result), text::PROSE)) } }
            (contradictions(result))
            (relations(result))
            div.words {
                div {
                    h2 { (if verdict == Verdict::Proven { "What was proven" } else { "What was seen" }) }
                    ul { @for sentence in proof::sentences(result) { li { (sentence) } } }
                }
                (not_tested(result))
            }
        }
    }
}

/// A verdict's mark, told apart by shape as well as by colour.
pub(super) fn mark(verdict: Verdict) -> Markup {
    html! { span.mark.(verdict.as_str()) role="img" aria-label=(verdict.as_str()) { (verdict.mark()) } }
}

fn contradictions(result: &RunResult) -> Markup {
    let found = result.contradictions();
    html! {
        @if !found.is_empty() {
            div.contradiction role="alert" {
                strong { "This result contradicts itself." }
                ul { @for why in found.iter().take(SENTENCES) { li { (show(why)) } } }
            }
        }
    }
}

/// The two lines that carry the proof, as figures with the signs that hold.
fn relations(result: &RunResult) -> Markup {
    let signs = proof::duplicates(result);
    let balance = proof::balance(result);
    let is_lost = result.lost.is_some_and(|lost| lost > 0);
    html! {
        div.relations {
            p.relation {
                (term("", Some(result.records), "records in the ledger", false))
                (term("−", result.lost, "lost", is_lost))
                (term("+", result.duplicates, "duplicates", false))
                (term(balance, result.effects, "effects in the sink", balance == "≠"))
            }
            p.relation {
                (term("", result.duplicates, "duplicates", signs.is_broken))
                (term(signs.exact, result.duplicates_expected, "expected", false))
                (term(signs.bounded, result.duplicates_bound, "allowed at most", false))
            }
        }
    }
}

/// A figure with its name, and the sign before it.
fn term(sign: &str, figure: Option<u64>, name: &str, wrong: bool) -> Markup {
    html! {
        span.step {
            @if !sign.is_empty() { span.sign { (sign) } " " }
            span.term.wrong[wrong] { b { (counted_or_not(figure)) } " " small { (name) } }
        }
        " "
    }
}

fn not_tested(result: &RunResult) -> Markup {
    let total = result.not_tested.len();
    html! {
        div {
            h2 { "What was not tested" }
            @if total == 0 {
                p { "The run states no limits of what it tested." }
            } @else {
                ul { @for sentence in result.not_tested.iter().take(SENTENCES) { li { (show(sentence)) } } }
                (super::remainder(total.min(SENTENCES), total))
            }
        }
    }
}
