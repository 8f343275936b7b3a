//! Markdown for a pull request comment or a job summary.

use std::fmt::Write as _;

use super::{Answer, GateReport};
use crate::markdown::prose;
use crate::text;

/// Figures shown at most.
const FINDINGS: usize = 80;

/// Renders it.
#[must_use]
pub fn render(report: &GateReport) -> String {
    let mut out = format!(
        "### {} Gate: {}\n\n{}. Head: {}; base: {}.\n\n",
        symbol(report.answer()),
        report.answer().as_str(),
        report.headline(),
        prose(&report.head, text::NAME),
        prose(&report.base, text::NAME),
    );
    if !report.findings.is_empty() {
        out.push_str("| | Figure | Base → head | How much | How sure, and what to do |\n");
        out.push_str("|---|---|---|---|---|\n");
    }
    for finding in report.worst_first().into_iter().take(FINDINGS) {
        let _ = write!(
            out,
            "| {} | {} | {} | {} | {}",
            symbol(finding.answer),
            prose(&finding.figure, text::NAME),
            prose(&finding.values().replace("->", "→"), text::CELL),
            prose(&finding.size(), text::CELL),
            prose(&finding.because, text::CELL),
        );
        if !finding.remedy.is_empty() {
            let _ = write!(out, "<br>**{}**", prose(&finding.remedy, text::CELL));
        }
        out.push_str(" |\n");
    }
    if let Some(more) = report.findings.len().checked_sub(FINDINGS).filter(|more| *more > 0) {
        let _ = writeln!(out, "\n{more} more figures are in the JSON report.");
    }
    if !report.notes.is_empty() {
        out.push('\n');
    }
    for note in &report.notes {
        let _ = writeln!(out, "- {}", prose(note, text::CELL));
    }
    out
}

fn symbol(answer: Answer) -> &'static str {
    match answer {
        Answer::Pass => "✅",
        Answer::NoVerdict => "❓",
        Answer::Regression => "❌",
    }
}
