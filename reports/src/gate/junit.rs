//! JUnit XML: a test case for each figure; a regression is a failure, no verdict is skipped.

use std::fmt::Write as _;

use super::{Answer, GateReport};
use crate::text;

/// Renders it.
#[must_use]
pub fn render(report: &GateReport) -> String {
    let of = |answer| report.findings.iter().filter(|f| f.answer == answer).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites>\n<testsuite name=\"stormproof gate\" tests=\"{}\" failures=\"{}\" \
         skipped=\"{}\" time=\"{:.3}\" timestamp=\"{}\">",
        report.findings.len(),
        of(Answer::Regression),
        of(Answer::NoVerdict),
        report.seconds,
        escaped(report.at.trim_end_matches('Z')),
    );
    for finding in &report.findings {
        let _ = write!(
            out,
            "  <testcase classname=\"gate.{}\" name=\"{}\"",
            escaped(&finding.part),
            escaped(&finding.figure)
        );
        let tag = match finding.answer {
            Answer::Pass => {
                out.push_str("/>\n");
                continue;
            }
            Answer::Regression => "failure",
            Answer::NoVerdict => "skipped",
        };
        let message = [finding.values(), finding.size(), finding.because.clone()];
        let message: Vec<_> = message.into_iter().filter(|part| !part.is_empty()).collect();
        let message = escaped(&message.join("; "));
        let _ = write!(out, ">\n    <{tag} message=\"{message}\"");
        match (finding.answer, finding.remedy.is_empty()) {
            (Answer::Regression, false) => {
                let _ = writeln!(out, ">{}</{tag}>", escaped(&finding.remedy));
            }
            _ => out.push_str("/>\n"),
        }
        out.push_str("  </testcase>\n");
    }
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

fn escaped(foreign: &str) -> String {
    let shown = text::line(foreign, text::PROSE);
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
