//! The command line as a user meets it: help, errors with place and remedy, exit codes.

mod common;

use std::fs;
use std::process::Command;

use common::stormproof;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs in a fresh folder; expects exit code 2, nothing on stdout, and every part on stderr.
fn refused(args: &[&str], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let output = stormproof(args, folder.path());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    for part in parts {
        assert!(said.contains(part), "{args:?}: no {part:?} in:\n{said}");
    }
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{args:?} left {left:?}");
}

#[test]
fn help_teaches() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["run", "--help"]] {
        let output = stormproof(args, folder.path());
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        for part in ["Exit codes:", "0  proven", "1  violated", "2  unknown", "Examples:"] {
            assert!(help.contains(part), "no {part:?} in:\n{help}");
        }
        for option in ["--seed", "--parallelism", "--mode", "--records", "--duration", "--out"] {
            assert!(help.contains(option), "no {option} in:\n{help}");
        }
        assert!(!help.contains("--spec"), "the engine's own command is hidden");
    }
}

#[test]
fn options_out_of_range_are_refused_with_their_limits() {
    refused(&["run", "--parallelism", "0"], &["--parallelism", "from 1 to 32768"]);
    refused(&["--parallelism", "40000"], &["job.parallelism = 40000", "from 1 to 32768"]);
    refused(&["--parallelism", "many"], &["--parallelism"]);
    refused(&["run", "--mode", "exactly-onze"], &["exactly-once"]);
    refused(&["run", "--records", "0"], &["--env external"]);
    refused(&["run", "--duration", "0"], &["--duration", "at least 1"]);
    refused(&["run", "--records", "-5"], &["--records"]);
    refused(&["run", "--partitioner", "broadcast"], &["key-by", "shuffle"]);
    refused(&["run", "--metrics-port", "70000"], &["--metrics-port"]);
    refused(&["run", "--database", "postgres://h/d"], &["mysql://user:password"]);
    refused(&["run", "--brokers", "b:1"], &["--env external"]);
    refused(&["run", "--env", "external"], &["--brokers", "127.0.0.1:9092"]);
    refused(&["run", "--paralelism", "4"], &["--parallelism"]);
}

#[test]
fn a_scenario_with_a_typo_names_the_place_and_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("storm.toml");
    fs::write(&file, "[job]\nparalelism = 4\n").unwrap();
    let output = stormproof(&["run", "--scenario", "storm.toml"], folder.path());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for part in ["unknown field `paralelism`", "storm.toml:2:1", "did you mean `parallelism`?"] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
}

#[test]
fn a_missing_scenario_is_named() {
    refused(&["run", "--scenario", "none.toml"], &["none.toml", "--print-scenario"]);
}

#[test]
fn a_folder_that_cannot_be_written_or_is_not_empty_is_refused() {
    refused(&["run", "--out", "/proc/none/x"], &["/proc/none/x", "--out"]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.txt"), "precious").unwrap();
    let output = stormproof(&["run", "--out", "."], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("never overwrites"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn services_that_do_not_answer_are_named_without_their_password() {
    let folder = tempfile::tempdir().unwrap();
    let database = "mysql://root:secret@127.0.0.1:1/storm";
    let args = ["run", "--env", "external", "--brokers", "127.0.0.1:1", "--database", database];
    let output = stormproof(&args, folder.path());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the database does not answer"), "{said}");
    assert!(said.contains("root:***@127.0.0.1:1"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn what_is_printed_can_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let printed = stormproof(&["run", "--seed", "9", "--print-scenario"], folder.path());
    assert_eq!(printed.status.code(), Some(0));
    fs::write(folder.path().join("s.toml"), &printed.stdout).unwrap();
    let again = stormproof(&["run", "--scenario", "s.toml", "--print-scenario"], folder.path());
    assert_eq!(text(&again.stdout), text(&printed.stdout));
}

#[test]
fn nothing_to_verify_or_to_replay_is_an_error() {
    refused(&["verify", "nowhere"], &["there is no such folder", "nowhere"]);
    refused(&["replay", "nowhere/result.json"], &["there is no such folder"]);
    refused(&["verify", "."], &["the result cannot be read"]);
    refused(&["replay", "."], &["schedule.json"]);
}

#[test]
fn the_doctor_says_what_can_run_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = stormproof(&["doctor"], folder.path());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["embedded    ready", "local", "containers", "external    untried", "open files"] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "NO_COLOR is set: {said}");
    let nowhere = ["doctor", "--json", "--env", "local", "--kafka-home", "/nonexistent"];
    let output = stormproof(&nowhere, folder.path());
    assert_eq!(output.status.code(), Some(2));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let local = &found["environments"][1];
    assert_eq!((local["name"].as_str(), local["state"].as_str()), (Some("local"), Some("missing")));
    assert!(local["problems"][0]["remedy"].as_str().unwrap().contains("--kafka-home"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_shell_and_a_reader_learn_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let completions = stormproof(&["completions", "bash"], folder.path());
    assert_eq!(completions.status.code(), Some(0));
    // The shell itself is asked whether it can read them, and what they offer.
    let script = folder.path().join("stormproof.bash");
    fs::write(&script, &completions.stdout).unwrap();
    let ask = "source stormproof.bash; COMP_WORDS=(stormproof ga) COMP_CWORD=1; \
               _stormproof stormproof ga stormproof; echo \"${COMPREPLY[@]}\"";
    let offered =
        Command::new("bash").args(["-c", ask]).current_dir(folder.path()).output().unwrap();
    assert_eq!(text(&offered.stdout).trim(), "gate", "{}", text(&offered.stderr));
    let page = text(&stormproof(&["man"], folder.path()).stdout);
    assert!(page.contains(".TH stormproof 1") && page.contains("stormproof\\-gate(1)"), "{page}");
}
