//! A figure as SVG: no script, no network, light and dark.
//!
//! Invariants: a function of the figure alone, to the byte; every foreign string is cleaned and
//! escaped; at most [`POINTS`] points of a series are drawn, the peaks among them.

use std::fmt::Write as _;

use super::scale::{Scale, name};
use super::{Figure, Kind, Series};
use crate::text;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 704.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 252.0;
/// Points of a series drawn at most.
const POINTS: usize = 1_200;
/// Series that have a colour of their own.
const COLOURS: usize = 5;

const STYLE: &str = "svg{font:12px system-ui,sans-serif;color:#1a1f28;background:#fff}\
text{fill:currentColor}.t{font-size:14px;font-weight:600}.s{fill:#5a6474}\
.g{stroke:#dfe3e9;fill:none}.l{fill:none;stroke-width:1.8;stroke-linejoin:round}\
.c0{--c:#2a62c9}.c1{--c:#c06a00}.c2{--c:#12744a}.c3{--c:#b3261e}.c4{--c:#6b7280}\
.l{stroke:var(--c)}.f{fill:var(--c)}\
@media(prefers-color-scheme:dark){svg{color:#e4e7ec;background:#14171c}.s{fill:#9aa4b3}\
.g{stroke:#2c323c}.c0{--c:#7ea8f5}.c1{--c:#f0a54a}.c2{--c:#58c794}.c3{--c:#ff8a80}\
.c4{--c:#a3abb8}}";

/// Draws a figure.
#[must_use]
pub fn draw(figure: &Figure) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\"><title>{}</title><style>{STYLE}</style>\n",
        escaped(&figure.title)
    );
    label(&mut svg, (LEFT, 20.0), "t", "start", &figure.title);
    legend(&mut svg, &figure.series);
    match &figure.kind {
        Kind::Bars(categories) => bars(&mut svg, figure, categories),
        Kind::Lines => points(&mut svg, figure, true),
        Kind::Dots => points(&mut svg, figure, false),
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(foreign: &str) -> String {
    let clean = text::line(foreign, text::CELL);
    clean.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn label(svg: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, foreign: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{}</text>",
        escaped(foreign)
    );
}

fn legend(svg: &mut String, series: &[Series]) {
    let mut x = LEFT;
    if series.len() < 2 {
        return;
    }
    for (at, series) in series.iter().enumerate() {
        let colour = at % COLOURS;
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"30\" width=\"10\" height=\"10\" class=\"f c{colour}\"/>"
        );
        label(svg, (x + 14.0, 39.0), "s", "start", &series.name);
        x += 30.0 + series.name.chars().count() as f64 * 6.4;
    }
}

fn rule(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(svg, "<path class=\"g\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
}

fn y_axis(svg: &mut String, figure: &Figure, from_zero: bool) -> Scale {
    let values = figure.series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    let scale = Scale::over(&figure.y, values, from_zero, (BOTTOM, TOP));
    for (y, tick) in scale.ticks() {
        rule(svg, (LEFT, y), (RIGHT, y));
        label(svg, (LEFT - 6.0, y + 4.0), "s", "end", &tick);
    }
    let middle = f64::midpoint(TOP, BOTTOM);
    let _ = writeln!(
        svg,
        "<text class=\"s\" text-anchor=\"middle\" transform=\"translate(14 {middle:.1}) \
         rotate(-90)\">{}</text>",
        escaped(&figure.y.label)
    );
    label(svg, (f64::midpoint(LEFT, RIGHT), HEIGHT - 8.0), "s", "middle", &figure.x.label);
    scale
}

fn bars(svg: &mut String, figure: &Figure, categories: &[String]) {
    let y = y_axis(svg, figure, true);
    let base = BOTTOM;
    let slot = (RIGHT - LEFT) / categories.len().max(1) as f64;
    let width = (slot * 0.8 / figure.series.len().max(1) as f64).min(56.0);
    for (at, category) in categories.iter().enumerate() {
        let middle = LEFT + slot * (at as f64 + 0.5);
        label(svg, (middle, BOTTOM + 16.0), "s", "middle", category);
    }
    for (nth, series) in figure.series.iter().enumerate() {
        let offset = (nth as f64 - figure.series.len() as f64 / 2.0) * width;
        for (at, value) in series.points.iter().filter(|(_, value)| value.is_finite()) {
            let x = LEFT + slot * (at + 0.5) + offset;
            let top = y.place(*value).min(base - 0.5);
            let (colour, height) = (nth % COLOURS, base - top);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\" \
                 class=\"f c{colour}\"/>",
                (width - 2.0).max(1.0)
            );
            label(svg, (x + width / 2.0 - 1.0, top - 3.0), "s", "middle", &name(*value));
        }
    }
}

