//! Imports run one way: corrections <- engine <- chaos <- harness, reports <- harness; the oracle
//! and the ledger know neither the engine nor the faults.

use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate has a workspace").to_owned()
}

/// Every Rust file under `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Lines of code (not comments) in `files` that name one of `forbidden`.
fn mentions(files: &[PathBuf], forbidden: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).expect("sources are text");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(name) = forbidden.iter().find(|name| code.contains(**name)) {
                found.push(format!("{}:{}: {name}", file.display(), number + 1));
            }
        }
    }
    found
}

/// The crates of this workspace that `room` depends on, in any section of its manifest.
fn dependencies(room: &str) -> Vec<String> {
    let manifest = fs::read_to_string(workspace().join(room).join("Cargo.toml")).unwrap();
    let names = manifest.lines().filter_map(|line| {
        let name = line.split(['=', '.', ' ']).next()?.trim();
        name.starts_with("stormproof-").then(|| name.to_owned())
    });
    names.collect()
}

#[test]
fn the_oracle_and_the_ledger_know_neither_engine_nor_faults() {
    let src = workspace().join("harness/src");
    let mut files = sources(&src.join("oracle"));
    files.extend(sources(&src.join("workload/ledger")));
    assert!(files.len() > 20, "only {} files: were the rooms moved?", files.len());
    let forbidden = [
        "stormproof_engine",
        "stormproof_chaos",
        "crate::driver",
        "crate::run",
        "crate::scenario",
        "crate::environment",
    ];
    assert_eq!(mentions(&files, &forbidden), Vec::<String>::new());
}

#[test]
fn the_engine_knows_its_corrected_client_only() {
    assert_eq!(dependencies("corrections"), Vec::<String>::new());
    assert_eq!(dependencies("engine"), ["stormproof-corrections"]);
    let files = sources(&workspace().join("engine/src"));
    let others = ["stormproof_chaos", "stormproof_harness", "stormproof_reports"];
    assert_eq!(mentions(&files, &others), Vec::<String>::new());
}

#[test]
fn chaos_knows_the_engine_only() {
    assert_eq!(dependencies("chaos"), ["stormproof-engine"]);
}

#[test]
fn reports_know_nobody() {
    assert_eq!(dependencies("reports"), Vec::<String>::new());
}

#[test]
fn only_the_output_room_prints() {
    let mut files = sources(&workspace().join("harness/src"));
    files.retain(|file| !file.starts_with(workspace().join("harness/src/output")));
    // A test may say what it measured.
    files.retain(|file| !file.ends_with("tests.rs"));
    let printing = ["println!", "eprintln!", "print!(", "stdout()", "stderr()"];
    let mut found = mentions(&files, &printing);
    // The engine process reports to its parent on stdout: that is its protocol, not its voice.
    found.retain(|place| !place.contains("driver/engine_main.rs"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_check_itself_sees_a_forbidden_import() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.rs");
    fs::write(&file, "// stormproof_engine in a comment\nuse stormproof_engine::ids;\n").unwrap();
    let found = mentions(&sources(folder.path()), &["stormproof_engine"]);
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("bad.rs:2: stormproof_engine"), "{found:?}");
}
