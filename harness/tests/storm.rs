//! Whole storms at a small size: proven, judged again, replayed; tampered with; faults that miss.

mod common;

use std::fs;

use common::{engines_of, json, said, scenario, stormproof};
use serde_json::Value;

/// A storm of four faults over six seconds, small enough for any machine.
const SMALL: &str = "
seed = 5
[load]
records = 30000
rate_per_s = 5000
[job]
parallelism = 8
batch_interval_ms = 200
[checkpoint]
interval_ms = 400
[faults]
count = 4
";

#[test]
fn a_storm_is_proven_verified_and_replayed() {
    let folder = scenario(SMALL);
    let at = folder.path();
    let run = stormproof(&["run", "--scenario", "storm.toml", "--out", "out", "--json"], at);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let printed: Value = serde_json::from_slice(&run.stdout).expect("--json prints JSON alone");
    let result = json(&at.join("out/result.json"));
    assert_eq!(printed["verdict"], "proven");
    for name in ["lost", "duplicates", "duplicates_expected", "checkpoints_completed"] {
        assert_eq!(printed[name], result[name], "{name}");
    }
    assert_eq!((&result["lost"], &result["records"]), (&0.into(), &30_000.into()));
    assert_eq!(result["duplicates"], result["duplicates_expected"]);
    assert_eq!((&result["faults_landed"], &result["faults_scheduled"]), (&4.into(), &4.into()));
    assert!(result["faults_landed_mid_checkpoint"].as_u64() >= Some(3), "{result}");
    assert!(result["attempts"].as_u64() >= Some(4), "three faults end an attempt each");
    assert!(result["peak_rss_bytes"].as_u64() > Some(10 << 20));
    assert!(fs::read_to_string(at.join("out/report.html")).unwrap().contains("</html>"));
    assert!(!at.join("out/engine-spec.json").exists(), "it may hold a password");
    assert!(engines_of(at).is_empty());

    let again = stormproof(&["verify", "out", "--json", "--second-opinion"], at);
    assert!(said(&again).contains("the plain checker agrees on all 16 rules"), "{}", said(&again));
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    let judged: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(judged["checks"], result["checks"]);

    let replay = stormproof(&["replay", "out/result.json", "--out", "again", "-q"], at);
    assert_eq!(replay.status.code(), Some(0), "{}", said(&replay));
    for file in ["schedule.json", "scenario.toml"] {
        let read = |folder: &str| fs::read(at.join(folder).join(file)).unwrap();
        assert_eq!(read("out"), read("again"), "{file}");
    }
}

#[test]
fn a_run_is_replayed_as_often_as_asked_for() {
    let folder = scenario(&SMALL.replace("records = 30000", "records = 20000"));
    let at = folder.path();
    let run = stormproof(&["run", "--scenario", "storm.toml", "--out", "out", "-q"], at);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let replay = stormproof(&["replay", "out", "--tries", "2", "--out", "again", "-q"], at);
    assert_eq!(replay.status.code(), Some(0), "{}", said(&replay));
    let told = "violated in 0 of 2 tries (0 %); 2 proven, 0 unknown";
    assert!(said(&replay).contains(told), "{}", said(&replay));
    for folder in ["again/try-1", "again/try-2"] {
        assert_eq!(json(&at.join(folder).join("result.json"))["verdict"], "proven", "{folder}");
    }
}

#[test]
fn a_run_is_measured_beside_bare_clients_and_leaves_nothing_of_that() {
    let folder = scenario(SMALL);
    let at = folder.path();
    let args = ["run", "--scenario", "storm.toml", "--out", "out", "--quiet", "--beside-bare"];
    let run = stormproof(&args, at);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    assert!(said(&run).contains("of the slower of a bare consumer"), "{}", said(&run));
    assert!(
        fs::read_to_string(at.join("out/report.html")).unwrap().contains("Beside bare clients")
    );
    let bare = &json(&at.join("out/result.json"))["beside_bare"];
    for rate in ["consumer", "loader", "upserts", "job"] {
        let rate = &bare[format!("{rate}_records_per_s")];
        assert!(rate.as_f64() > Some(100.0), "{bare}");
    }
    let left = fs::read_dir(at.join("out")).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("beside")).collect();
    assert!(left.is_empty(), "{left:?}");
    let database = rusqlite::Connection::open(at.join("out/database.sqlite")).unwrap();
    let tables =
        "SELECT COUNT(*) FROM sqlite_master WHERE name LIKE '%beside%' OR name LIKE '%bare%'";
    let tables: i64 = database.query_row(tables, (), |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
    assert!(engines_of(at).is_empty());
}

#[test]
fn evidence_that_was_tampered_with_is_convicted() {
    let folder = scenario(SMALL);
    let at = folder.path();
    let run = stormproof(&["run", "--scenario", "storm.toml", "--out", "out", "-q"], at);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let database = rusqlite::Connection::open(at.join("out/database.sqlite")).unwrap();
    let sql = "DELETE FROM storm_audit WHERE partition_id = 3 AND record_offset = 17";
    assert!(database.execute(sql, ()).unwrap() >= 1);
    drop(database);
    let verify = stormproof(&["verify", "out"], at);
    assert_eq!(verify.status.code(), Some(1), "{}", said(&verify));
    assert!(said(&verify).contains("offset 17"), "{}", said(&verify));
}

