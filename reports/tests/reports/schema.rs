//! The schema on disk: what is saved comes back, and what cannot be read says why.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use stormproof_reports::schema::{RunResult, SchemaError, Verdict, Witness};

use crate::storm;

/// The top-level names of version 2, sorted.
const NAMES: [&str; 44] = [
    "attempts",
    "bench",
    "beside_bare",
    "checkpoints",
    "checkpoints_aborted",
    "checkpoints_completed",
    "checks",
    "coverage",
    "duplicates",
    "duplicates_bound",
    "duplicates_expected",
    "effects",
    "environment",
    "failures",
    "faults",
    "faults_landed",
    "faults_landed_mid_checkpoint",
    "faults_scheduled",
    "latency",
    "latency_curve",
    "lost",
    "matrix",
    "mode",
    "not_tested",
    "notes",
    "origin",
    "parallelism",
    "peak_rss_bytes",
    "phases",
    "records",
    "records_per_s",
    "recoveries",
    "reproduce",
    "sawtooth",
    "scenario",
    "schema_version",
    "seed",
    "started_at",
    "subtasks",
    "timeline",
    "verdict",
    "verdict_reason",
    "wall_s",
    "workers",
];

/// A result as JSON, changed, saved in a folder of its own, and loaded.
fn load_changed(change: impl FnOnce(&mut Value)) -> Result<RunResult, SchemaError> {
    let mut json = serde_json::to_value(storm::violated()).expect("a result is JSON");
    change(&mut json);
    load_text(&json.to_string())
}

fn load_text(text: &str) -> Result<RunResult, SchemaError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("result.json");
    fs::write(&path, text).expect("a file in it");
    RunResult::load(&path)
}

#[test]
fn a_result_survives_saving_and_loading() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("result.json");
    for result in [storm::proven(), storm::violated(), RunResult::default()] {
        result.save(&path).expect("saved");
        assert_eq!(RunResult::load(&path).expect("loaded"), result);
    }
    let left: Vec<_> = fs::read_dir(folder.path()).expect("listed").collect();
    assert_eq!(left.len(), 1, "no temporary file is left behind");
}

#[test]
fn the_names_on_disk_are_the_agreed_ones() {
    let json = serde_json::to_value(storm::violated()).expect("a result is JSON");
    assert_eq!(json["schema_version"], 2);
    assert_eq!(json["verdict"], "violated");
    assert_eq!(json["checkpoints"][0]["status"], "completed");
    assert_eq!(json["checkpoints"][4]["status"], "aborted");
    assert_eq!(json["checks"][0]["witnesses"][0]["details"]["offset"], 812);
    assert_eq!(json["checks"][0]["figures"]["lost_records"], 3.0);
    let names: Vec<&str> =
        json.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, NAMES);
}

