//! Where the result comes from: environment, versions, seed, and the command to run it again.

use maud::{Markup, html};

use super::{UPLOT_LICENSE, part, show};
use crate::figures::{bytes, counted, seconds};
use crate::schema::RunResult;
use crate::text;

/// Characters of a scenario at most.
const SCENARIO: usize = 20_000;
/// Entries shown at most of a list.
const ENTRIES: usize = 40;

/// The sections on reproduction, environment and notes.
pub(super) fn section(result: &RunResult) -> Markup {
    html! {
        (again(result))
        (part("environment", "Environment", "", &environment(result)))
        @if !result.notes.is_empty() {
            (part("notes", "Notes", "", &html! {
                ul { @for note in result.notes.iter().take(ENTRIES) { li { (show(note)) } } }
            }))
        }
    }
}

fn again(result: &RunResult) -> Markup {
    let command = text::block(&result.reproduce, text::PROSE);
    let body = html! {
        @if !command.is_empty() { (copyable("command", &command)) }
        @if let Some(origin) = &result.origin {
            p.lead { "Without the run's folder: " code { "stormproof replay result.json" }
                " does the same from the result alone, schedule included. With other code or on \
                 another machine, save the scenario below and run " code {
                "stormproof run --scenario scenario.toml" } "." }
            @if let Some(mutant) = &origin.mutant {
                p.note { "The engine ran with a planted bug: " (show(mutant)) "." }
            }
            details {
                summary { "The scenario" }
                (copyable("scenario", &text::block(&origin.scenario_toml, SCENARIO)))
            }
        }
        p.note { "Seed " b { (result.seed) } ", schema version " (result.schema_version) "." }
    };
    part("again", "Run it again", "", &body)
}

/// Text to paste, with a button that copies it.
fn copyable(id: &str, foreign: &str) -> Markup {
    html! {
        div.command {
            pre { code id=(id) { (foreign) } }
            button.copy type="button" data-of=(id) hidden { "Copy" }
        }
    }
}

fn environment(result: &RunResult) -> Markup {
    let at = &result.environment;
    let machine =
        format!("{}, {} of memory", counted(at.cores.into(), "core"), bytes(at.memory_bytes));
    let facts = [
        ("Environment", at.name.as_str()),
        ("Processor", &at.cpu_model),
        ("Machine", &machine),
        ("System", &at.os),
        ("Kernel", &at.kernel),
        ("Stormproof", &at.stormproof_version),
        ("Commit", at.git_commit.as_deref().unwrap_or("not known")),
    ];
    html! {
        dl.facts {
            @for (name, fact) in facts { div { dt { (name) } dd { (show(fact)) } } }
            @for (name, version) in at.versions.iter().take(ENTRIES) {
                div { dt { (show(name)) } dd { (show(version)) } }
            }
            @for phase in result.phases.iter().take(ENTRIES) {
                div { dt { "Phase: " (show(&phase.name)) } dd { (seconds(phase.seconds)) } }
            }
        }
    }
}

/// The end of the page, with the licence of the charts.
pub(super) fn footer() -> Markup {
    html! {
        footer {
            p { "Rendered from " code { "result.json" } " by Stormproof. This page loads nothing." }
            details { summary { "Charts by uPlot, MIT licence" } pre { (UPLOT_LICENSE) } }
        }
    }
}
