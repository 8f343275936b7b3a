//! What a service said over all its lives, kept in a file.

use std::path::{Path, PathBuf};

/// The most characters of a complaint that are told.
const SHOWN: usize = 300;

/// The file that a service's log was written into.
#[derive(Debug)]
pub(crate) struct SavedLog(pub(super) PathBuf);

impl SavedLog {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// How often the service complains in it, and its last words of the kind: what the engine could
    /// not do may be no fault of the engine. `None` when it complains of nothing.
    pub(crate) fn complaints(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&std::fs::read(&self.0).ok()?).into_owned();
        let is_complaint =
            |line: &&str| [" ERROR ", "[ERROR]"].iter().any(|word| line.contains(word));
        let all: Vec<&str> = text.lines().filter(is_complaint).collect();
        let last: String = all.last()?.chars().take(SHOWN).collect();
        let log = self.0.display();
        Some(format!("{log} has {} lines of errors, the last: {last}", all.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::SavedLog;

    #[test]
    fn the_last_complaint_of_a_service_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let log = SavedLog(folder.path().join("broker.log"));
        assert_eq!(log.complaints(), None, "there is no log");
        std::fs::write(&log.0, "[1] INFO started\n").unwrap();
        assert_eq!(log.complaints(), None);
        let long = "x".repeat(1000);
        let text = format!("[1] ERROR [GroupCoordinator] first\n\tat java\n2 [ERROR] {long}\nok\n");
        std::fs::write(&log.0, text).unwrap();
        let said = log.complaints().unwrap();
        assert!(
            said.contains("broker.log has 2 lines of errors, the last: 2 [ERROR] xxx"),
            "{said}"
        );
        assert!(said.len() < 500, "{said}");
    }
}
