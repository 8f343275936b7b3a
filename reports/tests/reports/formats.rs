//! JUnit, CSV, Prometheus, comparison and trend: whole, escaped, and never better than the result.

use stormproof_reports::compare::{self, Side};
use stormproof_reports::schema::RunResult;
use stormproof_reports::{html, junit, prometheus, tables, trend};

use crate::hostile::everywhere;
use crate::storm;

const HOSTILE: &str = "]]></testsuite><script>alert(1)</script>\u{202e}\u{7}\"\n=cmd|' /C calc'!A0";

fn side(name: &str, result: &RunResult, count: usize) -> Side {
    Side { name: name.to_owned(), results: vec![result.clone(); count] }
}

/// Attributes and elements of a small document, by a parser.
fn cases(xml: &str) -> (usize, usize, usize) {
    let report = quick_junit::Report::deserialize_from_str(xml).expect("JUnit that parses");
    (report.tests, report.failures, report.errors)
}

#[test]
fn junit_fails_what_is_violated_and_errs_what_is_unknown() {
    assert_eq!(cases(&junit::render(&[storm::proven()])), (8, 0, 0));
    // The verdict and three checks, and one check that is unknown.
    assert_eq!(cases(&junit::render(&[storm::violated()])), (8, 4, 1));
    let unearned = RunResult { faults_landed: 0, ..storm::proven() };
    assert_eq!(cases(&junit::render(&[unearned])), (8, 0, 1), "a proof that was not earned");
}

#[test]
fn hostile_text_stays_text_in_every_format() {
    let result = everywhere(HOSTILE);
    let (a, b) = (side(HOSTILE, &result, 1), side(HOSTILE, &result, 1));
    let (tests, ..) = cases(&junit::render(std::slice::from_ref(&result)));
    assert_eq!(tests, result.checks.len() + 1);
    for page in [html::comparison(&a, &b), html::trend(&[result.clone(), result.clone()])] {
        assert!(!page.contains("<script>alert"), "markup");
        assert!(!page.contains('\u{202e}') && !page.contains('\u{7}'), "controls");
        assert!(page.contains("u{202e}"), "shown instead");
    }
    for text in [compare::markdown(&a, &b), trend::markdown(&[result.clone(), result.clone()])] {
        assert!(!text.contains("<script>") && !text.contains('\u{202e}'), "{text}");
    }
    let text = prometheus::render(std::slice::from_ref(&result));
    let is_line = |line: &str| line.starts_with("# ") || line.starts_with("stormproof_");
    assert!(text.lines().all(is_line), "no value breaks a line");
    assert!(!text.contains('\u{7}'));
}

#[test]
fn csv_has_a_row_for_each_result_and_no_formulas() {
    let hostile = everywhere("=HYPERLINK(\"https://e.example\")");
    let text = tables::render(&[storm::proven(), hostile]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a header").clone();
    let at = |name: &str| names.iter().position(|n| n == name).expect("a column");
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(&rows[0][at("verdict")], "proven");
    assert_eq!(&rows[0][at("records")], "9900000");
    assert_eq!(&rows[0][at("records_per_s")], "60000");
    assert!(rows[1][at("scenario")].starts_with("'="), "{}", &rows[1][at("scenario")]);
}

#[test]
fn prometheus_says_each_name_once_and_the_verdict_as_states() {
    let text = prometheus::render(&[storm::proven(), storm::violated()]);
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let mut unique = heads.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(heads.len(), unique.len());
    let verdicts = text.lines().filter(|l| l.starts_with("stormproof_verdict{"));
    let set: Vec<&str> = verdicts.filter(|line| line.ends_with(" 1")).collect();
    assert_eq!(set.len(), 2);
    assert!(set[0].contains("verdict=\"proven\"") && set[1].contains("verdict=\"violated\""));
    assert!(text.contains("check=\"no-loss\"} 0"), "a violated check is not proven");
}

#[test]
fn a_comparison_names_both_verdicts_and_what_is_not_alike() {
    let page = html::comparison(&side("a", &storm::proven(), 1), &side("b", &storm::violated(), 1));
    assert!(page.contains("storm-2000 with mutant 4"), "another scenario");
    assert!(page.contains("3 records of 9,900,000 have no effect."), "a check's summary");
    assert!(page.contains("within the runs") && page.contains("no spread known"));
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    let alike = html::comparison(&side("a", &storm::proven(), 1), &side("b", &storm::proven(), 1));
    assert!(!alike.contains("B better") && !alike.contains("B worse"), "nothing from nothing");
}

#[test]
fn a_trend_of_many_is_small_and_in_the_order_of_time() {
    let day = |n: u32| {
        let mut result = storm::proven();
        result.started_at = format!("2026-03-{:02}T00:00:00Z", n % 28 + 1);
        result.records_per_s = 60_000.0 + f64::from(n);
        result
    };
    let results: Vec<RunResult> = (0..60).rev().map(day).collect();
    let page = html::trend(&results);
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    assert!(page.contains("60 results") && page.contains("60 proven"));
    assert!(trend::markdown(&results).contains("| throughput |"));
}
