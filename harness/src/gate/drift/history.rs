//! The stored history: JSON lines in a folder, one line for each run of the gate.
//!
//! Invariants: a line is appended whole, and is never changed; lines of other machines or builds
//! stay, and are not compared; a line that cannot be read is an error with its place, since a
//! history with holes finds changes where there are none.

use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::measure::Figures;
use crate::error::{Result, evidence, folder};

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339.
    pub at: String,
    /// What was measured: a commit, or whatever tells it apart.
    pub commit: String,
    /// Where, and by which build: only equal ones are compared.
    pub machine: String,
    /// The figures.
    pub figures: Figures,
}

/// All entries of the `.jsonl` files in `folder`, by time; none if there is no folder.
///
/// # Errors
/// When a file or a line cannot be read.
pub fn read(history: &Path) -> Result<Vec<Entry>> {
    let unreadable = |error: &dyn std::fmt::Display, place: String| {
        evidence(format!("the history cannot be read: {error}"))
            .at(place)
            .remedy("correct or remove that line; each is one JSON object")
    };
    let mut files = match std::fs::read_dir(history) {
        Ok(listed) => listed
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|error| unreadable(&error, history.display().to_string()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(&error, history.display().to_string())),
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut all: Vec<Entry> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| unreadable(&error, file.display().to_string()))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("{}:{}", file.display(), number + 1);
            all.push(serde_json::from_str(line).map_err(|error| unreadable(&error, place()))?);
        }
    }
    all.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(all)
}

/// Appends `entry` to the file of its month.
///
/// # Errors
/// When it cannot be written.
pub fn append(history: &Path, entry: &Entry) -> Result<()> {
    let month: String = entry.at.chars().take(7).collect();
    let file = history.join(format!("{month}.jsonl"));
    let mut line = serde_json::to_string(entry).expect("an entry is plain data");
    line.push('\n');
    let written = std::fs::create_dir_all(history).and_then(|()| {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&file)?;
        file.write_all(line.as_bytes())
    });
    written.map_err(|error| {
        folder(format!("the history cannot be written: {error}"))
            .at(file.display().to_string())
            .remedy("name another folder with --record, or make room")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: &str) -> Entry {
        let figures = Figures::from([("records_per_s".to_owned(), 1.0)]);
        Entry { at: at.to_owned(), commit: "c".to_owned(), machine: "m".to_owned(), figures }
    }

    #[test]
    fn what_was_appended_is_read_by_time_over_months() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = folder.path().join("new");
        assert_eq!(read(&history).expect("none yet"), []);
        for at in ["2026-02-01T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-02T00:00:00Z"] {
            append(&history, &entry(at)).expect("it is written");
        }
        let all = read(&history).expect("it is read");
        let times: Vec<&str> = all.iter().map(|entry| &entry.at[..10]).collect();
        assert_eq!(times, ["2026-01-31", "2026-02-01", "2026-02-02"]);
        assert!(history.join("2026-01.jsonl").is_file() && history.join("2026-02.jsonl").is_file());
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        append(folder.path(), &entry("2026-01-01T00:00:00Z")).expect("it is written");
        std::fs::write(folder.path().join("2026-02.jsonl"), "\n{\"at\": \n").expect("written");
        let error = read(folder.path()).expect_err("half a line");
        assert!(error.place.expect("a place").ends_with("2026-02.jsonl:2"));
    }
}
