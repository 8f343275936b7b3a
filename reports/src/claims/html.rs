//! Claims as one self-contained HTML page, each with its picture and the data behind it.
//!
//! Invariants: no script at all; nothing is loaded; every foreign string is cleaned and escaped.

use maud::{Markup, PreEscaped, html};

use super::{Claim, Claims, Fact, Figure, Outcome, Shown, svg};
use crate::figures::{figure as number, seconds};
use crate::html::page;
use crate::text;

const STYLE: &str = include_str!("../../assets/report.css");
const OWN_STYLE: &str = "main{max-width:860px}section h2 small{font-weight:400}\
.answer{font-weight:700}.confirmed{color:var(--proven)}.refined{color:var(--a)}\
.refuted{color:var(--violated)}.unknown,.not-run{color:var(--unknown)}\
blockquote{margin:10px 0;padding-left:14px;border-left:3px solid var(--rule);color:var(--soft)}\
figure svg{width:100%;height:auto;display:block;margin-top:14px}\
pre{white-space:pre-wrap;background:var(--wash);padding:12px;margin-top:12px}";
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'";
/// Rows of a figure's data shown at most; all of it is in the JSON.
const ROWS: usize = 60;

/// Renders the page.
#[must_use]
pub fn render(claims: &Claims) -> String {
    let body = html! {
        main {
            section { h2 { "Claims, put to the test" } p.lead { (super::terminal::summary(claims)) }
                (index(claims)) }
            @for claim in &claims.claims { (section(claim)) }
            section { p.note { "Run with " code { (show(&claims.command)) } " on "
                (show(&claims.environment.cpu_model)) ", " (claims.environment.cores) " cores." } }
        }
    };
    page("Claims", POLICY, &[STYLE, OWN_STYLE], &body)
}

fn show(foreign: &str) -> Markup {
    html! { bdi { (text::line(foreign, text::PROSE)) } }
}

fn answer(claim: &Claim) -> Markup {
    let word = claim.answer().word();
    html! { span.answer.(word.replace(' ', "-")) { (word) } }
}

fn index(claims: &Claims) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "#" } th { "claim" } th { "answer" } } }
            tbody { @for claim in &claims.claims { tr {
                td { (claim.number) }
                td { a href=(format!("#claim-{}", claim.number)) { (show(&claim.text)) } }
                td { (answer(claim)) }
            } } }
        } }
    }
}

fn section(claim: &Claim) -> Markup {
    html! {
        section id=(format!("claim-{}", claim.number)) {
            h2 { (claim.number) " " (show(&claim.id)) " " (answer(claim)) }
            blockquote { (show(&claim.text)) " " small { (show(&claim.source)) } }
            @if let Some(what) = claim.contradiction() {
                p { strong { "Contradicts what is known: " } (show(&what)) }
            }
            @match &claim.outcome {
                Outcome::NotRun(needs) => p { "Not run here: " (show(needs)) },
                Outcome::Failed(why) => p { "The experiment failed: " (show(why)) },
                Outcome::Ran(shown) => (body(claim, shown)),
            }
        }
    }
}

fn body(claim: &Claim, shown: &Shown) -> Markup {
    let groups =
        [("premise", &shown.premises), ("the claim", &shown.says), ("beyond it", &shown.beyond)];
    html! {
        p { (show(&shown.why)) }
        div.scroll { table { tbody {
            @for (word, facts) in groups { @for fact in facts { (row(word, fact)) } }
        } } }
        @if !shown.schedule.is_empty() {
            pre { @for line in &shown.schedule { (show(line)) "\n" } }
        }
        @if let Some(figure) = &shown.figure {
            figure { (PreEscaped(svg::draw(figure))) }
            (data(figure))
        }
        p.note { "Measured on " (show(&shown.measured_on)) " in " (seconds(claim.seconds)) ". What is known: "
            (show(&claim.truth)) }
    }
}

fn row(word: &str, fact: &Fact) -> Markup {
    html! { tr {
        td { (word) } td { (if fact.holds { "holds" } else { "does not hold" }) }
        td { (show(&fact.text)) } td { (show(&fact.measured)) }
    } }
}

fn data(figure: &Figure) -> Markup {
    let points = || figure.series.iter().flat_map(|s| s.points.iter().map(move |p| (&s.name, p)));
    let total = points().count();
    html! {
        details { summary { "The data" }
            div.scroll { table {
                thead { tr { th { "series" } th { (show(&figure.x.label)) } th { (show(&figure.y.label)) } } }
                tbody { @for (name, (x, y)) in points().take(ROWS) {
                    tr { td { (show(name)) } td.n { (number(*x)) } td.n { (number(*y)) } }
                } }
            } }
            @if total > ROWS { p.note { (ROWS) " of " (total) " points; all are in the JSON." } }
        }
    }
}
