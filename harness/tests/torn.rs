//! Checkpoints that are damaged while the engine is down: passed over with a message, and nothing
//! is lost, for an older one is whole.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Running, engines_of, json, scenario, wait_for};

const A_WHILE: Duration = Duration::from_secs(60);

/// Two kills after which the engine stays down for a while.
const LONG_DOWN: &str = "
seed = 6
[load]
records = 60000
rate_per_s = 5000
partitions = 32
[job]
parallelism = 8
batch_interval_ms = 100
[checkpoint]
interval_ms = 300
[[faults.schedule]]
action = \"sigkill\"
heal_after_ms = 3000
when = { at_ms = 2500 }
[[faults.schedule]]
action = \"sigkill\"
heal_after_ms = 3000
when = { at_ms = 8500 }
";

/// The folder of the newest checkpoint that has a manifest.
fn newest(checkpoints: &Path) -> PathBuf {
    let folders = fs::read_dir(checkpoints).unwrap().map(|entry| entry.unwrap().path());
    let complete = folders.filter(|folder| folder.join("manifest.json").is_file());
    complete.max().expect("a checkpoint was completed")
}

/// Waits until the engine is down, and damages its newest checkpoint.
fn damage(folder: &Path, how: impl FnOnce(&Path)) -> u64 {
    wait_for("an engine", A_WHILE, || !engines_of(folder).is_empty());
    wait_for("its end", A_WHILE, || engines_of(folder).is_empty());
    let newest = newest(&folder.join("out/checkpoints"));
    how(&newest);
    let name = newest.file_name().unwrap().to_string_lossy().into_owned();
    name.strip_prefix("chk-").unwrap().parse().unwrap()
}

#[test]
fn a_torn_checkpoint_is_passed_over_and_said_so() {
    let folder = scenario(LONG_DOWN);
    let at = folder.path();
    let mut run = Running::start(&["run", "--scenario", "storm.toml", "--out", "out"], at);
    run.hear("load  ", A_WHILE);
    let bad_state = damage(at, |checkpoint| {
        let files = fs::read_dir(checkpoint).unwrap().map(|entry| entry.unwrap().path());
        let state = files.filter(|f| f.extension().is_some_and(|e| e == "state")).min().unwrap();
        let mut bytes = fs::read(&state).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        fs::write(&state, bytes).unwrap();
    });
    let torn_manifest = damage(at, |checkpoint| {
        let manifest = checkpoint.join("manifest.json");
        let text = fs::read(&manifest).unwrap();
        fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    });
    let code = run.end(A_WHILE);
    let result = json(&at.join("out/result.json"));
    assert_eq!(result["lost"], 0, "{}", result["verdict_reason"]);
    let notes = result["notes"].to_string();
    for id in [bad_state, torn_manifest] {
        let said = format!("checkpoint {id} was passed over");
        assert!(notes.contains(&said), "no {said:?} in {notes}");
    }
    // Whoever damages evidence takes something from the proof, and is never convicted of a loss.
    assert!(code == Some(0) || code == Some(2), "{code:?}: {}", result["verdict_reason"]);
}
