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
