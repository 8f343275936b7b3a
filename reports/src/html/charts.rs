//! The charts' frame and their data.
//!
//! Invariants: the timeline has at most [`POINTS`] points, merged so that no peak is lost; the
//! data is JSON inside a script element in which no `<` can end that element.

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::{part, remainder};
use crate::schema::{CheckpointStatus, RunResult, Sample};
use crate::text;

/// Points of the timeline shown at most.
const POINTS: usize = 2_000;
/// Checkpoints shown at most.
const CHECKPOINTS: usize = 2_000;
/// Fault bands shown at most.
const BANDS: usize = 500;

/// What the script draws.
#[derive(Serialize)]
struct Data {
    end_s: f64,
    t: Vec<f64>,
    rate_in: Vec<f64>,
    rate_out: Vec<f64>,
    lag: Vec<i64>,
    committed: Vec<i64>,
    p50: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    p99_actual: Vec<Option<f64>>,
    checkpoints: Vec<Dot>,
    faults: Vec<Band>,
}

/// One checkpoint.
#[derive(Serialize)]
struct Dot {
    id: u64,
    attempt: u32,
    completed: bool,
    t: f64,
    ms: Option<f64>,
}

/// One fault.
#[derive(Serialize)]
struct Band {
    id: String,
    label: String,
    from: f64,
    to: f64,
    landed: bool,
}

/// The section that the script fills with charts.
pub(super) fn section(result: &RunResult) -> Markup {
    if result.timeline.is_empty() && result.checkpoints.is_empty() {
        return part("timeline", "Timeline", "No timeline was recorded.", &html! {});
    }
    let latency = result.timeline.iter().any(|s| s.latency_p99_ms.is_some());
    let body = html! {
        noscript { p.note { "The charts need scripts; everything else on this page does not." } }
        div.charts id="charts" {
            @if !result.timeline.is_empty() {
                (chart("rate", "Throughput, records per second", &[("a", "in"), ("b", "out")]))
                (chart("lag", "Lag, records", &[("a", "true"), ("b", "committed")]))
                @if latency {
                    (chart("latency", "Latency, logarithmic", &[("a", "p50"), ("b", "p99"), ("c", "p99 from actual send")]))
                }
            }
            @if !result.checkpoints.is_empty() {
                (chart("checkpoints", "Checkpoint duration, milliseconds",
                    &[("done", "completed"), ("gone", "aborted")]))
            }
            div id="tip" hidden {}
        }
        p.hint { "Drag to zoom, double-click to see the whole run again." }
        (remainder(result.checkpoints.len().min(CHECKPOINTS), result.checkpoints.len()))
    };
    let lead = "Seconds since the run's start. Shaded: from a fault's strike to its healing.";
    part("timeline", "Timeline", lead, &body)
}

fn chart(id: &str, title: &str, keys: &[(&str, &str)]) -> Markup {
    html! {
        figure {
            figcaption {
                span { (title) }
                span.keys {
                    @for (class, name) in keys { span.key.(class) { (name) } }
                    span.key.fault { "fault" }
                }
            }
            div.chart data-chart=(id) {}
        }
    }
}

/// The charts' data as a script element that holds JSON.
pub(super) fn embed(result: &RunResult) -> Markup {
    let json = serde_json::to_string(&data(result)).unwrap_or_else(|_| "null".to_owned());
    let mut safe = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    html! { script type="application/json" id="data" { (PreEscaped(safe)) } }
}

fn data(result: &RunResult) -> Data {
    let samples = downsample(&result.timeline, POINTS);
    let all = |pick: fn(&Sample) -> f64| samples.iter().map(|s| tidy(pick(s))).collect::<Vec<_>>();
    let dots = result.checkpoints.iter().take(CHECKPOINTS).map(|c| Dot {
        id: c.id,
        attempt: c.attempt,
        completed: c.status == CheckpointStatus::Completed,
        t: tidy(c.completed_s.unwrap_or(c.triggered_s)),
        ms: c.completed_s.map(|end| tidy((end - c.triggered_s) * 1000.0)),
    });
    let bands = result.faults.iter().filter_map(|f| {
        let from = f.fired_s?;
        let label = text::line(&format!("{} · {}", f.id, f.what), text::NAME);
        let to = tidy(f.healed_s.unwrap_or(from).max(from));
        let id = text::line(&f.id, 12);
        Some(Band { id, label, from: tidy(from), to, landed: f.landed })
    });
    let last = samples.last().map_or(0.0, |s| s.t_s);
    Data {
        end_s: tidy(result.wall_s.max(last)),
        t: all(|s| s.t_s),
        rate_in: all(|s| s.rate_in_per_s.round()),
        rate_out: all(|s| s.rate_out_per_s.round()),
        lag: samples.iter().map(|s| s.lag_records).collect(),
        committed: samples.iter().map(|s| s.committed_lag_records).collect(),
        p50: samples.iter().map(|s| s.latency_p50_ms.map(tidy)).collect(),
        p99: samples.iter().map(|s| s.latency_p99_ms.map(tidy)).collect(),
        p99_actual: samples.iter().map(|s| s.latency_actual_p99_ms.map(tidy)).collect(),
        checkpoints: dots.collect(),
        faults: bands.take(BANDS).collect(),
    }
}

/// Milliseconds are enough for a chart.
fn tidy(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

/// Merges neighbours until at most `points` are left: rates are averaged, lags and latencies keep
/// their peak, counters and the time are the last one's.
fn downsample(timeline: &[Sample], points: usize) -> Vec<Sample> {
    let group = timeline.len().div_ceil(points).max(1);
    timeline.chunks(group).map(merge).filter(|s| s.t_s.is_finite()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "groups are small")]
fn merge(group: &[Sample]) -> Sample {
    let mut merged = group[group.len() - 1].clone();
    let mean = |pick: fn(&Sample) -> f64| group.iter().map(pick).sum::<f64>() / group.len() as f64;
    let peak = |pick: fn(&Sample) -> Option<f64>| group.iter().filter_map(pick).reduce(f64::max);
    merged.rate_in_per_s = mean(|s| s.rate_in_per_s);
    merged.rate_out_per_s = mean(|s| s.rate_out_per_s);
    merged.latency_p50_ms = peak(|s| s.latency_p50_ms);
    merged.latency_p99_ms = peak(|s| s.latency_p99_ms);
    merged.latency_actual_p99_ms = peak(|s| s.latency_actual_p99_ms);
    for sample in group {
        merged.lag_records = merged.lag_records.max(sample.lag_records);
        merged.committed_lag_records =
            merged.committed_lag_records.max(sample.committed_lag_records);
        merged.rss_bytes = merged.rss_bytes.max(sample.rss_bytes);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downsampling_is_bounded_and_keeps_peaks_and_totals() {
        let mut timeline: Vec<Sample> = (0..5_001_u32)
            .map(|i| Sample { t_s: f64::from(i), effects: i.into(), ..Sample::default() })
            .collect();
        timeline[777].lag_records = 99;
        timeline[3_001].latency_p99_ms = Some(7.5);
        let shown = downsample(&timeline, 2_000);
        assert_eq!(shown.len(), 1_667);
        assert_eq!(shown.iter().map(|s| s.lag_records).max(), Some(99));
        assert_eq!(shown.iter().filter_map(|s| s.latency_p99_ms).next(), Some(7.5));
        assert_eq!(shown.last().map(|s| s.effects), Some(5_000));
        assert_eq!(downsample(&timeline[..3], 2_000).len(), 3);
        assert!(downsample(&[], 2_000).is_empty());
    }
}
