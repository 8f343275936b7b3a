//! The way of a record, drawn: partition, source, channel, operator, sink, database row, and where
//! on the way it was lost.
//!
//! Invariant: each place has its state as a word and as a shape, not by colour alone. The drawing
//! is SVG without scripts; its texts are cut to what fits.

use maud::{Markup, html};

use super::show;
use crate::schema::{FaultSummary, Hop, Passage, RunResult, Seen};
use crate::text;

/// Places drawn at most.
const HOPS: usize = 8;
/// Width of a place with the way to the next one, in the drawing's units.
const STEP: usize = 168;
/// Characters that fit below a place.
const FITS: usize = 24;

/// The drawing, and its story in words.
pub(super) fn draw(result: &RunResult, passage: &Passage) -> Markup {
    let hops: Vec<&Hop> = passage.hops.iter().take(HOPS).collect();
    if hops.is_empty() {
        return html! {};
    }
    let gap = lost_between(&hops);
    let (width, last) = (hops.len() * STEP, hops.len() - 1);
    html! {
        div.scroll.passage tabindex="0" {
            svg viewBox=(format!("0 0 {width} 165")) width=(width) height="165" role="img"
                aria-label="the record's way through the job" {
                @for (at, hop) in hops.iter().enumerate() {
                    @if at < last { (way(at, gap.is_some_and(|gap| at >= gap))) }
                    (place(at, hop))
                }
                @if let Some(gap) = gap { (broken(gap)) }
            }
        }
        p.story { (story(result, passage)) }
        ol.hops {
            @for hop in &hops {
                li.(word(hop.seen)) {
                    b { (show(&hop.name)) } " " span { (word(hop.seen)) }
                    @if !hop.note.is_empty() { ": " (show(&hop.note)) }
                }
            }
        }
    }
}

/// The last place that is known to have had it, if a later one misses it.
fn lost_between(hops: &[&Hop]) -> Option<usize> {
    let had = |hop: &&Hop| matches!(hop.seen, Seen::Passed | Seen::Held);
    let last = hops.iter().rposition(had)?;
    hops[last..].iter().any(|hop| hop.seen == Seen::Missing).then_some(last)
}

fn middle(at: usize) -> usize {
    at * STEP + STEP / 2
}

fn way(at: usize, is_gone: bool) -> Markup {
    let (from, to) = (middle(at) + 24, middle(at + 1) - 24);
    html! { line.way.gone[is_gone] x1=(from) y1="52" x2=(to) y2="52" {} }
}

fn place(at: usize, hop: &Hop) -> Markup {
    let (x, names) = (middle(at), lines(&hop.name));
    let sign = match hop.seen {
        Seen::Passed => "✓",
        Seen::Held => "■",
        Seen::Missing => "✗",
        Seen::Unknown => "?",
    };
    html! {
        g.place.(word(hop.seen)) {
            title { (text::line(&hop.note, text::NAME)) }
            text.kind x=(x) y="16" { (lines(kind(&hop.place)).concat()) }
            circle cx=(x) cy="52" r="20" {}
            text.sign x=(x) y="58" { (sign) }
            @for (line, words) in names.iter().enumerate() {
                text.name x=(x) y=(94 + line * 16) { (words) }
            }
            @for (line, words) in lines(&hop.note).iter().enumerate() {
                text.note x=(x) y=(97 + names.len() * 16 + line * 15) { (words) }
            }
        }
    }
}

/// The break in the way, right behind the last place that had the record.
fn broken(at: usize) -> Markup {
    let x = middle(at) + STEP / 2;
    html! {
        g.broken {
            path d=(format!("M{} 38 l-6 11 h9 l-6 15", x + 3)) {}
            text x=(x) y="31" { "lost here" }
        }
    }
}

/// A text in two lines that fit; what does not is in the list below the drawing.
fn lines(foreign: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text::line(foreign, text::NAME).split(' ') {
        match lines.last_mut() {
            Some(last) if last.chars().count() + word.chars().count() < FITS => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.chars().take(FITS).collect()),
        }
    }
    if lines.len() > 2 {
        lines.truncate(2);
        lines[1].push('…');
    }
    lines
}

fn story(result: &RunResult, passage: &Passage) -> Markup {
    let by_id = |id: &String| result.faults.iter().find(|fault| fault.id == *id);
    let fault: Option<&FaultSummary> = passage.fault.as_ref().and_then(by_id);
    html! {
        @if let Some(checkpoint) = passage.checkpoint { "Checkpoint " b { (checkpoint) } }
        @if let Some(attempt) = passage.restored_by { " was restored by attempt " b { (attempt) } }
        @if let Some(fault) = fault {
            " after " b { (show(&fault.id)) } " (" (show(&fault.what)) ") had ended the one before"
        }
        @if passage.checkpoint.is_some() { "." }
    }
}

fn kind(place: &str) -> &str {
    match place {
        "row" => "database row",
        "source" => "source subtask",
        "operator" => "operator subtask",
        "sink" => "sink subtask",
        other => other,
    }
}

fn word(seen: Seen) -> &'static str {
    match seen {
        Seen::Passed => "passed",
        Seen::Held => "held",
        Seen::Missing => "missing",
        Seen::Unknown => "unknown",
    }
}
