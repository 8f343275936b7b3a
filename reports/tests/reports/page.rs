//! The page as a whole: self-contained, small, and never better than its evidence.

use serde_json::Value;
use stormproof_reports::html;
use stormproof_reports::schema::{BesideBare, RunResult};
use stormproof_reports::terminal::{self, Colour};

use crate::storm;

/// The charts' data, as the page's script will parse it.
fn embedded(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"id="data">"#).expect("a data element");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn the_page_loads_nothing_and_is_small() {
    let page = html::render(&storm::proven());
    assert!(page.len() < 400 << 10, "{} bytes", page.len());
    assert!(page.contains("default-src 'none'"), "its policy forbids loading");
    for loader in [" src=", "@import", "url(", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!page.contains(loader), "{loader}");
    }
    let links = page.matches("href=").count();
    let inside = page.matches(r##"href="#"##).count() + page.matches(r#"href="data:,""#).count();
    assert_eq!(links, inside, "only places on the page, and the empty icon");
    assert!(page.contains("The MIT License"), "the charts' licence travels along");
}

#[test]
fn the_top_states_verdict_relations_and_limits() {
    let page = html::render(&storm::violated());
    assert!(page.contains(r#"<header class="violated">"#));
    let term = |figure: &str, name: &str| format!("<b>{figure}</b> <small>{name}</small>");
    for (sign, figure, name) in
        [("≠", "779,154", "expected"), ("≤", "1,071,820", "allowed at most"), ("−", "3", "lost")]
    {
        assert!(page.contains(&term(figure, name)), "{name}");
        assert!(page.contains(&format!(r#"<span class="sign">{sign}</span>"#)), "{sign}");
    }
    assert!(page.contains("Rescaling: the parallelism stayed at 2000."));
    assert!(page.contains("in flight on source 417 -&gt; sink 88 at checkpoint 12"));
}

#[test]
fn an_unearned_proof_is_shown_as_unknown_with_the_reason() {
    let page = html::render(&RunResult { faults_landed: 0, ..storm::proven() });
    assert!(page.contains(r#"<header class="unknown">"#));
    assert!(page.contains("This result contradicts itself."));
    assert!(page.contains("Called proven, but no fault landed."));
    assert!(page.contains("was observed, and proves nothing"));
    assert!(!page.contains("What was proven"));
}

#[test]
fn the_charts_get_the_timeline_the_checkpoints_and_the_bands() {
    let result = storm::violated();
    let data = embedded(&html::render(&result));
    let t = data["t"].as_array().expect("times");
    assert_eq!(t.len(), result.timeline.len());
    for series in ["rate_in", "rate_out", "lag", "committed", "p50", "p99"] {
        assert_eq!(data[series].as_array().map(Vec::len), Some(t.len()), "{series}");
    }
    assert_eq!(data["checkpoints"].as_array().map(Vec::len), Some(35));
    let first = &result.checkpoints[0];
    let took_ms = (first.completed_s.expect("completed") - first.triggered_s) * 1000.0;
    let shown_ms = data["checkpoints"][0]["ms"].as_f64().expect("a duration");
    assert!((shown_ms - took_ms).abs() < 0.001, "{shown_ms} {took_ms}");
    assert_eq!(data["faults"][10]["label"], "f11 · partition at barrier received");
    assert_eq!(data["faults"][10]["landed"], false);
    assert_eq!(data["faults"][0]["from"], 12.31);
    assert_eq!(data["faults"][0]["to"], 14.21);
}

#[test]
fn a_bare_result_renders() {
    let page = html::render(&RunResult::default());
    assert!(page.contains("No timeline was recorded."));
    assert!(page.contains(r#"<header class="unknown">"#));
}

#[test]
fn bare_clients_stand_beside_the_job_where_they_were_measured() {
    let mut result = storm::proven();
    assert!(!html::render(&result).contains("Beside bare clients"));
    result.beside_bare = Some(BesideBare {
        records: 1_000_000,
        consumer_records_per_s: 2_303_413.0,
        loader_records_per_s: 200_000.0,
        upserts_records_per_s: 407_984.0,
        job_records_per_s: 170_000.0,
        share_of_bare: 0.85,
    });
    let page = html::render(&result);
    for shown in ["Beside bare clients", "2,303,413", "200,000", "407,984", "170,000", "0.85"] {
        assert!(page.contains(shown), "{shown}");
    }
    let told = "170,000 records/s without faults, 0.85 of the slower";
    assert!(terminal::render(&result, Colour::Plain).contains(told));
}

#[test]
fn the_three_questions_are_answered_first() {
    let page = html::render(&storm::violated());
    let (top, _) = page.split_once(r#"id="timeline""#).expect("a timeline");
    assert!(top.contains("Which fault hurt most?") && top.contains("No new effect for "));
    assert!(top.contains("<b>3 records</b> of 9,900,000"), "what was lost");
    assert!(top.contains("stormproof run --scenario storm-2000"), "how to run it again");
}

#[test]
fn a_lost_record_is_drawn_from_the_partition_to_the_row() {
    let page = html::render(&storm::violated());
    assert_eq!(page.matches("lost here").count(), 2, "of the first two witnesses");
    for place in ["partition 417", "source[417]", "count[88]", "sink[88]", "database"] {
        assert!(page.contains(place), "{place}");
    }
    assert!(page.contains("was restored by attempt <b>6</b>"), "with the checkpoint");
    assert!(page.contains("<b><bdi>f5</bdi></b>"), "and the fault");
}

#[test]
fn the_pictures_have_their_data_and_their_figures() {
    let result = storm::proven();
    let page = html::render(&result);
    let data = embedded(&page);
    assert_eq!(data["subtasks"][1]["values"].as_array().map(Vec::len), Some(2000));
    assert_eq!(data["curve"]["intended"].as_array().map(Vec::len), Some(60));
    assert_eq!(data["recoveries"][0]["from"], 12.31);
    assert_eq!(data["recoveries"].as_array().map(Vec::len), Some(result.recoveries.len()));
    assert!(page.contains(r#"class="cell impossible" title="exactly-once"#), "hollow cells");
    assert_eq!(page.matches("cell survived\" title").count(), 88);
    assert!(page.contains("<td>88, "), "the busiest subtask is named first");
}

#[test]
fn an_hours_run_stays_below_its_limit() {
    let mut result = storm::proven();
    let hour: Vec<_> = (0..14_400_u32)
        .map(|n| {
            let mut sample = result.timeline[n as usize % result.timeline.len()].clone();
            sample.t_s = f64::from(n) / 4.0;
            sample
        })
        .collect();
    result.timeline = hour;
    let many = |n: usize| result.checkpoints[n % result.checkpoints.len()].clone();
    result.checkpoints = (0..720).map(many).collect();
    result.faults = (0..400).map(|n| result.faults[n % result.faults.len()].clone()).collect();
    let page = html::render(&result);
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
}
