//! The data of the page's pictures.
//!
//! Invariants: the timeline has at most [`POINTS`] points, merged so that no peak is lost; the
//! data is JSON inside a script element in which no `<` can end that element.

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use crate::schema::{
    CheckpointStatus, CheckpointSummary, CurvePoint, FaultSummary, Recovery, RunResult, Sample,
    SubtaskFigures,
};
use crate::text;

/// Points of the timeline shown at most.
pub(super) const POINTS: usize = 2_000;
/// Checkpoints shown at most.
pub(super) const CHECKPOINTS: usize = 2_000;
/// Fault bands, and recoveries, shown at most.
const BANDS: usize = 500;
/// Points of a distribution at most.
const CURVE: usize = 400;
/// Subtasks shown at most.
const SUBTASKS: usize = 20_000;

/// What the scripts draw.
#[derive(Serialize)]
struct Data<'a> {
    end_s: f64,
    t: Vec<f64>,
    rate_in: Vec<f64>,
    rate_out: Vec<f64>,
    lag: Vec<i64>,
    committed: Vec<i64>,
    p50: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    p50_actual: Vec<Option<f64>>,
    p99_actual: Vec<Option<f64>>,
    checkpoints: Vec<Dot>,
    faults: Vec<Band>,
    recoveries: Vec<Bar>,
    curve: Option<Curve>,
    subtasks: Vec<Cells<'a>>,
}

/// One checkpoint.
#[derive(Serialize)]
struct Dot {
    id: u64,
    attempt: u32,
    completed: bool,
    t: f64,
    ms: Option<f64>,
    delay: Option<f64>,
    align: Option<f64>,
    sync: Option<f64>,
    r#async: Option<f64>,
    state: u64,
    flight: u64,
    why: Option<String>,
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

/// One recovery.
#[derive(Serialize)]
struct Bar {
    attempt: u32,
    from: f64,
    ms: [Option<f64>; 5],
}

/// A distribution of latency: quantile and microseconds.
#[derive(Serialize)]
struct Curve {
    intended: Vec<(f64, u64)>,
    actual: Vec<(f64, u64)>,
}

/// The figures of every subtask.
#[derive(Serialize)]
struct Cells<'a> {
    what: String,
    of: String,
    unit: String,
    values: &'a [u64],
}

/// The charts' data as a script element that holds JSON.
pub(super) fn embed(result: &RunResult) -> Markup {
    script(&data(result))
}

/// Data as a script element: no `<` in it can end that element.
pub(super) fn script(data: &impl Serialize) -> Markup {
    let json = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
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

fn data(result: &RunResult) -> Data<'_> {
    let samples = downsample(&result.timeline, POINTS);
    let all = |pick: fn(&Sample) -> f64| samples.iter().map(|s| tidy(pick(s))).collect::<Vec<_>>();
    let some = |pick: fn(&Sample) -> Option<f64>| {
        samples.iter().map(|s| pick(s).map(tidy)).collect::<Vec<_>>()
    };
    let last = samples.last().map_or(0.0, |s| s.t_s);
    let curve = result.latency_curve.as_ref();
    Data {
        end_s: tidy(end(result, last)),
        t: all(|s| s.t_s),
        rate_in: all(|s| s.rate_in_per_s.round()),
        rate_out: all(|s| s.rate_out_per_s.round()),
        lag: samples.iter().map(|s| s.lag_records).collect(),
        committed: samples.iter().map(|s| s.committed_lag_records).collect(),
        p50: some(|s| s.latency_p50_ms),
        p99: some(|s| s.latency_p99_ms),
        p50_actual: some(|s| s.latency_actual_p50_ms),
        p99_actual: some(|s| s.latency_actual_p99_ms),
        checkpoints: result.checkpoints.iter().take(CHECKPOINTS).map(dot).collect(),
        faults: result.faults.iter().filter_map(band).take(BANDS).collect(),
        recoveries: result.recoveries.iter().filter_map(bar).take(BANDS).collect(),
        curve: curve.map(|curve| Curve {
            intended: points(&curve.intended),
            actual: points(&curve.actual),
        }),
        subtasks: result.subtasks.iter().take(super::skew::LISTS).map(cells).collect(),
    }
}

/// The end of what there is to see: judging takes time, too, and nothing happens meanwhile.
fn end(result: &RunResult, last: f64) -> f64 {
    let checkpoints = result.checkpoints.iter().filter_map(|c| c.completed_s);
    let faults = result.faults.iter().filter_map(|f| f.healed_s.or(f.fired_s));
    let end = checkpoints.chain(faults).filter(|t| t.is_finite()).fold(last, f64::max);
    if end > 0.0 { end } else { result.wall_s }
}

fn dot(c: &CheckpointSummary) -> Dot {
    let is_completed = c.status == CheckpointStatus::Completed;
    // An interrupted or swallowed checkpoint has no parts.
    let part = |ms: f64| (c.start_delay_ms.is_some() || ms > 0.0).then(|| tidy(ms));
    Dot {
        id: c.id,
        attempt: c.attempt,
        completed: is_completed,
        t: tidy(c.completed_s.unwrap_or(c.triggered_s)),
        ms: c.completed_s.map(|end| tidy((end - c.triggered_s) * 1000.0)),
        delay: c.start_delay_ms.map(tidy),
        align: part(c.alignment_ms),
        sync: part(c.sync_ms),
        r#async: part(c.async_ms),
        state: c.state_bytes,
        flight: c.in_flight_bytes,
        why: c.aborted_because.as_deref().map(|why| text::line(why, text::NAME)),
    }
}

fn band(f: &FaultSummary) -> Option<Band> {
    let from = f.fired_s?;
    let label = text::line(&format!("{} · {}", f.id, f.what), text::NAME);
    let to = tidy(f.healed_s.unwrap_or(from).max(from));
    let id = text::line(&f.id, 12);
    Some(Band { id, label, from: tidy(from), to, landed: f.landed })
}

fn bar(recovery: &Recovery) -> Option<Bar> {
    let from = tidy(recovery.struck_s?);
    let ms = recovery.parts().map(|(_, ms)| ms.map(tidy));
    Some(Bar { attempt: recovery.attempt, from, ms })
}

fn points(curve: &[CurvePoint]) -> Vec<(f64, u64)> {
    curve.iter().filter(|p| p.q.is_finite()).take(CURVE).map(|p| (p.q, p.us)).collect()
}

fn cells(figures: &SubtaskFigures) -> Cells<'_> {
    Cells {
        what: text::line(&figures.what, text::NAME),
        of: text::line(&figures.of, text::NAME),
        unit: text::line(&figures.unit, 24),
        values: &figures.values[..figures.values.len().min(SUBTASKS)],
    }
}

/// Milliseconds are enough for a chart.
pub(super) fn tidy(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

/// Merges neighbours until at most `points` are left: rates are averaged, lags and latencies keep
/// their peak, counters and the time are the last one's.
pub(super) fn downsample(timeline: &[Sample], points: usize) -> Vec<Sample> {
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
    merged.latency_actual_p50_ms = peak(|s| s.latency_actual_p50_ms);
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
