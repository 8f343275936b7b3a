//! Many results over time: each figure as a line, its newest value against those before.
//!
//! Invariant: a newest value stands beside the median and the quartiles of those before it. The
//! lines are SVG without scripts.

use maud::{Markup, html};

use super::{ROWS, part, show, table};
use crate::figures::{NONE, counted, counted_or_not, decimal, optional};
use crate::schema::RunResult;
use crate::text;
use crate::trend::{Course, Figure, courses as sorted, tally};

/// Courses shown at most.
const COURSES: usize = 20;
/// Points of a line at most: the newest.
const POINTS: usize = 200;
/// Size of a line, in pixels.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 44.0;

/// The top of the page.
pub(super) fn header(results: &[RunResult]) -> Markup {
    let all: Vec<&RunResult> = results.iter().collect();
    let told: Vec<String> = tally(&all)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    html! {
        header.plain {
            p.eyebrow { span { "Stormproof trend" } }
            h1 { (counted(results.len() as u64, "result")) }
            p.reason { (told.join(", ")) }
        }
    }
}

/// Each kind of run with the course of its figures.
pub(super) fn courses(results: &[RunResult]) -> Markup {
    let courses = sorted(results);
    html! {
        @for (at, course) in courses.iter().take(COURSES).enumerate() { (one(at, course)) }
        (super::remainder(courses.len().min(COURSES), courses.len()))
    }
}

fn one(at: usize, course: &Course<'_>) -> Markup {
    let rows: Vec<Markup> = course.figures.iter().map(|figure| row(course, figure)).collect();
    let columns = ["Figure", "Course", "#Newest", "#Before", "Standing"];
    html! {
        section id=(format!("course-{at}")) {
            h2 { (course.name) }
            @if rows.is_empty() {
                p { "One result: there is no course yet." }
            } @else {
                p.lead {
                    "The band is the middle half of the values before the newest, the dashed line \
                     their median; each point has its run's verdict as its colour."
                }
                (table(&columns, &rows, rows.len()))
            }
        }
    }
}

fn row(course: &Course<'_>, figure: &Figure) -> Markup {
    let standing = figure.standing();
    let class = match standing {
        "better than most" => "better",
        "worse than most" => "worse",
        _ => "",
    };
    html! {
        tr {
            th scope="row" { (figure.name) }
            td.course { (line(course, figure)) }
            td.n { (figure.newest().map_or(NONE.to_owned(), |v| figure.unit.show(v))) }
            td.n {
                (optional(figure.before, |(median, ..)| figure.unit.show(median)))
                @if let Some((_, low, high)) = figure.before {
                    small { (figure.unit.show(low)) " to " (figure.unit.show(high)) }
                }
            }
            td { span.(class) { (standing) } }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn line(course: &Course<'_>, figure: &Figure) -> Markup {
    let skipped = figure.values.len().saturating_sub(POINTS);
    let values = &figure.values[skipped..];
    let known = || values.iter().flatten().copied();
    let (low, high) = known().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    // What never changed lies in the middle.
    let (low, reach) = if high > low { (low, high - low) } else { (low - 0.5, 1.0) };
    let y = |value: f64| HEIGHT - 6.0 - (value - low) / reach * (HEIGHT - 12.0);
    let x = |at: usize| {
        6.0 + at as f64 / (values.len().saturating_sub(1)).max(1) as f64 * (WIDTH - 12.0)
    };
    let points: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))).collect();
    let path: Vec<String> =
        points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
    html! {
        svg width=(WIDTH) height=(HEIGHT) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
            aria-label=(figure.name) {
            @if let Some((median, q1, q3)) = figure.before {
                rect.band x="0" width=(WIDTH) y=(format!("{:.1}", y(q3).max(0.0)))
                    height=(format!("{:.1}", (y(q1) - y(q3)).max(1.0))) {}
                line.mid x1="0" x2=(WIDTH) y1=(format!("{:.1}", y(median)))
                    y2=(format!("{:.1}", y(median))) {}
            }
            polyline.line points=(path.join(" ")) {}
            @for (at, value) in &points {
                (point(course, skipped + at, (x(*at), y(*value)), &figure.unit.show(*value)))
            }
        }
    }
}

fn point(course: &Course<'_>, at: usize, (x, y): (f64, f64), shown: &str) -> Markup {
    let Some(result) = course.results.get(at) else { return html! {} };
    let verdict = result.shown_verdict().as_str();
    let started = text::line(&result.started_at, 40);
    html! {
        circle.(verdict) cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="3" {
            title { (started) ": " (shown) ", " (verdict) }
        }
    }
}

/// Every result, the newest first.
pub(super) fn results(results: &[RunResult]) -> Markup {
    let mut sorted: Vec<&RunResult> = results.iter().collect();
    sorted.sort_by(|a, b| b.started_at.cmp(&a.started_at));
    let row = |result: &&RunResult| {
        let verdict = result.shown_verdict().as_str();
        let commit = result.environment.git_commit.as_deref().unwrap_or("");
        html! {
            tr {
                td { (show(&result.started_at)) }
                td { (show(&result.scenario)) small { (show(&result.mode)) } }
                td { code { (commit.chars().take(10).collect::<String>()) } }
                td { span.word.(verdict) { (verdict) } }
                td.n { (counted_or_not(result.lost)) }
                td.n { (counted_or_not(result.duplicates)) }
                td.n { (decimal(result.records_per_s, 0)) }
                td.n { (result.seed) }
            }
        }
    };
    let rows: Vec<Markup> = sorted.iter().take(ROWS).map(row).collect();
    let columns =
        ["Started", "Scenario", "Commit", "Verdict", "#Lost", "#Duplicates", "#Records/s", "#Seed"];
    part("results", "All results", "", &table(&columns, &rows, sorted.len()))
}
