//! The oracle convicts an engine with a seeded bug. Only with `--features mutants`.
#![cfg(feature = "mutants")]

use std::process::Command;

use serde_json::Value;

/// A bug shows itself when a fault falls into its window, and a window may be a millisecond: so many
/// storms in a row miss it only when nobody looks.
const SEEDS: [u8; 3] = [4, 5, 6];

fn verdict_of(mutant: u8, mode: &str, seed: u8) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let (mutant, seed) = (mutant.to_string(), seed.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_stormproof"))
        .args(["run", "--parallelism", "16", "--records", "300000", "--duration", "10"])
        .args(["--seed", &seed, "--out", "out", "--quiet", "--mode", mode, "--mutant", &mutant])
        .current_dir(folder.path())
        .output()
        .expect("the binary runs");
    let json = std::fs::read(folder.path().join("out/result.json")).expect("there is a result");
    (output.status.code(), serde_json::from_slice(&json).expect("a result is JSON"))
}

fn convicted(mutant: u8, mode: &str) {
    let mut verdicts = SEEDS.iter().map(|seed| verdict_of(mutant, mode, *seed));
    // Proven is a miss; anything else but a conviction is a failure at once.
    let (code, result) = verdicts.find(|(code, _)| *code != Some(0)).unwrap_or_else(|| {
        panic!("mutant {mutant} was convicted in none of {} storms", SEEDS.len())
    });
    assert_eq!(code, Some(1), "mutant {mutant}: {}", result["verdict_reason"]);
    let checks = result["checks"].as_array().unwrap();
    let witnesses = checks.iter().filter(|check| check["verdict"] == "violated");
    let mut witnesses = witnesses.flat_map(|check| check["witnesses"].as_array().unwrap());
    assert!(witnesses.next().is_some(), "mutant {mutant}: a conviction has a witness");
}

#[test]
fn mutant_1_loses_what_came_between_the_first_barrier_and_the_others() {
    convicted(1, "at-least-once-first-barrier");
}

#[test]
fn mutant_13_loses_the_buffer_that_a_restore_should_refill() {
    convicted(13, "exactly-once");
}

#[test]
fn mutant_21_recovers_from_the_groups_offsets() {
    convicted(21, "exactly-once");
}

#[test]
fn no_mutant_is_no_conviction() {
    let (code, result) = verdict_of(0, "exactly-once", SEEDS[0]);
    assert_eq!(code, Some(0), "{}", result["verdict_reason"]);
}