fn points(svg: &mut String, figure: &Figure, is_line: bool) {
    let y = y_axis(svg, figure, !figure.y.is_log);
    let values = figure.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
    let x = Scale::over(&figure.x, values, false, (LEFT, RIGHT));
    for (at, tick) in x.ticks() {
        rule(svg, (at, BOTTOM), (at, BOTTOM + 4.0));
        label(svg, (at, BOTTOM + 16.0), "s", "middle", &tick);
    }
    for (nth, series) in figure.series.iter().enumerate() {
        let colour = nth % COLOURS;
        let places = thinned(series).into_iter().map(|(at, value)| (x.place(at), y.place(value)));
        if is_line {
            let path: Vec<String> = places.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            if !path.is_empty() {
                let _ = writeln!(svg, "<path class=\"l c{colour}\" d=\"M{}\"/>", path.join("L"));
            }
        } else {
            for (x, y) in places {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" class=\"f c{colour}\"/>"
                );
            }
        }
    }
}

/// The points, or of each stretch of them the lowest and the highest, in order.
fn thinned(series: &Series) -> Vec<(f64, f64)> {
    let points: Vec<_> =
        series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    if points.len() <= POINTS {
        return points;
    }
    let stretch = points.len().div_ceil(POINTS / 2);
    let ends = points.chunks(stretch).flat_map(|chunk| {
        let places = 0..chunk.len();
        let low = places.clone().min_by(|a, b| chunk[*a].1.total_cmp(&chunk[*b].1)).unwrap_or(0);
        let high = places.max_by(|a, b| chunk[*a].1.total_cmp(&chunk[*b].1)).unwrap_or(0);
        [chunk[low.min(high)], chunk[low.max(high)]]
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Axis;

    fn figure(kind: Kind, title: &str, points: Vec<(f64, f64)>) -> Figure {
        let series = vec![Series::new("one", points.clone()), Series::new(title, points)];
        let (x, y) = (Axis::of("time, s"), Axis::of("lag"));
        Figure { title: title.to_owned(), x, y, kind, series }
    }

    #[test]
    fn foreign_text_cannot_leave_its_place() {
        let hostile = "</title><script>alert(1)</script>\u{202e}";
        let svg = draw(&figure(Kind::Bars(vec![hostile.to_owned()]), hostile, vec![(0.0, 1.0)]));
        assert!(!svg.contains("<script") && !svg.contains('\u{202e}'), "{svg}");
    }

    #[test]
    fn a_million_points_are_drawn_small_and_with_their_peak() {
        let mut points: Vec<_> = (0..1_000_000).map(|n| (f64::from(n), 1.0)).collect();
        points[777_777].1 = 1000.0;
        let series = Series::new("s", points);
        let thin = thinned(&series);
        assert!(thin.len() <= POINTS && thin.contains(&(777_777.0, 1000.0)));
    }

    #[test]
    fn every_kind_is_drawn_even_from_nothing() {
        for kind in [Kind::Lines, Kind::Dots, Kind::Bars(vec!["a".to_owned()])] {
            for points in [vec![], vec![(0.0, f64::NAN)], vec![(0.0, 3.0)]] {
                let svg = draw(&figure(kind.clone(), "t", points));
                assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
            }
        }
    }
}
