//! The oracle judges from the outside: it imports neither the engine, nor the faults, nor the
//! reports, and of the harness only itself and the ledger.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_oracle_and_the_ledger_import_nothing_they_judge() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root.join("oracle"), &mut found);
    sources(&root.join("workload/ledger"), &mut found);
    assert!(found.len() > 30, "{} files", found.len());
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a source");
        for (number, line) in (1..).zip(text.lines()) {
            let place = format!("{}:{number}: {line}", path.display());
            for room in ["engine", "chaos", "reports", "benches"] {
                assert!(!line.contains(&format!("stormproof_{room}")), "{place}");
            }
            let own = ["crate::workload::ledger", "crate::oracle"];
            let outside = line.matches("crate::").count();
            let inside: usize = own.iter().map(|own| line.matches(own).count()).sum();
            assert_eq!(outside, inside, "{place}");
        }
    }
}

#[test]
fn the_second_checker_shares_only_evidence_and_vocabulary_with_the_first() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/oracle/plain");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() >= 7, "{} files", found.len());
    let shared = ["checkpoint_reader", "conditions", "evidence", "ids", "judge::Input", "verdict"];
    let own = ["attempts", "cuts", "records", "run", "story", "table", "totals", "Answer"];
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a source");
        let is_root = path.ends_with("mod.rs");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let outer = if is_root { "super::" } else { "super::super::" };
            for name in line.split(outer).skip(1) {
                let known = shared.iter().any(|shared| name.starts_with(shared));
                assert!(known, "{}: {line}", path.display());
            }
            if !is_root && !line.contains(outer) {
                for name in line.split("super::").skip(1) {
                    let known = own.iter().any(|own| name.starts_with(own));
                    assert!(known, "{}: {line}", path.display());
                }
            }
        }
    }
}
