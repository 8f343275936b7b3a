//! Snapshots of the summaries. `UPDATE_SNAPSHOTS=1 cargo test` rewrites them.

use std::fs;
use std::path::Path;

use stormproof_reports::schema::RunResult;
use stormproof_reports::terminal::Colour;
use stormproof_reports::{markdown, terminal};

use crate::storm;

fn compare(name: &str, rendered: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, rendered).expect("the snapshot is writable");
    }
    let expected = fs::read_to_string(&path).expect("the snapshot exists");
    assert_eq!(rendered, expected, "{name} changed; see the module's docs if that is intended");
}

/// The text without its ANSI colour sequences.
fn colourless(coloured: &str) -> String {
    let mut parts = coloured.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn markdown_summaries() {
    compare("proven.md", &markdown::render(&storm::proven()));
    compare("violated.md", &markdown::render(&storm::violated()));
}

#[test]
fn terminal_tables() {
    compare("proven.txt", &terminal::render(&storm::proven(), Colour::Plain));
    compare("violated.txt", &terminal::render(&storm::violated(), Colour::Plain));
    let unearned = RunResult { faults_landed: 0, ..storm::proven() };
    compare("unearned.txt", &terminal::render(&unearned, Colour::Plain));
}

#[test]
fn colour_is_the_callers_choice_and_changes_nothing_else() {
    for result in [storm::proven(), storm::violated()] {
        let plain = terminal::render(&result, Colour::Plain);
        let coloured = terminal::render(&result, Colour::Ansi);
        assert!(!plain.contains('\u{1b}'));
        assert!(coloured.contains("\u{1b}[1;3"));
        assert_eq!(colourless(&coloured), plain);
    }
}
