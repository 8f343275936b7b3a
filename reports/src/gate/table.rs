//! The table in the terminal: the answer, then a line for each figure, worst first.

use std::fmt::Write as _;

use super::{Answer, GateReport};
use crate::terminal::Colour;
use crate::text;

/// Renders it.
#[must_use]
pub fn render(report: &GateReport, colour: Colour) -> String {
    let mut out = format!(
        "{}  {} ({:.0} s)\n  head  {}\n  base  {}\n",
        paint(colour, report.answer(), &report.answer().as_str().to_uppercase()),
        report.headline(),
        report.seconds,
        text::line(&report.head, text::CELL),
        text::line(&report.base, text::CELL),
    );
    let width = report.findings.iter().map(|f| f.figure.chars().count()).max().unwrap_or(0);
    let width = width.min(48);
    for finding in report.worst_first() {
        let name = text::line(&finding.figure, text::NAME);
        let word = format!("{:<10}", finding.answer.as_str());
        let parts = [finding.values(), finding.size()];
        let figures: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let line = format!(
            "{}  {name:<width$}  {}",
            paint(colour, finding.answer, &word),
            figures.join(", ")
        );
        let _ = writeln!(out, "\n{}", line.trim_end());
        let _ = writeln!(out, "            {}", text::line(&finding.because, text::PROSE));
        if !finding.remedy.is_empty() {
            let _ = writeln!(out, "            -> {}", text::line(&finding.remedy, text::PROSE));
        }
    }
    for note in &report.notes {
        let _ = writeln!(out, "\nnote        {}", text::line(note, text::PROSE));
    }
    out
}

fn paint(colour: Colour, answer: Answer, shown: &str) -> String {
    let code = match answer {
        Answer::Pass => "1;32",
        Answer::NoVerdict => "1;33",
        Answer::Regression => "1;31",
    };
    match colour {
        Colour::Plain => shown.to_owned(),
        Colour::Ansi => format!("\u{1b}[{code}m{shown}\u{1b}[0m"),
    }
}
