//! Hostile input: markup, script ends, direction overrides, terminal escapes, endless strings.

use std::collections::BTreeMap;

use serde_json::json;
use stormproof_reports::schema::{
    CheckResult, CoverageCell, FaultSummary, Hop, MatrixCell, MatrixOutcome, MatrixSummary, Origin,
    Passage, RunResult, Seen, SubtaskFigures, Witness,
};
use stormproof_reports::terminal::Colour;
use stormproof_reports::{html, markdown, terminal};

use crate::storm;

const SCRIPT: &str = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)>";
const OVERRIDE: &str = "safe\u{202e}txt.exe";
const ESCAPE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J";

/// A result with the payload in every field that holds text.
pub(crate) fn everywhere(payload: &str) -> RunResult {
    let text = || payload.to_owned();
    let mut result = storm::violated();
    for field in [
        &mut result.scenario,
        &mut result.verdict_reason,
        &mut result.mode,
        &mut result.reproduce,
        &mut result.started_at,
        &mut result.environment.name,
        &mut result.environment.os,
        &mut result.environment.cpu_model,
        &mut result.environment.kernel,
        &mut result.environment.stormproof_version,
        &mut result.phases[0].name,
        &mut result.failures[0].cause,
    ] {
        *field = text();
    }
    result.environment.git_commit = Some(text());
    result.environment.versions = BTreeMap::from([(text(), text())]);
    result.not_tested = vec![text()];
    result.notes = vec![text()];
    result.recoveries[0].fault = Some(text());
    result.coverage.push(CoverageCell { step: text(), action: text(), scheduled: 1, landed: 0 });
    result.checkpoints[0].aborted_because = Some(text());
    result.subtasks.push(SubtaskFigures {
        what: text(),
        of: text(),
        unit: text(),
        values: vec![1, 2],
    });
    result.matrix = Some(matrix(payload));
    result.origin =
        Some(Origin { scenario_toml: text(), schedule: json!(text()), mutant: Some(text()) });
    result.faults.push(fault(payload));
    result.checks.push(check(payload));
    result
}

fn fault(payload: &str) -> FaultSummary {
    let text = || payload.to_owned();
    FaultSummary {
        id: text(),
        what: text(),
        target: text(),
        step: Some(text()),
        action: text(),
        effect: text(),
        fired_s: Some(1.0),
        ..FaultSummary::default()
    }
}

fn passage(payload: &str) -> Passage {
    let text = || payload.to_owned();
    let hop = Hop { place: text(), name: text(), seen: Seen::Missing, note: text() };
    let fault = Some(text());
    Passage { hops: vec![hop; 6], checkpoint: Some(1), restored_by: Some(2), fault }
}

fn matrix(payload: &str) -> MatrixSummary {
    let text = || payload.to_owned();
    let cell = MatrixCell {
        step: text(),
        action: text(),
        mode: text(),
        design: text(),
        outcome: MatrixOutcome::Convicted,
        seed: Some(1),
        why: text(),
    };
    MatrixSummary { cells: vec![cell], ..MatrixSummary::default() }
}

fn check(payload: &str) -> CheckResult {
    let text = || payload.to_owned();
    CheckResult {
        id: text(),
        title: text(),
        summary: text(),
        figures: BTreeMap::from([(text(), 1.0)]),
        witnesses: vec![Witness {
            what: text(),
            attribution: text(),
            details: BTreeMap::from([(text(), json!([text()]))]),
            passage: Some(passage(payload)),
        }],
        ..CheckResult::default()
    }
}

#[test]
fn markup_never_reaches_the_page() {
    let clean = html::render(&storm::violated());
    let page = html::render(&everywhere(SCRIPT));
    for token in ["<script", "</script", "<img", "<!--"] {
        let (expected, found) = (clean.matches(token).count(), page.matches(token).count());
        assert_eq!(found, expected, "{token}");
    }
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"), "shown as text");
    assert!(page.contains(r"\u003c/script\u003e"), "escaped in the charts' data");
}

#[test]
fn quotes_cannot_leave_an_attribute() {
    let page = html::render(&everywhere(r#"" onmouseover="alert(1)" x=""#));
    let (markup, _) = page.split_once("application/json").expect("the charts' data");
    assert!(!markup.contains(r#"" onmouseover="#));
    assert!(markup.contains("&quot; onmouseover="));
}

#[test]
fn direction_overrides_and_controls_are_visible_everywhere() {
    let result = everywhere(&format!("{OVERRIDE}{ESCAPE}"));
    for rendered in
        [html::render(&result), markdown::render(&result), terminal::render(&result, Colour::Plain)]
    {
        assert!(!rendered.contains('\u{202e}'), "no override");
        assert!(!rendered.contains('\u{1b}') && !rendered.contains('\u{7}'), "no control");
        assert!(rendered.contains("u{202e}"), "shown instead");
    }
    let coloured = terminal::render(&result, Colour::Ansi);
    assert!(!coloured.contains("\u{1b}]") && !coloured.contains("\u{1b}[2J"), "only colours");
}

#[test]
fn ordinary_right_to_left_text_is_kept_and_isolated() {
    let page = html::render(&everywhere("סערה 2000"));
    assert!(page.contains("<bdi>סערה 2000</bdi>"));
}

#[test]
fn markdown_stays_text() {
    let payload = "a|b `x` **y** @everyone <img src=x>\n# h\n[l](https://e.example) ```";
    let summary = markdown::render(&everywhere(payload));
    let table = |line: &&str| line.starts_with("| ");
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for line in summary.lines().filter(table) {
        let columns = cells(line);
        assert!(columns == 3 || columns == 4, "{line}");
    }
    let (prose, command) = summary.split_once("Run it again").expect("a command");
    assert!(!prose.contains("@everyone") && !prose.contains("<img"), "{prose}");
    assert!(!prose.contains("https://"), "{prose}");
    assert!(!prose.lines().any(|line| line.starts_with("# ")), "{prose}");
    assert!(command.contains("\n````sh\n"), "the fence is longer than the payload's: {command}");
}

#[test]
fn endless_strings_are_cut_with_a_note() {
    let result = everywhere(&"x<".repeat(1 << 19));
    let page = html::render(&result);
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    assert!(page.contains("… [cut: 400 of 1,048,576 characters]"));
    let summary = markdown::render(&result);
    assert!(summary.len() < 64 << 10, "{} bytes", summary.len());
    assert!(summary.contains("of 1,048,576 characters"));
    assert!(terminal::render(&result, Colour::Plain).len() < 64 << 10);
}

#[test]
fn endless_lists_are_cut_with_a_note() {
    let mut result = storm::violated();
    result.faults = vec![fault("some fault of ordinary length"); 50_000];
    let mut violated = check("some check of ordinary length");
    result.checks = vec![violated.clone(); 5_000];
    violated.witnesses = vec![violated.witnesses[0].clone(); 10_000];
    result.checks[0] = violated;
    result.checkpoints = vec![result.checkpoints[0].clone(); 50_000];
    result.timeline = (0..20).flat_map(|_| result.timeline.clone()).collect();
    result.not_tested = vec!["something".into(); 9_000];
    let page = html::render(&result);
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    assert!(page.contains("49700 more of 50000"), "faults");
    assert!(page.contains("9988 more of 10000"), "witnesses");
    assert!(markdown::render(&result).len() < 64 << 10);
}
