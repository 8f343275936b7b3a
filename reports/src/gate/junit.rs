//! JUnit XML: a test case for each figure; a regression is a failure, no verdict is skipped.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Answer, Finding, GateReport};
use crate::text;

/// Renders it.
#[must_use]
pub fn render(report: &GateReport) -> String {
    let mut suite = TestSuite::new("stormproof gate");
    for (name, value) in [("base", &report.base), ("head", &report.head), ("at", &report.at)] {
        suite.add_property((name, text::line(value, text::NAME).as_str()));
    }
    if report.seconds.is_finite() && report.seconds >= 0.0 {
        suite.set_time(Duration::from_secs_f64(report.seconds.min(1e9)));
    }
    for finding in &report.findings {
        let mut case = TestCase::new(text::line(&finding.figure, text::NAME), status(finding));
        case.set_classname(format!("gate.{}", text::line(&finding.part, text::NAME)));
        suite.add_test_case(case);
    }
    let mut all = Report::new("stormproof gate");
    all.add_test_suite(suite);
    // The only error is that of a writer, and a string's has none.
    all.to_string().unwrap_or_default()
}

fn status(finding: &Finding) -> TestCaseStatus {
    let mut status = match finding.answer {
        Answer::Pass => return TestCaseStatus::success(),
        Answer::Regression => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Answer::NoVerdict => TestCaseStatus::skipped(),
    };
    let parts = [finding.values(), finding.size(), finding.because.clone(), finding.remedy.clone()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    status.set_message(text::line(&parts.join("; "), text::PROSE));
    status
}
