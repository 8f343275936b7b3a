//! The frames of the charts over time. The scripts fill them.

use maud::{Markup, html};

use super::chart_data::CHECKPOINTS;
use super::{part, remainder};
use crate::schema::RunResult;

/// The section of charts.
pub(super) fn section(result: &RunResult) -> Markup {
    if result.timeline.is_empty() && result.checkpoints.is_empty() {
        return part("timeline", "Timeline", "No timeline was recorded.", &html! {});
    }
    let latency = result.timeline.iter().any(|s| s.latency_p99_ms.is_some());
    let recoveries = result.recoveries.iter().any(|one| one.struck_s.is_some());
    let body = html! {
        noscript { p.note { "The charts need scripts; everything else on this page does not." } }
        div.charts id="charts" {
            @if !result.timeline.is_empty() {
                (chart("rate", "Throughput, records per second", &[("a", "in"), ("b", "out")]))
                (chart("lag", "Lag, records", &[("a", "true"), ("b", "committed")]))
                @if latency {
                    (chart("latency", "Latency, logarithmic", &[
                        ("a", "p50"), ("b", "p99"), ("dashed", "from actual send time"),
                    ]))
                }
            }
            @if recoveries {
                (chart("recovery", "Recoveries, part by part", &[
                    ("p1", "detect"), ("p2", "restart"), ("p3", "restore"), ("p4", "first output"),
                    ("p5", "drained"),
                ]))
            }
            @if !result.checkpoints.is_empty() {
                (chart("checkpoints", "Checkpoints, the slowest worker's part", &[
                    ("ink", "trigger to durable"), ("p1", "start delay"), ("p2", "alignment"),
                    ("p3", "sync"), ("p4", "async"), ("gone", "aborted"),
                ]))
                (chart("size", "Checkpoint size", &[("a", "state"), ("b", "of it in flight")]))
            }
            div.tip id="tip" hidden {}
        }
        p.hint { "Drag to zoom, double-click to see the whole run again." }
        (remainder(result.checkpoints.len().min(CHECKPOINTS), result.checkpoints.len()))
    };
    let lead = "Seconds since the run's start. Shaded: from a fault's strike to its healing. \
                Committed lag is a sawtooth by design: offsets are committed only when a \
                checkpoint is complete.";
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
