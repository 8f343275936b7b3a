//! Three real brokers: one killed, and a log that loses what it had acknowledged. Needs `KAFKA_HOME`
//! and an installed MariaDB; without them these tests say so and pass, unless
//! `STORMPROOF_REQUIRE_SERVICES=1`.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::{Mutex, PoisonError};

use common::{needs, said, stormproof};
use serde_json::Value;

fn has_kafka(test: &str) -> bool {
    needs::variable(test, needs::SERVICES, needs::KAFKA_HOME).is_some()
}

/// Four Java processes are enough at a time.
static ONE_CLUSTER: Mutex<()> = Mutex::new(());

/// Runs a scenario of 40 partitions on three brokers.
fn run(folder: &Path, more: &str) -> (Output, Value) {
    let _alone = ONE_CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    let scenario = format!(
        "seed = 5\n[job]\nparallelism = 40\n[load]\nrecords = 40000\nrate_per_s = 4000\n\
         [environment]\nkind = \"local\"\nkafka_brokers = 3\n{more}"
    );
    fs::write(folder.join("brokers.toml"), scenario).unwrap();
    let run = stormproof(&["run", "--scenario", "brokers.toml", "--out", "out", "-q"], folder);
    let json =
        fs::read(folder.join("out/result.json")).unwrap_or_else(|_| panic!("{}", said(&run)));
    (run, serde_json::from_slice(&json).unwrap())
}

#[test]
fn one_of_three_is_killed_and_the_others_take_over() {
    if !has_kafka("a killed broker of three") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (run, result) = run(
        folder.path(),
        "[[faults.schedule]]\naction = \"sigkill\"\n\
         when = { at_step = { step = \"sink_flush_confirmed\", armed_at_ms = 3000 } }\n\
         [[faults.schedule]]\naction = \"sigkill\"\ntarget = { broker-node = 2 }\n\
         when = { at_records = 20000 }\n",
    );
    assert_eq!(run.status.code(), Some(0), "{}\n{}", result["verdict_reason"], said(&run));
    let fault = &result["faults"][1];
    let effect = fault["effect"].as_str().unwrap();
    assert!(effect.contains("partitions of broker 2 got other leaders"), "{effect}");
    assert!(fault["recovered_s"].as_f64() > fault["healed_s"].as_f64(), "{fault}");
}

#[test]
fn a_log_that_loses_what_it_acknowledged_is_told_and_nobody_is_convicted() {
    if !has_kafka("an unclean election") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (run, result) = run(
        folder.path(),
        "min_insync_replicas = 1\n\
         [[faults.schedule]]\naction = \"sigkill\"\n\
         when = { at_step = { step = \"sink_flush_confirmed\", armed_at_ms = 3000 } }\n\
         [[faults.schedule]]\naction = { unclean-election = { ms = 1500 } }\ntarget = \"broker\"\n\
         when = { at_records = 16000 }\n",
    );
    let reason = result["verdict_reason"].as_str().unwrap();
    assert_eq!((run.status.code(), &result["verdict"]), (Some(2), &"unknown".into()), "{reason}");
    assert_eq!(result["faults_landed"], 2, "{}", result["faults"]);
    let checks = result["checks"].as_array().unwrap();
    let of = |verdict: &str| {
        let is_so = |check: &&Value| check["verdict"] == verdict;
        checks.iter().filter(is_so).map(|check| check["id"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of("violated"), Vec::<&str>::new(), "{checks:#?}");
    let kept = checks.iter().find(|check| check["id"] == "input-kept").expect("it is told");
    assert_eq!(kept["verdict"], "unknown");
    assert!(kept["figures"]["records"].as_f64() > Some(1_000.0), "{kept}");
    // What the log kept is judged: all before the loss has its effect.
    assert!(of("proven").contains(&"conservation"), "{checks:#?}");
    let verify = stormproof(&["verify", "out", "-q"], folder.path());
    assert_eq!(verify.status.code(), Some(2), "{}", said(&verify));
}

#[test]
fn what_no_cluster_can_do_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], scenario: &str, parts: &[&str]| {
        fs::write(folder.path().join("s.toml"), scenario).unwrap();
        let mut all = vec!["run", "--scenario", "s.toml"];
        all.extend(args);
        let run = stormproof(&all, folder.path());
        assert_eq!(run.status.code(), Some(2), "{}", said(&run));
        for part in parts {
            assert!(said(&run).contains(part), "{part:?} is missing: {}", said(&run));
        }
    };
    let three = ["--kafka-brokers", "3"];
    refused(&three, "", &["embedded environment has no use", "--kafka-brokers", "--env local"]);
    refused(&["--env", "containers", "--kafka-brokers", "3"], "", &["--env local"]);
    refused(&["--env", "local", "--kafka-brokers", "0"], "", &["from 1 to 5"]);
    refused(&["--env", "local"], "[environment]\nmin_insync_replicas = 2", &["--kafka-brokers 3"]);
    let fault = |target: &str, action: &str| {
        format!(
            "[[faults.schedule]]\ntarget = {target}\naction = {action}\nwhen = {{ at_ms = 1 }}\n"
        )
    };
    let local = ["--env", "local", "--kafka-brokers", "3"];
    let node = fault("{ broker-node = 4 }", "\"sigkill\"");
    refused(&local, &node, &["no broker 4", "from 1 to 3"]);
    refused(&[], &fault("{ broker-node = 1 }", "\"sigkill\""), &["target = \"broker\""]);
    let unclean = fault("\"broker\"", "{ unclean-election = { ms = 500 } }");
    refused(&local, &unclean, &["loses nothing", "min_insync_replicas = 1"]);
    refused(&[], &unclean, &["loses nothing", "--kafka-brokers 3"]);
}
