//! The key figures and the latency table.
//!
//! Only figures that the result holds; nothing is derived here but medians.

use maud::{Markup, html};

use super::{part, table};
use crate::figures::{NONE, bytes, count, counted, decimal, micros, millis, optional, seconds};
use crate::schema::{CheckpointStatus, Latency, Quantiles, RunResult};
use crate::text;

/// The rate; a run that was stopped before its load was through has none.
fn throughput(result: &RunResult) -> String {
    optional(Some(result.records_per_s).filter(|rate| *rate > 0.0), |rate| decimal(rate, 0))
}

/// The key figures, as a row of tiles.
pub(super) fn section(result: &RunResult) -> Markup {
    let latency = result.latency.as_ref();
    let p99 = optional(latency, |l| micros(l.intended.p99_us));
    let p50 = optional(latency, |l| format!("median {}", micros(l.intended.p50_us)));
    let mut outages: Vec<f64> = result.recoveries.iter().filter_map(|r| r.outage_ms()).collect();
    outages.sort_by(f64::total_cmp);
    let recovered = counted(outages.len() as u64, "recovery").replace("recoverys", "recoveries");
    let tiles = [
        ("Throughput", throughput(result), "records per second".to_owned()),
        ("Latency p99", p99, if latency.is_some() { p50 } else { "not measured".to_owned() }),
        (
            "Outage, median",
            optional(outages.get(outages.len() / 2), |ms| millis(*ms)),
            format!("fault to first output, {recovered}"),
        ),
        (
            "Parallelism",
            count(result.parallelism.into()),
            format!("subtasks per vertex on {}", counted(result.workers.into(), "worker")),
        ),
        ("Mode", text::line(&result.mode, text::NAME), "of checkpoints".to_owned()),
        ("Peak memory", bytes(result.peak_rss_bytes), "resident, system under test".to_owned()),
        checkpoint(result),
        ("Wall time", seconds(result.wall_s), phases(result)),
    ];
    html! {
        section id="figures" {
            h2.quiet { "Key figures" }
            dl.tiles {
                @for (name, figure, remark) in tiles {
                    div { dt { (name) } dd { bdi { (figure) } small { bdi { (remark) } } } }
                }
            }
        }
    }
}

/// The median duration of the checkpoints that completed.
fn checkpoint(result: &RunResult) -> (&'static str, String, String) {
    let completed = result.checkpoints.iter().filter(|c| c.status == CheckpointStatus::Completed);
    let mut took_s: Vec<f64> =
        completed.filter_map(|c| c.completed_s.map(|end| end - c.triggered_s)).collect();
    took_s.sort_by(f64::total_cmp);
    let median = optional(took_s.get(took_s.len() / 2), |s| seconds(*s));
    ("Checkpoint, median", median, "trigger to commit point".to_owned())
}

/// Latency from intended and from actual time, side by side.
pub(super) fn latency(result: &RunResult) -> Markup {
    let Some(latency) = result.latency.as_ref() else {
        return html! {};
    };
    let rows = [
        row("from intended send time", &latency.intended),
        row("from actual send time", &latency.actual),
    ];
    let columns = ["Latency to the first effect", "#p50", "#p90", "#p99", "#p99.9", "#max"];
    let body = html! {
        (table(&columns, &rows, rows.len()))
        @if result.latency_curve.is_some() {
            figure {
                figcaption {
                    span { "Latency by quantile, both axes logarithmic" }
                    span.keys {
                        span.key.a { "from intended send time" }
                        span.key.b { "from actual send time" }
                    }
                }
                div.percentiles id="percentiles" { div.tip id="percentile-tip" hidden {} }
            }
        }
    };
    part("latency", "Latency", &remark(latency), &body)
}

fn remark(latency: &Latency) -> String {
    let samples = counted(latency.samples, "measurement");
    let negative = match latency.negative {
        0 => "none of them negative".to_owned(),
        n => format!("{} of them negative: the clocks disagree", count(n)),
    };
    let unmeasured = match latency.unmeasured {
        0 => String::new(),
        n => format!(" {} carry no times and were not measured.", counted(n, "record")),
    };
    format!(
        "{samples}, {negative}.{unmeasured} Where the first row exceeds the second, the load generator was held \
         up: coordinated omission that the second row hides."
    )
}

fn row(name: &str, q: &Quantiles) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            @for us in [q.p50_us, q.p90_us, q.p99_us, q.p999_us, q.max_us] { td.n { (micros(us)) } }
        }
    }
}

fn phases(result: &RunResult) -> String {
    let shown: Vec<String> = result
        .phases
        .iter()
        .take(6)
        .map(|p| format!("{} {}", text::line(&p.name, 24), seconds(p.seconds)))
        .collect();
    if shown.is_empty() { NONE.to_owned() } else { shown.join(", ") }
}
