//! Checkpoints in figures: how long each part took, how much was written, what became of them.
//!
//! Parts are the slowest worker's, and workers do not wait for each other: they do not add up to
//! the whole. Quantiles are over the checkpoints that completed.

use maud::{Markup, html};

use super::{part, show, table};
use crate::figures::{bytes, counted, millis};
use crate::schema::{CheckpointStatus, CheckpointSummary, RunResult};

/// Reasons shown at most.
const REASONS: usize = 12;

/// The section of checkpoints.
pub(super) fn section(result: &RunResult) -> Markup {
    let is_completed =
        |c: &&CheckpointSummary| c.status == CheckpointStatus::Completed && c.completed_s.is_some();
    let completed: Vec<&CheckpointSummary> =
        result.checkpoints.iter().filter(is_completed).collect();
    if completed.is_empty() {
        return html! {};
    }
    type Part = (&'static str, fn(&CheckpointSummary) -> Option<f64>, fn(f64) -> String);
    let size = |b: f64| bytes(b.max(0.0) as u64);
    let parts: [Part; 7] = [
        (
            "trigger to durable manifest",
            |c| c.completed_s.map(|end| (end - c.triggered_s) * 1e3),
            millis,
        ),
        ("start delay", |c| c.start_delay_ms, millis),
        ("alignment", |c| Some(c.alignment_ms), millis),
        ("synchronous part", |c| Some(c.sync_ms), millis),
        ("asynchronous part", |c| Some(c.async_ms), millis),
        ("size", |c| Some(c.state_bytes as f64), size),
        ("of it in flight", |c| Some(c.in_flight_bytes as f64), size),
    ];
    let rows: Vec<Markup> = parts
        .iter()
        .filter_map(|(name, pick, shown)| {
            row(name, completed.iter().filter_map(|c| pick(c)), *shown)
        })
        .collect();
    let lead = format!(
        "{} in mode {}. Parts are the slowest worker's; they do not add up to the whole.",
        counted(completed.len() as u64, "completed checkpoint"),
        crate::text::line(&result.mode, crate::text::NAME)
    );
    let columns = ["Part", "#Least", "#Median", "#p95", "#Most"];
    let body = html! { (table(&columns, &rows, rows.len())) (aborted(result)) };
    part("checkpoints", "Checkpoints", &lead, &body)
}

fn row(name: &str, values: impl Iterator<Item = f64>, shown: fn(f64) -> String) -> Option<Markup> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = [0, last / 2, last * 95 / 100, last];
    Some(html! {
        tr {
            th scope="row" { (name) }
            @for at in at { td.n { (shown(values[at])) } }
        }
    })
}

fn aborted(result: &RunResult) -> Markup {
    let told = result.checkpoints.iter().filter_map(|c| Some((c.id, c.aborted_because.as_ref()?)));
    let told: Vec<_> = told.collect();
    html! {
        @if !told.is_empty() {
            p.note {
                "Not completed: "
                @for (n, (id, why)) in told.iter().take(REASONS).enumerate() {
                    @if n > 0 { "; " }
                    "chk-" (id) " (" (show(why)) ")"
                }
                "."
            }
            (super::remainder(told.len().min(REASONS), told.len()))
        }
    }
}
