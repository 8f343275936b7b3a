//! The page as a whole: self-contained, small, and never better than its evidence.

use serde_json::Value;
use stormproof_reports::html;
use stormproof_reports::schema::RunResult;

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
    assert_eq!(page.matches("href=").count(), 1, "only the empty icon");
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
