//! The committed sample runs: they are read, rendered in every format, and say what they should.

use std::fs;
use std::path::{Path, PathBuf};

use stormproof_reports::compare::{self, Side};
use stormproof_reports::schema::{RunResult, Seen, Verdict};
use stormproof_reports::terminal::{self, Colour};
use stormproof_reports::{html, junit, markdown, prometheus, tables, trend};

/// A sample is not larger than this.
const LARGEST: u64 = 500 << 10;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runs").join(format!("{name}.json"))
}

fn sample(name: &str) -> RunResult {
    RunResult::load(&file(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_sample_is_read_small_and_rendered_in_every_format() {
    let names = ["default", "stall-exactly-once", "stall-at-least-once", "convicted"];
    let mut results = Vec::new();
    for name in names {
        let size = fs::metadata(file(name)).expect("the sample exists").len();
        assert!(size < LARGEST, "{name}: {size} bytes");
        let result = sample(name);
        assert_eq!(result.contradictions(), Vec::<String>::new(), "{name}");
        assert!(
            result.origin.as_ref().is_some_and(|o| o.scenario_toml.contains("[job]")),
            "{name}"
        );
        let page = html::render(&result);
        assert!(page.len() < 3 << 20 && page.contains("</html>"), "{name}");
        for picture in ["Which fault hurt most?", "id=\"percentiles\"", "class=\"waffle\""] {
            assert!(page.contains(picture), "{name}: {picture}");
        }
        assert!(markdown::render(&result).contains("**Hurt most:**"), "{name}");
        assert!(terminal::render(&result, Colour::Plain).len() > 500, "{name}");
        results.push(result);
    }
    for text in [junit::render(&results), tables::render(&results), prometheus::render(&results)] {
        for result in &results {
            assert!(text.contains(&result.scenario), "{}", result.scenario);
        }
    }
    assert!(html::trend(&results).contains("4 results"));
    assert!(trend::markdown(&results).contains("4 results"));
}

#[test]
fn the_default_run_is_proven_at_two_thousand_through_twelve_faults() {
    let result = sample("default");
    assert_eq!((result.shown_verdict(), result.parallelism), (Verdict::Proven, 2000));
    assert_eq!((result.records, result.lost, result.faults_landed), (1_000_000, Some(0), 12));
    let sinks = result.subtasks.iter().find(|figures| figures.of == "sink").expect("sinks");
    assert_eq!(sinks.values.len(), 2000);
    assert!(result.matrix.is_some_and(|matrix| matrix.cells.len() > 1_000), "with the kill matrix");
}

#[test]
fn a_stalling_subtask_delays_aligned_checkpoints_and_both_modes_stay_proven() {
    let [a, b] = ["stall-exactly-once", "stall-at-least-once"]
        .map(|name| Side { name: name.to_owned(), results: vec![sample(name)] });
    for side in [&a, &b] {
        assert_eq!(side.results[0].shown_verdict(), Verdict::Proven, "{}", side.name);
    }
    let page = html::comparison(&a, &b);
    assert!(page.contains("exactly-once") && page.contains("at-least-once"));
    assert!(compare::markdown(&a, &b).contains("| mode | exactly-once | at-least-once |"));
}

#[test]
fn the_mutant_is_convicted_with_the_way_of_a_lost_record() {
    let result = sample("convicted");
    assert_eq!(result.shown_verdict(), Verdict::Violated);
    assert!(result.lost.is_some_and(|lost| lost > 0));
    let witnesses = result.checks.iter().flat_map(|check| &check.witnesses);
    let passages: Vec<_> = witnesses.filter_map(|witness| witness.passage.as_ref()).collect();
    let lost = |seen| seen == Seen::Missing;
    assert!(passages.iter().any(|p| p.hops.last().is_some_and(|hop| lost(hop.seen))));
    assert!(passages.iter().any(|p| p.checkpoint.is_some() && p.fault.is_some()), "attributed");
    assert!(html::render(&result).contains("lost here"));
}

#[test]
fn no_sample_names_a_place_of_the_machine_that_made_it() {
    for entry in fs::read_dir(file("x").parent().expect("a folder")).expect("listed") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("readable");
        for place in ["/root", "/home/", "/work/", "/tmp/"] {
            assert!(!text.contains(place), "{}: {place}", path.display());
        }
    }
}
