//! Answers, exit codes, and hostile text in every format.

use super::*;
use crate::terminal::Colour;

fn finding(answer: Answer) -> Finding {
    Finding {
        figure: "cpu_ns_per_record".to_owned(),
        part: "wall".to_owned(),
        answer,
        base: Some(40.0),
        head: Some(42.0),
        worse_percent: Some(5.0),
        interval_percent: Some((4.1, 6.0)),
        because: "12 pairs, confirmed".to_owned(),
        remedy: if answer == Answer::Pass { String::new() } else { "look at it".to_owned() },
    }
}

fn report(answers: &[Answer]) -> GateReport {
    GateReport {
        base: "main".to_owned(),
        head: "this".to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
        seconds: 3.0,
        findings: answers.iter().map(|answer| finding(*answer)).collect(),
        notes: Vec::new(),
    }
}

#[test]
fn the_worst_answer_wins_and_nothing_is_no_pass() {
    use Answer::{NoVerdict, Pass, Regression};
    for (answers, expected, code) in [
        (&[][..], NoVerdict, 2),
        (&[Pass, Pass], Pass, 0),
        (&[Pass, NoVerdict], NoVerdict, 2),
        (&[NoVerdict, Regression, Pass], Regression, 1),
    ] {
        let answer = report(answers).answer();
        assert_eq!((answer, answer.exit_code()), (expected, code), "{answers:?}");
    }
}

#[test]
fn a_table_says_which_how_much_how_sure_and_what_to_do() {
    let shown = table(&report(&[Answer::Pass, Answer::Regression]), Colour::Plain);
    assert!(shown.starts_with("REGRESSION  1 of 2 figures are worse"), "{shown}");
    for part in [
        "cpu_ns_per_record",
        "40.00 -> 42.00",
        "5.00 % worse [+4.10, +6.00]",
        "12 pairs, confirmed",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("-> look at it") && !shown.contains('\u{1b}'), "{shown}");
    assert!(table(&report(&[Answer::Pass]), Colour::Ansi).contains("\u{1b}[1;32m"));
}

#[test]
fn junit_counts_failures_and_what_was_skipped() {
    let xml = junit(&report(&[Answer::Pass, Answer::NoVerdict, Answer::Regression]));
    assert!(xml.contains("tests=\"3\"") && xml.contains("failures=\"1\""), "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), 3);
    assert_eq!(xml.matches("<skipped ").count(), 1);
    assert!(xml.contains("<failure message=\"40.00 -&gt; 42.00"), "{xml}");
    assert!(xml.contains("look at it"), "{xml}");
}

#[test]
fn hostile_text_stays_text() {
    let hostile = "<script>&\"'`|\n@all \u{202e}\u{1b}[31m ![x](http://evil)";
    let mut report = report(&[Answer::Regression]);
    report.base = hostile.to_owned();
    report.findings[0].figure = hostile.to_owned();
    report.findings[0].because = hostile.to_owned();
    report.findings[0].remedy = hostile.to_owned();
    report.notes = vec![hostile.to_owned()];
    let (shown, markdown, xml) = (table(&report, Colour::Plain), markdown(&report), junit(&report));
    for text in [&shown, &markdown, &xml] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }
    assert!(!xml.contains("<script>"), "{xml}");
    let rows = markdown.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 2, "a head and a figure: {markdown}");
    assert!(!markdown.contains("@all") && !markdown.contains("<script>&\""), "{markdown}");
}

#[test]
fn numbers_are_short() {
    for (value, shown) in
        [(0.0, "0"), (0.0031, "0.00310"), (41.333, "41.33"), (50_800_000.4, "50,800,000")]
    {
        assert_eq!(number(value), shown);
    }
}

#[test]
fn a_report_is_read_back_as_it_was_written() {
    let report = report(&[Answer::NoVerdict]);
    let json = serde_json::to_string(&report).expect("plain data");
    assert_eq!(serde_json::from_str::<GateReport>(&json).expect("its own"), report);
}
