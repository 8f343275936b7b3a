//! Two sides next to each other: verdicts, courses over one axis, figures with intervals.
//!
//! Invariant: a difference stands beside its interval and what that covers, or beside the words
//! that there is none.

use maud::{Markup, html};
use serde::Serialize;

use super::chart_data::{POINTS, downsample, tidy};
use super::verdict::mark;
use super::{part, show, table};
use crate::compare::{self, Finding, Row, Side};
use crate::figures::{counted, counted_or_not};
use crate::proof;
use crate::schema::{RunResult, Sample, Verdict};
use crate::text;

/// Repetitions named at most.
const RUNS: usize = 20;
/// Checks shown at most.
const CHECKS: usize = 80;

/// What the script draws: the first run of each side.
#[derive(Serialize)]
pub(super) struct Data {
    a: Course,
    b: Course,
}

#[derive(Serialize)]
struct Course {
    t: Vec<f64>,
    rate: Vec<f64>,
    lag: Vec<i64>,
    p99: Vec<Option<f64>>,
}

/// The data of both sides.
pub(super) fn data(a: &Side, b: &Side) -> Data {
    Data { a: course(a), b: course(b) }
}

fn course(side: &Side) -> Course {
    let timeline = side.results.first().map_or(&[][..], |result| &result.timeline);
    let samples: Vec<Sample> = downsample(timeline, POINTS);
    Course {
        t: samples.iter().map(|s| tidy(s.t_s)).collect(),
        rate: samples.iter().map(|s| s.rate_out_per_s.round()).collect(),
        lag: samples.iter().map(|s| s.lag_records).collect(),
        p99: samples.iter().map(|s| s.latency_p99_ms.map(|ms| tidy(ms.max(0.001)))).collect(),
    }
}

/// The top of the page.
pub(super) fn header(a: &Side, b: &Side) -> Markup {
    html! {
        header.plain {
            p.eyebrow { span { "Stormproof comparison" } }
            h1 { "A against B" }
            div.sides { (side("a", "A", a)) (side("b", "B", b)) }
        }
    }
}

fn side(class: &str, letter: &str, side: &Side) -> Markup {
    html! {
        div.(class) {
            h2 { (letter) ": " (show(&side.name)) }
            @for result in side.results.iter().take(RUNS) { (run(result)) }
            (super::remainder(side.results.len().min(RUNS), side.results.len()))
        }
    }
}

fn run(result: &RunResult) -> Markup {
    let verdict = result.shown_verdict();
    html! {
        p {
            (mark(verdict)) " " b.word.(verdict.as_str()) { (verdict.as_str()) } ". "
            (text::line(proof::reason(result), text::CELL))
        }
        p.note {
            (show(&result.mode)) ", parallelism " (result.parallelism) ", seed " (result.seed) ", "
            (counted(result.records, "record")) ", " (counted_or_not(result.lost)) " lost, "
            (counted_or_not(result.duplicates)) " duplicates, "
            (counted(result.faults_landed, "fault")) " landed"
        }
    }
}

/// The frames of the charts.
pub(super) fn charts(a: &Side, b: &Side) -> Markup {
    let has = |side: &Side| side.results.first().is_some_and(|r| !r.timeline.is_empty());
    if !has(a) || !has(b) {
        return html! {};
    }
    let body = html! {
        div.charts id="charts" {
            @for (id, title) in [
                ("rate", "Effects per second"), ("lag", "True lag, records"),
                ("p99", "Latency p99 from intended send time, logarithmic"),
            ] {
                figure {
                    figcaption {
                        span { (title) }
                        span.keys { span.key.a { "A" } span.key.b { "B" } }
                    }
                    div.chart data-chart=(id) {}
                }
            }
            div.tip id="tip" hidden {}
        }
    };
    let lead = "The first run of each side, in seconds since its own start.";
    part("timeline", "Timeline", lead, &body)
}

