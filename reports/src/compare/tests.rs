//! What may be said of two runs, of few repetitions, and of enough.

use super::*;
use crate::schema::{CheckpointStatus, CheckpointSummary};

fn result(rate: f64, checkpoint_ms: &[f64]) -> RunResult {
    let checkpoint = |(n, ms): (usize, &f64)| CheckpointSummary {
        id: n as u64 + 1,
        status: CheckpointStatus::Completed,
        triggered_s: n as f64,
        completed_s: Some(n as f64 + ms / 1e3),
        ..CheckpointSummary::default()
    };
    RunResult {
        records_per_s: rate,
        checkpoints: checkpoint_ms.iter().enumerate().map(checkpoint).collect(),
        ..RunResult::default()
    }
}

fn side(rates: &[f64]) -> Side {
    let results = rates.iter().map(|rate| result(*rate, &[40.0, 41.0, 42.0])).collect();
    Side { name: "side".to_owned(), results }
}

fn found(a: &Side, b: &Side, id: &str) -> Row {
    rows(a, b).into_iter().find(|row| row.id == id).expect("both sides have it")
}

#[test]
fn a_single_run_has_no_spread_and_is_not_judged() {
    let row = found(&side(&[100.0]), &side(&[900.0]), "records_per_s");
    assert_eq!((row.basis, row.finding), (Basis::Nothing, Finding::Unjudged));
    assert_eq!((row.interval, row.a.quartiles), (None, None));
}

#[test]
fn within_single_runs_checkpoints_are_compared_and_it_is_said() {
    let a = Side { name: "a".into(), results: vec![result(1.0, &[10.0, 11.0, 12.0, 11.0, 10.0])] };
    let b = Side { name: "b".into(), results: vec![result(1.0, &[30.0, 31.0, 33.0, 32.0, 30.0])] };
    let row = found(&a, &b, "checkpoint_ms");
    assert_eq!((row.basis, row.finding), (Basis::Within, Finding::Worse));
    assert_eq!(found(&b, &a, "checkpoint_ms").finding, Finding::Better);
    assert_eq!(found(&a, &a, "checkpoint_ms").finding, Finding::Alike);
}

#[test]
fn five_repetitions_are_judged_and_four_are_not() {
    let (slow, fast) = ([98.0, 99.0, 100.0, 101.0, 102.0], [120.0, 121.0, 122.0, 123.0, 124.0]);
    let row = found(&side(&slow), &side(&fast), "records_per_s");
    assert_eq!((row.basis, row.finding), (Basis::Repetitions, Finding::Better));
    let few = found(&side(&slow[..4]), &side(&fast[..4]), "records_per_s");
    assert_eq!((few.basis, few.finding), (Basis::Repetitions, Finding::Unjudged));
    assert!(few.interval.is_some(), "shown all the same");
}

#[test]
fn what_is_not_alike_is_named() {
    let (a, mut b) = (side(&[1.0]), side(&[1.0]));
    assert!(circumstances(&a, &b).is_empty());
    b.results[0].mode = "at-least-once".to_owned();
    let differing = circumstances(&a, &b);
    assert_eq!(differing.len(), 1);
    assert_eq!((differing[0].0, differing[0].2.as_str()), ("mode", "at-least-once"));
}

#[test]
fn the_markdown_never_shows_a_difference_without_its_basis() {
    let shown = markdown(&side(&[100.0]), &side(&[90.0]));
    let line = shown.lines().find(|line| line.contains("throughput")).expect("a line");
    assert!(line.contains("−10 %") && line.contains("no spread known"), "{line}");
    assert!(line.contains("not judged"), "{line}");
}

#[test]
fn beside_next_to_nothing_a_difference_is_shown_as_it_is() {
    let shown = |a: f64, b: f64| {
        let shown = markdown(&side(&[a]), &side(&[b]));
        shown.lines().find(|line| line.contains("throughput")).expect("a line").to_owned()
    };
    assert!(!shown(1.0, 900.0).contains('%'), "{}", shown(1.0, 900.0));
    assert!(shown(100.0, 900.0).contains("800 %"), "{}", shown(100.0, 900.0));
}
