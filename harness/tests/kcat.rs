//! A second opinion: kcat fills the topic with input that the harness did not write, and kcat
//! says what the consumer group has committed.
//!
//! Needs kcat and the database of `STORMPROOF_TEST_MYSQL_URL`. Without one of them these tests say
//! so and pass, unless `STORMPROOF_REQUIRE_MYSQL=1` or `STORMPROOF_REQUIRE_KCAT=1`.

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{json, needs, said, stormproof};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use stormproof_harness::oracle::checkpoint_reader::{CheckpointFolder, CheckpointSource as _};

const PARTITIONS: i32 = 4;

/// The database's URL, when it and kcat are here.
fn database() -> Option<String> {
    let has_kcat = Command::new("kcat").arg("-V").output().is_ok();
    let is_there = needs::has("a second opinion", needs::KCAT, has_kcat, "there is no kcat");
    needs::mysql("a second opinion").filter(|_| is_there)
}

/// Runs kcat against the topic with `input` on its stdin; returns its stdout.
fn kcat(brokers: &str, args: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("timeout")
        .args(["60", "kcat", "-q", "-b", brokers])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kcat is here");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "kcat {args:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("its format is text")
}

/// Records of every odd kind; returns how many.
fn fill(brokers: &str, folder: &Path) -> u64 {
    let produce = |args: &[&str], input: &[u8]| {
        let args = [&["-P", "-t", "odd"], args].concat();
        kcat(brokers, &args, input);
    };
    let keyed: String = (0..3_000).map(|n| format!("key-{}:value {n}\n", n % 50)).collect();
    produce(&["-p", "0", "-K:"], keyed.as_bytes());
    let lengths: String = (0..400).map(|n| "x".repeat(n * 7 % 900) + "\n").collect();
    produce(&["-p", "1"], lengths.as_bytes());
    // An empty value is a null with -Z, and so is an empty key.
    produce(&["-p", "2", "-K:", "-Z"], b"tombstone:\n:no key\nkey-1:again\n");
    produce(&["-p", "2", "-K:"], b"empty value:\n:empty key\n");
    produce(&["-p", "3", "-K:"], b"\xff\xfe\x01:\x80\x81 is no UTF-8 \xc3\x28\n");
    let large = folder.join("large.bin");
    std::fs::write(&large, (0..1_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>())
        .unwrap();
    produce(&["-p", "3", "-X", "message.max.bytes=2000000", large.to_str().unwrap()], b"");
    let lines = lengths.lines().filter(|line| !line.is_empty()).count() as u64;
    3_000 + lines + 3 + 2 + 1 + 1
}

/// The source's offsets in the newest completed checkpoint.
fn newest_cut(run: &Path) -> BTreeMap<u32, u64> {
    let mut folder = CheckpointFolder::new(run.join("checkpoints"));
    let listed = folder.list().expect("the folder can be listed");
    let newest =
        listed.into_iter().filter_map(|one| one.manifest.ok()).max_by_key(|m| m.checkpoint);
    let state = folder.state(&newest.expect("a checkpoint completed")).expect("it reads back");
    state.splits.iter().map(|split| (split.partition.0, split.next_offset.0)).collect()
}

#[test]
fn kcat_fills_the_topic_and_sees_the_offsets_of_the_newest_checkpoint() {
    let Some(url) = database() else { return };
    let broker: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    broker.create_topic("odd", PARTITIONS, 1).unwrap();
    let brokers = broker.bootstrap_servers();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let records = fill(&brokers, at);
    let scenario = "
        [job]
        parallelism = 4
        batch_interval_ms = 100
        [checkpoint]
        interval_ms = 300
        [[faults.schedule]]
        action = \"panic\"
        when = { at_step = { step = \"sink_flush_confirmed\" } }
        [[faults.schedule]]
        action = \"sigkill\"
        when = { at_step = { step = \"notified\", checkpoint = { nth = 2 } } }
    ";
    std::fs::write(at.join("storm.toml"), scenario).unwrap();
    let services = ["--env", "external", "--records", "0", "--topic", "odd"];
    let addresses = ["--brokers", &brokers, "--database", &url, "--out", "out", "--seed", "1"];
    let args = [&["run", "--scenario", "storm.toml", "-q"][..], &services, &addresses].concat();
    let run = stormproof(&args, at);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let result = json(&at.join("out/result.json"));
    assert_eq!((&result["records"], &result["lost"]), (&records.into(), &0.into()));
    assert_eq!(result["latency"]["samples"], serde_json::Value::Null, "nobody knows when");

    // A marker behind the end of each partition: where the group reads it, it has read up to.
    for partition in 0..PARTITIONS {
        kcat(&brokers, &["-P", "-t", "odd", "-p", &partition.to_string()], b"marker\n");
    }
    let conditions = json(&at.join("out/conditions.json"));
    let group = conditions["addresses"]["group"].as_str().unwrap();
    let format = ["-X", "auto.offset.reset=error", "-f", "%p %o\n", "-e"];
    let read = kcat(&brokers, &[&format[..], &["-G", group, "odd"]].concat(), b"");
    let first_read: BTreeMap<u32, u64> = read
        .lines()
        .map(|line| line.split_once(' ').expect("partition and offset"))
        .map(|(partition, offset)| (partition.parse().unwrap(), offset.parse().unwrap()))
        .rev()
        .collect();
    assert_eq!(first_read, newest_cut(&at.join("out")), "{read}");

    // As somebody who judges it again would do it.
    let again = stormproof(&["verify", "out", "--database", &url], at);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    let without = stormproof(&["verify", "out"], at);
    assert_eq!(without.status.code(), Some(2), "the password was not written down");
    assert!(said(&without).contains("--database"), "{}", said(&without));
    let replay = stormproof(&["replay", "out", "--out", "again"], at);
    assert_eq!(replay.status.code(), Some(2));
    assert!(said(&replay).contains("--database"), "{}", said(&replay));
    let options = ["--database", &url, "--out", "again", "-q"];
    let replay = stormproof(&[&["replay", "out"][..], &options].concat(), at);
    assert_eq!(replay.status.code(), Some(0), "{}", said(&replay));
    let records = records + PARTITIONS as u64;
    assert_eq!(json(&at.join("again/result.json"))["records"], records, "and the markers");
}
