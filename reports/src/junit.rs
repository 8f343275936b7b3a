//! Results as JUnit XML: a suite for each result, a case for each check of the oracle.
//!
//! Invariants: violated is a failure, unknown is an error, and neither can be taken for a pass; a
//! result that contradicts itself has a case that says so. Text is cleaned before the XML escapes.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::proof;
use crate::schema::{CheckResult, RunResult, Verdict};
use crate::text;

/// Witnesses in a case's text at most.
const WITNESSES: usize = 12;

/// Renders the results.
#[must_use]
pub fn render(results: &[RunResult]) -> String {
    let mut report = Report::new("stormproof");
    for result in results {
        report.add_test_suite(suite(result));
    }
    // The only error is that of a writer, and a string's has none.
    report.to_string().unwrap_or_default()
}

fn suite(result: &RunResult) -> TestSuite {
    let mut suite = TestSuite::new(text::line(&result.scenario, text::NAME));
    for (name, value) in [
        ("seed", result.seed.to_string()),
        ("mode", text::line(&result.mode, text::NAME)),
        ("parallelism", result.parallelism.to_string()),
        ("started_at", text::line(&result.started_at, text::NAME)),
        ("reproduce", text::line(&result.reproduce, text::CELL)),
        ("git_commit", {
            text::line(result.environment.git_commit.as_deref().unwrap_or(""), text::NAME)
        }),
    ] {
        suite.add_property((name, value.as_str()));
    }
    let mut whole = TestCase::new("verdict", status(result.shown_verdict(), proof::reason(result)));
    whole.set_classname("stormproof");
    if result.wall_s.is_finite() && result.wall_s >= 0.0 {
        whole.set_time(Duration::from_secs_f64(result.wall_s.min(1e9)));
    }
    let found: Vec<String> =
        result.contradictions().iter().map(|why| text::line(why, text::CELL)).collect();
    let sentences = proof::sentences(result).into_iter().chain(found);
    whole.set_system_out(sentences.collect::<Vec<_>>().join("\n"));
    suite.add_test_case(whole);
    for check in &result.checks {
        suite.add_test_case(case(check));
    }
    suite
}

fn case(check: &CheckResult) -> TestCase {
    let mut status = status(check.verdict, &check.summary);
    if check.verdict != Verdict::Proven {
        status.set_description(description(check));
    }
    let mut case = TestCase::new(text::line(&check.id, text::NAME), status);
    case.set_classname("stormproof.oracle");
    case.set_system_out(text::line(&check.summary, text::CELL));
    case
}

fn status(verdict: Verdict, why: &str) -> TestCaseStatus {
    let kind = match verdict {
        Verdict::Proven => return TestCaseStatus::success(),
        Verdict::Violated => NonSuccessKind::Failure,
        Verdict::Unknown => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(verdict.as_str());
    status.set_message(text::line(why, text::CELL));
    status
}

fn description(check: &CheckResult) -> String {
    let mut lines =
        vec![text::line(&check.title, text::CELL), text::line(&check.summary, text::CELL)];
    for witness in check.witnesses.iter().take(WITNESSES) {
        lines.push(format!("witness: {}", text::line(&witness.what, text::CELL)));
        if !witness.attribution.is_empty() {
            lines.push(format!("  {}", text::line(&witness.attribution, text::CELL)));
        }
    }
    if let Some(more) = check.witnesses.len().checked_sub(WITNESSES).filter(|more| *more > 0) {
        lines.push(format!("and {more} more witnesses in result.json"));
    }
    lines.join("\n")
}
