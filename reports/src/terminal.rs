//! The result as a plain table for the end of a run.
//!
//! Invariants: without colour the output has no escape sequence at all, and with colour none that
//! came from the result; whether to use colour is the caller's choice alone. Columns are aligned.

use std::fmt::Write as _;

use crate::proof;
use crate::schema::{CheckResult, RunResult, Verdict};
use crate::text;

/// Witnesses shown at most of each check; all of them are in `result.json`.
const WITNESSES: usize = 3;
/// Width of the column of names.
const NAMES: usize = 15;

/// Whether the output may carry ANSI escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Text only: for files, pipes and `NO_COLOR`.
    Plain,
    /// ANSI colours: for terminals.
    Ansi,
}

impl Colour {
    fn paint(self, code: &str, shown: &str) -> String {
        match self {
            Self::Plain => shown.to_owned(),
            Self::Ansi => format!("\u{1b}[{code}m{shown}\u{1b}[0m"),
        }
    }

    fn verdict(self, verdict: Verdict, shown: &str) -> String {
        let code = match verdict {
            Verdict::Proven => "1;32",
            Verdict::Violated => "1;31",
            Verdict::Unknown => "1;33",
        };
        self.paint(code, shown)
    }

    fn dim(self, shown: &str) -> String {
        self.paint("2", shown)
    }
}

/// Renders the table.
#[must_use]
pub fn render(result: &RunResult, colour: Colour) -> String {
    let verdict = result.shown_verdict();
    let headline = format!("{} {}", verdict.mark(), verdict.as_str().to_uppercase());
    let mut out = format!(
        "{}  {}\n{}\n",
        colour.verdict(verdict, &headline),
        text::line(&result.scenario, text::NAME),
        text::line(proof::reason(result), text::CELL),
    );
    for why in result.contradictions() {
        let why = text::line(&why, text::CELL);
        let _ = writeln!(out, "{}", colour.verdict(Verdict::Unknown, &format!("! {why}")));
    }
    out.push('\n');
    for (name, figure) in proof::rows(result) {
        let _ =
            writeln!(out, "  {}{figure}", colour.dim(&format!("{:<NAMES$}", name.to_lowercase())));
    }
    if !result.checks.is_empty() {
        out.push('\n');
    }
    let width = result.checks.iter().map(|c| id(c).chars().count()).max().unwrap_or(0);
    for found in &result.checks {
        check(&mut out, found, width, colour);
    }
    if !result.reproduce.is_empty() {
        let again = text::line(&result.reproduce, text::PROSE);
        let _ = writeln!(out, "\n  {}{again}", colour.dim(&format!("{:<NAMES$}", "run again")));
    }
    out
}

fn id(check: &CheckResult) -> String {
    text::line(&check.id, text::NAME)
}

fn check(out: &mut String, check: &CheckResult, width: usize, colour: Colour) {
    let _ = writeln!(
        out,
        "  {} {:<width$}  {}",
        colour.verdict(check.verdict, check.verdict.mark()),
        id(check),
        text::line(&check.summary, text::CELL),
    );
    for witness in check.witnesses.iter().take(WITNESSES) {
        let what = text::line(&witness.what, text::CELL);
        let _ = writeln!(out, "      {what}");
        if !witness.attribution.is_empty() {
            let attribution = text::line(&witness.attribution, text::CELL);
            let _ = writeln!(out, "      {}", colour.dim(&format!("  {attribution}")));
        }
    }
    if let Some(more) = check.witnesses.len().checked_sub(WITNESSES).filter(|more| *more > 0) {
        let _ = writeln!(out, "      {}", colour.dim(&format!("and {more} more in result.json")));
    }
}
