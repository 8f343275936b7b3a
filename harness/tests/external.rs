//! The external environment: a broker and a database that this binary did not start, and input
//! that it did not write: empty and large values, nulls, keys that are no UTF-8.
//!
//! The database is that of `STORMPROOF_TEST_MYSQL_URL`. Without it these tests say so and pass,
//! unless `STORMPROOF_REQUIRE_MYSQL=1`.

mod common;

use std::fs;
use std::process::Command;
use std::time::Duration;

use common::needs;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use serde_json::Value;

/// A record's key and value; `None` is Kafka's null.
type KeyAndValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

const PARTITIONS: i32 = 4;
const PLAIN_RECORDS: u64 = 4_000;

fn broker() -> MockCluster<'static, DefaultProducerContext> {
    let broker = MockCluster::new(1).expect("a mock cluster starts");
    broker.create_topic("odd", PARTITIONS, 1).expect("a topic can be made");
    broker
}

/// Fills the topic; returns the number of records.
fn fill(brokers: &str) -> u64 {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("message.max.bytes", "2000000")
        .create()
        .expect("a producer can be made");
    let large = vec![7_u8; 1_000_000];
    let odd: [KeyAndValue<'_>; 7] = [
        (Some(b"empty"), Some(b"")),
        (Some(b"tombstone"), None),
        (None, Some(b"no key")),
        (None, None),
        (Some(b""), Some(b"empty key")),
        (Some(b"\xff\xfe\x00"), Some(b"\x00\x80\xff")),
        (Some(b"large"), Some(&large)),
    ];
    let send = |partition: i32, key: Option<&[u8]>, value: Option<&[u8]>| {
        let mut record = BaseRecord::<[u8], [u8]>::to("odd").partition(partition);
        record.key = key;
        record.payload = value;
        producer.send(record).expect("there is room in the client's queue");
    };
    for i in 0..PLAIN_RECORDS {
        let partition = (i % PARTITIONS as u64) as i32;
        let (key, value) = (format!("k{partition}-{}", i % 40), format!("value {i}"));
        send(partition, Some(key.as_bytes()), Some(value.as_bytes()));
    }
    for (key, value) in odd {
        send(2, key, value);
    }
    producer.flush(Duration::from_secs(30)).expect("everything is acknowledged");
    PLAIN_RECORDS + odd.len() as u64
}

#[test]
fn a_topic_of_somebody_else_is_judged_as_it_is() {
    let Some(url) = needs::mysql("a topic of somebody else") else { return };
    let broker = broker();
    let brokers = broker.bootstrap_servers();
    let records = fill(&brokers);
    let folder = tempfile::tempdir().unwrap();
    let scenario = "
        [job]
        parallelism = 4
        batch_interval_ms = 100
        [checkpoint]
        interval_ms = 500
        [[faults.schedule]]
        action = \"panic\"
        when = { at_step = { step = \"sink_flush_confirmed\" } }
        [[faults.schedule]]
        action = \"sigkill\"
        when = { at_step = { step = \"upload\", checkpoint = { nth = 2 } } }
    ";
    fs::write(folder.path().join("storm.toml"), scenario).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stormproof"))
        .args(["run", "--scenario", "storm.toml", "--out", "out", "--quiet", "--seed", "1"])
        .args(["--env", "external", "--records", "0", "--topic", "odd"])
        .args(["--brokers", &brokers, "--database", &url])
        .current_dir(folder.path())
        .output()
        .expect("the binary runs");
    let json = fs::read(folder.path().join("out/result.json")).expect("there is a result");
    let result: Value = serde_json::from_slice(&json).unwrap();
    let reason = &result["verdict_reason"];
    assert_eq!(output.status.code(), Some(0), "{reason}");
    assert_eq!((&result["records"], &result["lost"]), (&records.into(), &0.into()), "{reason}");
    assert!(result["duplicates"].as_u64() > Some(0), "the panic came after a confirmed flush");
    assert_eq!(result["environment"]["name"], "external");
}

#[test]
fn a_topic_that_does_not_exist_is_named() {
    let Some(url) = needs::mysql("external services") else { return };
    let broker = broker();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stormproof"))
        .args(["run", "--env", "external", "--records", "0", "--topic", "none", "--out", "out"])
        .args(["--brokers", &broker.bootstrap_servers(), "--database", &url])
        .current_dir(folder.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no topic \"none\""), "{said}");
    assert!(!folder.path().join("out").exists(), "nothing is left behind");
}

#[test]
fn a_topic_that_holds_records_is_not_written_to() {
    let Some(url) = needs::mysql("external services") else { return };
    let broker = broker();
    let brokers = broker.bootstrap_servers();
    let records = fill(&brokers);
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stormproof"))
        .args(["run", "--env", "external", "--topic", "odd", "--parallelism", "4", "--out", "out"])
        .args(["--brokers", &brokers, "--database", &url])
        .current_dir(folder.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("{records} records")) && said.contains("--records 0"), "{said}");
}

#[test]
fn a_wrong_password_is_told_with_the_address_and_without_the_password() {
    let Some(url) = needs::mysql("external services") else { return };
    let (account, place) = url.rsplit_once('@').expect("an account at a place");
    let (user, password) = account.rsplit_once(':').expect("a user with a password");
    let wrong = format!("{user}:not-{password}@{place}");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stormproof"))
        .args(["run", "--env", "external", "--brokers", "127.0.0.1:1", "--out", "out"])
        .args(["--database", &wrong])
        .current_dir(folder.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("does not let us in") && said.contains("remedy:"), "{said}");
    assert!(said.contains(place) && !said.contains(&format!("not-{password}")), "{said}");
    assert!(!folder.path().join("out").exists(), "nothing is left behind");
}