#[test]
fn another_version_is_refused_with_both_versions_named() {
    let error = load_changed(|json| json["schema_version"] = json!(1)).expect_err("version 1");
    assert!(matches!(error, SchemaError::Version { found: 1, .. }));
    let said = error.to_string();
    assert!(said.contains("schema version 1"), "{said}");
    assert!(said.contains("reads version 2 only"), "{said}");
    let gone = load_text(r#"{"schema_version":7,"everything":"else"}"#).expect_err("version 7");
    assert!(matches!(gone, SchemaError::Version { found: 7, .. }), "the version is judged first");
}

#[test]
fn an_added_field_is_ignored_and_an_optional_one_may_be_absent() {
    let loaded = load_changed(|json| {
        json["added_later"] = json!(true);
        json["checks"][0]["added_later"] = json!([1, 2]);
        json.as_object_mut().expect("an object").remove("notes");
    });
    let expected = RunResult { notes: Vec::new(), ..storm::violated() };
    assert_eq!(loaded.expect("loaded"), expected);
}

#[test]
fn a_missing_field_is_named() {
    let error = load_changed(|json| {
        json.as_object_mut().expect("an object").remove("lost");
    });
    let said = error.expect_err("no result without `lost`").to_string();
    assert!(said.contains("missing field `lost`"), "{said}");
}

#[test]
fn a_wrong_value_is_named() {
    let said = load_changed(|json| json["verdict"] = json!("passed")).expect_err("no such verdict");
    assert!(said.to_string().contains("unknown variant `passed`"), "{said}");
}

#[test]
fn what_is_no_result_says_so() {
    for text in ["", "[]", "{}", r#"{"schema_version":"one"}"#, "not json"] {
        let error = load_text(text).expect_err(text);
        assert!(matches!(error, SchemaError::NotAResult { .. }), "{text}: {error}");
        assert!(error.to_string().contains("is not a Stormproof result"), "{error}");
    }
}

#[test]
fn a_path_that_cannot_be_used_is_named() {
    let path = PathBuf::from("/nowhere/at/all/result.json");
    let read = RunResult::load(&path).expect_err("no such file").to_string();
    assert!(read.contains("cannot read the result /nowhere/at/all/result.json"), "{read}");
    let write = storm::proven().save(&path).expect_err("no such folder").to_string();
    assert!(write.contains("cannot write the result /nowhere/at/all/result.json"), "{write}");
}

#[test]
fn an_undefined_figure_does_not_make_a_result_unreadable() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("result.json");
    let mut result = storm::proven();
    result.records_per_s = f64::INFINITY;
    result.checks[0].figures.insert("ratio".into(), f64::NAN);
    result.save(&path).expect("saved");
    let loaded = RunResult::load(&path).expect("loaded");
    assert!(loaded.records_per_s.is_nan());
    assert!(loaded.checks[0].figures["ratio"].is_nan());
}

#[test]
fn the_worst_verdict_wins() {
    use Verdict::{Proven, Unknown, Violated};
    for (one, other, worst) in [
        (Proven, Proven, Proven),
        (Proven, Unknown, Unknown),
        (Proven, Violated, Violated),
        (Unknown, Unknown, Unknown),
        (Unknown, Violated, Violated),
        (Violated, Violated, Violated),
    ] {
        assert_eq!(one.worst(other), worst);
        assert_eq!(other.worst(one), worst);
    }
    assert_eq!(Verdict::worst_of([Proven, Unknown, Proven]), Unknown);
    assert_eq!(Verdict::worst_of([]), Unknown, "no evidence proves nothing");
    assert_eq!([Proven, Violated, Unknown].map(Verdict::exit_code), [0, 1, 2]);
}

#[test]
fn a_proven_result_must_have_earned_it() {
    assert_eq!(storm::proven().contradictions(), Vec::<String>::new());
    type Spoil = fn(&mut RunResult);
    let spoilers: [(&str, Spoil); 10] = [
        ("1 records are lost", |r| r.lost = Some(1)),
        ("are not the", |r| r.duplicates_expected = r.duplicates.map(|n| n + 1)),
        ("exceed the bound", |r| {
            r.duplicates_bound = r.duplicates.map(|n| n - 1);
        }),
        ("nobody counted what is lost", |r| r.lost = None),
        ("nobody counted the duplicates", |r| r.duplicates = None),
        ("no checkpoint completed", |r| r.checkpoints_completed = 0),
        ("no fault landed", |r| r.faults_landed = 0),
        ("no check was made", |r| r.checks.clear()),
        ("check no-loss violated", |r| {
            r.checks[0].verdict = Verdict::Violated;
            r.checks[0].witnesses.push(Witness::default());
        }),
        ("check fencing unknown", |r| {
            r.checks[6].verdict = Verdict::Unknown;
        }),
    ];
    for (why, spoil) in spoilers {
        let mut result = storm::proven();
        spoil(&mut result);
        let found = result.contradictions();
        assert!(found.len() == 1 && found[0].contains(why), "{why}: {found:?}");
        assert_eq!(result.shown_verdict(), Verdict::Unknown, "{why}");
    }
}

#[test]
fn a_violation_without_a_witness_is_a_contradiction() {
    let mut result = storm::violated();
    assert_eq!(result.contradictions(), Vec::<String>::new());
    result.checks[0].witnesses.clear();
    assert_eq!(result.contradictions(), ["The check no-loss is violated without a witness."]);
    assert_eq!(result.shown_verdict(), Verdict::Violated, "a violation is never softened");
}