/// Every figure, with its interval.
pub(super) fn figures(a: &Side, b: &Side) -> Markup {
    let all = compare::rows(a, b);
    let rows: Vec<Markup> = all.iter().map(row).collect();
    let columns = ["Figure", "#A", "#B", "#B − A", "", "Finding"];
    let lead = "Medians, in small print their quartiles and how many values they are made of. \
                The line is the 95 % interval of the difference, the tick is zero. An interval \
                within two single runs does not cover the spread between runs: for that, give \
                folders with five repetitions each.";
    part("figures-compared", "Figures", lead, &table(&columns, &rows, rows.len()))
}

fn row(row: &Row) -> Markup {
    let class = match row.finding {
        Finding::Better => "better",
        Finding::Worse => "worse",
        _ => "",
    };
    html! {
        tr {
            th scope="row" { (row.name) }
            (value(row, row.a))
            (value(row, row.b))
            td.n {
                (compare::change(row))
                @if let Some(interval) = compare::interval(row) { small { (interval) } }
            }
            td.range { (range(row)) }
            td { span.(class) { (row.finding.as_str()) } small { (row.basis.as_str()) } }
        }
    }
}

fn value(row: &Row, spread: compare::Spread) -> Markup {
    html! {
        td.n {
            (row.unit.show(spread.value))
            @if let Some((low, high)) = spread.quartiles {
                small {
                    (row.unit.show(low)) " to " (row.unit.show(high)) ", n = " (spread.values)
                }
            }
        }
    }
}

/// The interval as a line on a scale around zero.
fn range(row: &Row) -> Markup {
    let Some(interval) = row.interval else { return html! {} };
    let most = interval.low.abs().max(interval.high.abs()).max(f64::MIN_POSITIVE);
    let x = |value: f64| format!("{:.1}", 65.0 + value / most * 60.0);
    html! {
        svg width="130" height="14" viewBox="0 0 130 14" role="img" aria-label="interval" {
            line.none x1="65" y1="0" x2="65" y2="14" {}
            line.bar x1=(x(interval.low)) y1="7" x2=(x(interval.high)) y2="7" {}
            circle.dot cx=(x(row.difference().clamp(-most, most))) cy="7" r="3.5" {}
        }
    }
}

/// Every check on both sides.
pub(super) fn checks(a: &Side, b: &Side) -> Markup {
    let mut ids: Vec<(&str, &str)> = Vec::new();
    for check in a.results.iter().chain(&b.results).flat_map(|result| &result.checks) {
        if !ids.iter().any(|(id, _)| *id == check.id) {
            ids.push((&check.id, &check.title));
        }
    }
    let row = |(id, title): &(&str, &str)| {
        html! {
            tr {
                td.wide { (show(title)) " " code { (text::line(id, text::NAME)) } }
                @for side in [a, b] {
                    td.wide { (answers(side, id)) }
                }
            }
        }
    };
    let rows: Vec<Markup> = ids.iter().take(CHECKS).map(row).collect();
    part("checks", "Checks", "", &table(&["Check", "A", "B"], &rows, ids.len()))
}

/// What a check said on one side, the worst first.
fn answers(side: &Side, id: &str) -> Markup {
    let found = || side.results.iter().flat_map(|r| &r.checks).filter(|check| check.id == id);
    let worst = found().map(|check| check.verdict).reduce(Verdict::worst);
    let summary = found().find(|check| Some(check.verdict) == worst).map(|check| &check.summary);
    html! {
        @match worst {
            Some(worst) => {
                span.word.(worst.as_str()) { (worst.as_str()) }
                @if let Some(summary) = summary { small { (show(summary)) } }
            }
            None => "not made",
        }
    }
}

/// What is not alike, and may explain a difference.
pub(super) fn circumstances(a: &Side, b: &Side) -> Markup {
    let all = compare::circumstances(a, b);
    let row = |(name, a, b): &(&str, String, String)| {
        html! { tr { th scope="row" { (name) } td.wide { (show(a)) } td.wide { (show(b)) } } }
    };
    let rows: Vec<Markup> = all.iter().map(row).collect();
    let body = match rows.is_empty() {
        true => html! { p { "Scenario, mode, seed, machine and commit are the same." } },
        false => table(&["", "A", "B"], &rows, rows.len()),
    };
    part("unlike", "What is not alike", "", &body)
}