#[test]
fn a_fault_that_cannot_land_makes_the_run_unknown_by_name() {
    let by_hand = SMALL.replace("count = 4", "")
        + "[[faults.schedule]]\naction = \"sigkill\"\nwhen = { at_ms = 800 }\n\
           [[faults.schedule]]\naction = \"panic\"\n\
           when = { at_step = { step = \"transaction_commit_sent\" } }\n";
    let folder = scenario(&by_hand);
    let args = ["run", "--scenario", "storm.toml", "--out", "out", "--quiet"];
    let run = stormproof(&args, folder.path());
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    let result = json(&folder.path().join("out/result.json"));
    assert_eq!(result["verdict"], "unknown");
    let reason = result["verdict_reason"].as_str().unwrap();
    assert!(reason.contains("Fault-2") && reason.contains("did not land"), "{reason}");
    assert_eq!(result["faults"][0]["effect"], "the process's wait status is signal 9");
}

#[test]
fn faults_land_in_the_recovery_that_a_killed_process_needs() {
    let by_hand = SMALL.replace("count = 4", "")
        + "[[faults.schedule]]\naction = \"panic\"\n\
           when = { at_step = { step = \"restore_done\", armed_at_ms = 900 } }\n\
           [[faults.schedule]]\naction = \"error\"\n\
           when = { at_step = { step = \"restore_begun\", armed_at_ms = 900 } }\n\
           [[faults.schedule]]\naction = \"sigkill\"\n\
           when = { at_step = { step = \"sink_flush_confirmed\", armed_at_ms = 1000 } }\n";
    let folder = scenario(&by_hand);
    let args = ["run", "--scenario", "storm.toml", "--out", "out", "--quiet"];
    let run = stormproof(&args, folder.path());
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let result = json(&folder.path().join("out/result.json"));
    assert_eq!(result["faults_landed"], 3, "{}", result["verdict_reason"]);
    // The job's own, the one that fails at once, the one whose restore is in vain, the last.
    assert_eq!(result["attempts"], 3, "{}", result["verdict_reason"]);
    let events = fs::read_to_string(folder.path().join("out/events.jsonl")).unwrap();
    let of_process = |line: &&str| line.contains("starts with fault-");
    assert_eq!(events.lines().filter(of_process).count(), 2, "both came with the new process");
}

#[test]
fn other_partitioners_strategies_and_designs_are_proven() {
    let variants = [
        (
            "partitioner = \"shuffle\"",
            "alignment_timeout_ms = 1",
            "strategy = \"fixed-delay\"\ndelay_ms = 10\nmax_restarts = 50",
        ),
        (
            "partitioner = \"rescale\"",
            "min_pause_ms = 100\ntolerable_failures = 0",
            "strategy = \"exponential-delay\"\ninitial_ms = 5\nmax_ms = 200\nfactor = 2.0\nreset_after_ms = 1000",
        ),
        (
            "partitioner = \"forward\"\nsink_design = \"flush-on-barrier\"",
            "max_concurrent = 2\nretained = 50",
            "strategy = \"fixed-delay\"\ndelay_ms = 0\nmax_restarts = 50",
        ),
    ];
    for (job, checkpoint, restart) in variants {
        let small = SMALL
            .replace("records = 30000\nrate_per_s = 5000", "records = 20000\nrate_per_s = 5000");
        let text = small
            .replace("[job]", &format!("[job]\n{job}"))
            .replace("[checkpoint]", &format!("[checkpoint]\n{checkpoint}"))
            + &format!("[restart]\n{restart}\n");
        let folder = scenario(&text);
        let args = ["run", "--scenario", "storm.toml", "--out", "out", "-q"];
        let run = stormproof(&args, folder.path());
        assert_eq!(run.status.code(), Some(0), "{text}\n{}", said(&run));
        let result = json(&folder.path().join("out/result.json"));
        assert_eq!((&result["lost"], &result["faults_landed"]), (&0.into(), &4.into()), "{text}");
    }
}

#[test]
fn a_job_that_must_not_restart_ends_with_the_cause_and_nothing_is_proven() {
    let text = SMALL.replace("count = 4", "")
        + "[[faults.schedule]]\naction = \"panic\"\nwhen = { at_step = { step = \"upload\" } }\n\
           [restart]\nstrategy = \"none\"\n";
    let folder = scenario(&text);
    let args = ["run", "--scenario", "storm.toml", "--out", "out", "-q"];
    let run = stormproof(&args, folder.path());
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    let result = json(&folder.path().join("out/result.json"));
    let reason = result["verdict_reason"].as_str().unwrap();
    assert!(reason.contains("cannot go on") && reason.contains("panic"), "{reason}");
    assert!(result["lost"].is_null(), "what was under way is not lost");
    assert!(result["effects"].as_u64().is_some(), "what is there was counted");
}

#[test]
fn a_job_restored_at_another_parallelism_is_proven() {
    for (mode, rescale_to) in [
        ("exactly-once", "13"),
        ("exactly-once-unaligned", "5"),
        ("at-least-once", "11"),
        ("at-least-once-first-barrier", "3"),
    ] {
        let folder = scenario(SMALL);
        let options = ["--mode", mode, "--rescale-to", rescale_to, "-q"];
        let args = ["run", "--scenario", "storm.toml", "--out", "out"];
        let run = stormproof(&[&args[..], &options].concat(), folder.path());
        assert_eq!(run.status.code(), Some(0), "{mode} to {rescale_to}: {}", said(&run));
        let result = json(&folder.path().join("out/result.json"));
        let notes = result["notes"].to_string();
        assert!(notes.contains(&format!("restored at parallelism {rescale_to}")), "{notes}");
        let checkpoints = fs::read_dir(folder.path().join("out/checkpoints")).unwrap();
        let manifests = checkpoints
            .filter_map(|chk| fs::read_to_string(chk.unwrap().path().join("manifest.json")).ok());
        let rescaled = format!("\"parallelism\":{rescale_to},");
        assert!(manifests.into_iter().any(|manifest| manifest.contains(&rescaled)), "{mode}");
    }
}
