//! The result as a short Markdown summary, for a pull request comment or a job summary.
//!
//! Invariants: foreign text cannot open markup, break a table, mention anybody or run longer than
//! its limit; the summary stays far below the 64 KiB that code hosts accept.

use std::fmt::Write as _;

use crate::harm;
use crate::proof;
use crate::schema::{CheckResult, RunResult, Verdict};
use crate::text;

/// Checks shown at most.
const CHECKS: usize = 60;
/// Sentences shown at most of each list.
const SENTENCES: usize = 12;

/// Renders the summary.
#[must_use]
pub fn render(result: &RunResult) -> String {
    let verdict = result.shown_verdict();
    let mut out = format!(
        "### {} {}: {}\n\n{}\n\n",
        symbol(verdict),
        proof::headline(verdict),
        prose(&result.scenario, text::NAME),
        prose(proof::reason(result), text::CELL),
    );
    for why in result.contradictions().iter().take(SENTENCES) {
        let _ = writeln!(out, "> **This result contradicts itself.** {}\n", prose(why, text::CELL));
    }
    answers(&mut out, result);
    figures(&mut out, result);
    checks(&mut out, &result.checks);
    list(&mut out, "Not tested", &result.not_tested);
    if !result.reproduce.is_empty() {
        let _ = write!(out, "Run it again:\n\n{}\n", fenced(&result.reproduce));
    }
    out
}

fn answers(out: &mut String, result: &RunResult) {
    if let Some(worst) = harm::worst(result) {
        let _ = writeln!(out, "**Hurt most:** {}\n", prose(&worst, text::PROSE));
    }
    let said = proof::sentences(result);
    let lost: Vec<String> = said.iter().map(|sentence| prose(sentence, text::PROSE)).collect();
    let _ = writeln!(out, "{}\n", lost.join(" "));
}

fn figures(out: &mut String, result: &RunResult) {
    out.push_str("| | |\n|---|---|\n");
    for (name, figure) in proof::rows(result) {
        let _ = writeln!(out, "| {name} | {} |", prose(&figure, text::CELL));
    }
    out.push('\n');
}

fn checks(out: &mut String, checks: &[CheckResult]) {
    if checks.is_empty() {
        return;
    }
    out.push_str("| | Check | What it saw |\n|---|---|---|\n");
    for check in checks.iter().take(CHECKS) {
        let _ = write!(
            out,
            "| {} | {} | {}",
            symbol(check.verdict),
            prose(&check.title, text::NAME),
            prose(&check.summary, text::CELL)
        );
        if let Some(witness) = check.witnesses.first() {
            let what = prose(&witness.what, text::CELL);
            let attribution = prose(&witness.attribution, text::CELL);
            let _ = write!(out, "<br>Witness: {what}; {attribution}");
        }
        out.push_str(" |\n");
    }
    if let Some(more) = checks.len().checked_sub(CHECKS).filter(|more| *more > 0) {
        let _ = writeln!(out, "\n{more} more checks are in `result.json`.");
    }
    out.push('\n');
}

fn list(out: &mut String, title: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}:\n");
    for sentence in sentences.iter().take(SENTENCES) {
        let _ = writeln!(out, "- {}", prose(sentence, text::CELL));
    }
    if let Some(more) = sentences.len().checked_sub(SENTENCES).filter(|more| *more > 0) {
        let _ = writeln!(out, "- and {more} more in `result.json`");
    }
    out.push('\n');
}

pub(crate) fn symbol(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proven => "✅",
        Verdict::Violated => "❌",
        Verdict::Unknown => "❓",
    }
}

/// Foreign text as prose: nothing in it is markup, and `@` mentions nobody.
pub(crate) fn prose(foreign: &str, limit: usize) -> String {
    let shown = text::line(foreign, limit);
    let mut out = String::with_capacity(shown.len() + 16);
    for c in shown.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("@\u{200b}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.replace("://", ":\u{200b}//")
}

/// Foreign text as a code block whose fence is longer than any run of backticks in it.
fn fenced(foreign: &str) -> String {
    let shown = text::block(foreign, text::PROSE);
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{shown}\n{fence}\n")
}
