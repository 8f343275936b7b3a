//! Retention passes the checkpoint while the engine is down: the records are lost, the fault did
//! it, and the engine says so instead of skipping them. Neither proven nor the engine's violation.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{needs, stormproof};
use serde_json::Value;

fn run(folder: &Path, environment: &str, action: &str) -> (Output, Value) {
    let scenario = format!(
        "seed = 5\n[job]\nparallelism = 20\n[load]\nrecords = 40000\nrate_per_s = 4000\n\
         [[faults.schedule]]\naction = \"sigkill\"\nwhen = {{ at_ms = 2500 }}\n\
         [[faults.schedule]]\naction = \"{action}\"\ntarget = \"broker\"\nwhen = {{ at_ms = 6000 }}\n"
    );
    fs::write(folder.join("truncated.toml"), scenario).unwrap();
    let scenario = ["run", "--scenario", "truncated.toml", "--out", "out", "-q"];
    let run = stormproof(&[&scenario[..], &["--env", environment]].concat(), folder);
    let json = fs::read(folder.join("out/result.json"));
    let json = json.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&run.stderr)));
    (run, serde_json::from_slice(&json).unwrap())
}

fn is_told_and_nobody_is_convicted(environment: &str, action: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (run, result) = run(folder.path(), environment, action);
    let reason = result["verdict_reason"].as_str().unwrap();
    assert_eq!((run.status.code(), &result["verdict"]), (Some(2), &"unknown".into()), "{reason}");
    for said in ["retention has passed the checkpoint", "Fault-2", action] {
        assert!(reason.contains(said), "{reason}");
    }
    assert_eq!(result["faults_landed"], 2);
    let convicted: Vec<_> = result["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["verdict"] == "violated")
        .map(|check| &check["summary"])
        .collect();
    assert!(convicted.is_empty(), "{convicted:?}");
    // The input is known although the log does not hold it any more.
    assert!(result["records"].as_u64().unwrap() > 20_000, "{}", result["records"]);
    let verify = stormproof(&["verify", "out", "-q"], folder.path());
    assert_eq!(verify.status.code(), Some(2), "{}", String::from_utf8_lossy(&verify.stdout));
}

#[test]
fn on_the_embedded_broker() {
    is_told_and_nobody_is_convicted("embedded", "truncate");
}

fn on_a_real_kafka(action: &str) {
    let test = format!("{action} of a real topic");
    if needs::variable(&test, needs::SERVICES, needs::KAFKA_HOME).is_some() {
        is_told_and_nobody_is_convicted("local", action);
    }
}

#[test]
fn a_real_topic_is_truncated() {
    on_a_real_kafka("truncate");
}

#[test]
fn a_real_brokers_retention_takes_what_nobody_has_read() {
    on_a_real_kafka("retention");
}
