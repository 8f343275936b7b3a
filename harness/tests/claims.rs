//! `stormproof claims`: experiments whose answers are exact, the page of the committed outcome,
//! and what is said of claims that do not exist.

mod common;

use std::path::Path;

use common::needs;
use stormproof_harness::claims::TABLE;
use stormproof_reports::claims::{Answer, Claims, markdown, svg};

/// Runs claims in small; what depends on real time may come out as it likes.
fn run(which: &[&str]) -> (i32, Claims) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut args = vec!["claims", "--quiet", "--out", "out", "--parallelism", "100"];
    args.extend(["--smaller", "10"]);
    args.extend(which);
    let output = common::stormproof(&args, folder.path());
    let claims = Claims::load(&folder.path().join("out/claims.json"));
    let claims = claims.unwrap_or_else(|e| panic!("{e}: {}", common::said(&output)));
    assert!(folder.path().join("out/claims.html").is_file());
    (output.status.code().expect("it ended by itself"), claims)
}

#[test]
fn what_the_simulation_shows_is_exact() {
    let (code, claims) = run(&["2", "6", "11", "13", "16", "--schedules", "400"]);
    for claim in &claims.claims {
        assert_eq!(claim.contradiction(), None, "{claim:#?}");
        assert_eq!(claim.answer(), Answer::Found(claim.expected), "{claim:#?}");
    }
    assert_eq!(code, 0);
}

/// The sawtooth is shown twice: in virtual time, and by a monitor of a broker, in real time.
#[test]
fn the_simulated_sawtooth_is_exact() {
    let (_, claims) = run(&["sawtooth"]);
    let shown = claims.claims[0].shown().expect("it ran");
    let simulated: Vec<_> = shown.says.iter().filter(|it| !it.text.starts_with("on ")).collect();
    assert_eq!(simulated.len(), 4, "{shown:#?}");
    assert!(simulated.iter().all(|fact| fact.holds), "{simulated:#?}");
}

#[cfg(feature = "mutants")]
#[test]
fn the_first_barrier_loses_a_record_by_a_schedule_that_is_shown() {
    let (code, claims) = run(&["first-barrier", "list-buffer", "list-state", "--schedules", "400"]);
    for claim in &claims.claims {
        assert_eq!(claim.contradiction(), None, "{claim:#?}");
    }
    let schedule = &claims.claims[0].shown().expect("it ran").schedule;
    assert!(schedule.iter().any(|line| line.starts_with("lost: offset")), "{schedule:#?}");
    assert!(schedule.iter().any(|line| line.contains("fault: ")), "{schedule:#?}");
    assert_eq!(code, 0);
}

/// On a loaded machine figures may be anything; an experiment that cannot be carried out may not.
#[test]
fn experiments_on_the_engine_are_carried_out() {
    let (_, claims) = run(&["1", "3", "5", "8", "15", "17", "18"]);
    assert_eq!(claims.claims.len(), 7);
    for claim in &claims.claims {
        assert!(claim.shown().is_some(), "{claim:#?}");
    }
}

#[test]
fn claims_about_kafka_are_tried_on_kafka_where_there_is_one() {
    if needs::variable("claims about Kafka", needs::SERVICES, needs::KAFKA_HOME).is_none() {
        return;
    }
    let (_, claims) = run(&["linger", "sawtooth", "--env", "local"]);
    for claim in &claims.claims {
        let shown = claim.shown().unwrap_or_else(|| panic!("{claim:#?}"));
        assert!(shown.says.iter().any(|fact| fact.text.contains("on Kafka")), "{claim:#?}");
    }
}

#[test]
fn a_claim_that_does_not_exist_is_named_with_the_nearest() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = common::stormproof(&["claims", "sawtoth"], folder.path());
    let said = common::said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("sawtoth") && said.contains("sawtooth"), "{said}");
}

#[test]
fn the_committed_page_is_what_the_committed_outcome_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let claims = Claims::load(&root.join("reports/runs/claims.json")).expect("the outcome");
    let read = |file: &str| {
        std::fs::read_to_string(root.join("docs").join(file))
            .unwrap_or_else(|e| panic!("{file}: {e}"))
    };
    let remedy = "run `stormproof claims --render reports/runs/claims.json --out docs`";
    assert!(read("claims.md") == markdown::page(&claims), "docs/claims.md is stale: {remedy}");
    for claim in &claims.claims {
        if let Some(figure) = claim.shown().and_then(|shown| shown.figure.as_ref()) {
            let file = markdown::picture(claim);
            assert!(read(&file) == svg::draw(figure), "docs/{file} is stale: {remedy}");
        }
    }
}

#[test]
fn the_committed_outcome_is_of_every_claim_as_it_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let claims = Claims::load(&root.join("reports/runs/claims.json")).expect("the outcome");
    assert_eq!(claims.claims.len(), TABLE.len());
    for (claim, entry) in claims.claims.iter().zip(TABLE) {
        assert_eq!((claim.number, claim.id.as_str()), (entry.number, entry.id));
        assert_eq!((claim.text.as_str(), claim.expected), (entry.text, entry.expected));
        assert_eq!(claim.contradiction(), None, "{}", claim.id);
        assert_eq!(claim.answer(), Answer::Found(claim.expected), "{}", claim.id);
    }
}
