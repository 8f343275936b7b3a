//! `stormproof judge` on jobs that are not ours: small programs that read a topic with a plain
//! client and write a table, one of them right, the others each wrong in its own way.

mod common;

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use rusqlite::Connection;

const PARTITIONS: i32 = 3;
const RECORDS: u64 = 900;

type Broker = MockCluster<'static, DefaultProducerContext>;

/// A topic in which each key lives in one partition.
fn filled() -> Broker {
    let broker = MockCluster::new(1).expect("a mock cluster starts");
    broker.create_topic("orders", PARTITIONS, 1).expect("a topic can be made");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_servers())
        .create()
        .expect("a producer can be made");
    for n in 0..RECORDS {
        let partition = (n % PARTITIONS as u64) as i32;
        let (key, value) = (format!("k{partition}-{}", n % 21), format!("value {n}"));
        let record = BaseRecord::to("orders").partition(partition).key(&key).payload(&value);
        producer.send(record).expect("there is room");
    }
    producer.flush(Duration::from_secs(30)).expect("everything is acknowledged");
    broker
}

/// How the foreign job keeps its position.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// In the database, in the same transaction as the row.
    Together,
    /// Before the row is written: a crash in between loses it.
    Before,
    /// After, and only now and then: a crash writes rows again.
    After,
}

/// The job: reads every partition from its position and writes a row for each record. Dies after
/// `dies_after` records; its next start goes on.
fn run_job(broker: &Broker, file: &Path, how: Position, attempt: u32, dies_after: Option<u64>) {
    let mut database = Connection::open(file).expect("a database");
    database
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS effects (id INTEGER PRIMARY KEY AUTOINCREMENT, p INT, \
             o INT, run INT);
             CREATE TABLE IF NOT EXISTS state (record_key TEXT PRIMARY KEY, record_value TEXT);
             CREATE TABLE IF NOT EXISTS position (p INTEGER PRIMARY KEY, next INT);",
        )
        .expect("its tables");
    let mut handled = 0;
    for partition in 0..PARTITIONS {
        let next = database
            .query_row("SELECT next FROM position WHERE p = ?", [partition], |row| row.get(0))
            .unwrap_or(0_i64);
        let consumer = reader(broker, partition, next);
        let by = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < by, "partition {partition} does not answer");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    handled += 1;
                    let dies = dies_after == Some(handled);
                    if !handle(&mut database, &message, how, attempt, dies) {
                        return;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(_)) | None => {}
            }
        }
    }
}

/// A client that reads one partition from a position.
fn reader(broker: &Broker, partition: i32, next: i64) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_servers())
        .set("group.id", "foreign")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("orders", partition, Offset::Offset(next)).expect("an offset");
    consumer.assign(&list).expect("it is assigned");
    consumer
}

/// Handles one record; `false` when the job died of it.
fn handle(
    database: &mut Connection,
    message: &rdkafka::message::BorrowedMessage<'_>,
    how: Position,
    attempt: u32,
    dies: bool,
) -> bool {
    let (partition, offset) = (message.partition(), message.offset());
    let position = "INSERT INTO position VALUES (?, ?) ON CONFLICT (p) DO UPDATE SET next = \
                    excluded.next";
    if how == Position::Before {
        database.execute(position, (partition, offset + 1)).expect("a position");
        if dies {
            return false;
        }
    }
    let transaction = database.transaction().expect("a transaction");
    let row = (partition, offset, attempt);
    transaction.execute("INSERT INTO effects (p, o, run) VALUES (?, ?, ?)", row).expect("a row");
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).to_string();
    let upsert = "INSERT INTO state VALUES (?, ?) ON CONFLICT (record_key) DO UPDATE SET \
                  record_value = excluded.record_value";
    transaction.execute(upsert, (text(message.key()), text(message.payload()))).expect("a value");
    if how == Position::Together {
        if dies {
            return false;
        }
        transaction.execute(position, (partition, offset + 1)).expect("a position");
    }
    transaction.commit().expect("it is committed");
    if how == Position::After && offset % 10 == 9 {
        database.execute(position, (partition, offset + 1)).expect("a position");
    }
    !dies
}

fn judge(broker: &Broker, folder: &Path, more: &[&str]) -> Output {
    let brokers = broker.bootstrap_servers();
    let mut args = vec!["judge", "--brokers", &brokers, "--topic", "orders", "--table", "effects"];
    args.extend(["--database", "sqlite:job.sqlite", "--quiet-time", "0"]);
    args.extend(["--columns", "partition=p,offset=o,order=id,attempt=run"]);
    args.extend(more);
    common::stormproof(&args, folder)
}

/// A job that dies in the middle and is started again.
fn crashed(how: Position) -> (Broker, tempfile::TempDir) {
    let (broker, folder) = (filled(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("job.sqlite");
    run_job(&broker, &file, how, 1, Some(455));
    run_job(&broker, &file, how, 2, None);
    (broker, folder)
}

fn rule<'a>(json: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let answers = json["answers"].as_array().expect("answers");
    answers.iter().find(|answer| answer["rule"] == name).expect("the rule was asked")
}

#[test]
fn a_right_job_of_somebody_else_is_proven() {
    let (broker, folder) = crashed(Position::Together);
    let output = judge(&broker, folder.path(), &["--results", "state", "--json"]);
    let said = common::said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&json["records"], &json["lost"]), (&RECORDS.into(), &0.into()));
    assert_eq!((&json["duplicates"], &json["attempts"]), (&0.into(), &2.into()));
    assert_eq!(rule(&json, "final-values")["verdict"], "proven");
    assert_eq!(rule(&json, "order")["verdict"], "proven");
}

#[test]
fn a_lossy_job_is_convicted_with_the_record() {
    let (broker, folder) = crashed(Position::Before);
    let output = judge(&broker, folder.path(), &["--results", "state"]);
    let said = common::said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // 455 records are 300 of partition 0 and 155 of partition 1: it died of the last one.
    assert!(said.contains("offset 154 of partition 1 has no effect"), "{said}");
    assert!(said.contains("1 of 900 records have no effect"), "{said}");
}

#[test]
fn a_job_that_writes_again_is_what_it_promises() {
    let (broker, folder) = crashed(Position::After);
    let exactly = judge(&broker, folder.path(), &[]);
    assert_eq!(exactly.status.code(), Some(1), "{}", common::said(&exactly));
    let promise = ["--promise", "at-least-once", "--max-duplicates"];
    let enough = judge(&broker, folder.path(), &[&promise[..], &["9"]].concat());
    assert_eq!(enough.status.code(), Some(0), "{}", common::said(&enough));
    let few = judge(&broker, folder.path(), &[&promise[..], &["1"]].concat());
    assert_eq!(few.status.code(), Some(1), "{}", common::said(&few));
}

#[test]
fn disorder_and_wrong_values_are_convicted() {
    let (broker, folder) = crashed(Position::Together);
    let database = Connection::open(folder.path().join("job.sqlite")).expect("a database");
    // Two rows of one key change places; a key keeps an old value.
    let swap = "UPDATE effects SET o = CASE o WHEN 0 THEN 7 ELSE 0 END WHERE p = 0 AND o IN (0, 7)";
    assert_eq!(database.execute(swap, ()).expect("a swap"), 2);
    let old = "UPDATE state SET record_value = 'value 0' WHERE record_key = 'k0-0'";
    assert_eq!(database.execute(old, ()).expect("an old value"), 1);
    let output = judge(&broker, folder.path(), &["--results", "state", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", common::said(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for name in ["order", "final-values"] {
        assert_eq!(rule(&json, name)["verdict"], "violated", "{name}");
    }
    assert_eq!(rule(&json, "no-loss")["verdict"], "proven");
}

#[test]
fn a_job_that_nothing_has_hit_proves_nothing() {
    let (broker, folder) = (filled(), tempfile::tempdir().expect("a folder"));
    run_job(&broker, &folder.path().join("job.sqlite"), Position::Together, 1, None);
    let output = judge(&broker, folder.path(), &[]);
    let said = common::said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--restarts"), "{said}");
    let told = judge(&broker, folder.path(), &["--restarts", "1"]);
    assert_eq!(told.status.code(), Some(0), "{}", common::said(&told));
}

#[test]
fn bad_input_is_told_with_its_place_and_a_remedy() {
    let (broker, folder) = (filled(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("job.sqlite");
    run_job(&broker, &file, Position::Together, 1, None);
    let fails = |more: &[&str], words: &[&str]| {
        let output = judge(&broker, folder.path(), more);
        let said = common::said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        words.iter().for_each(|word| assert!(said.contains(word), "no {word:?} in {said}"));
    };
    fails(&["--columns", "offset=nowhere"], &["nowhere", "where:", "--columns"]);
    fails(&["--columns", "colour=blue"], &["colour", "partition, offset, order, attempt"]);
    fails(&["--max-duplicates", "3"], &["--promise at-least-once"]);
    let database = Connection::open(&file).expect("a database");
    database.execute("UPDATE effects SET o = NULL WHERE id = 5", ()).expect("a null");
    fails(&[], &["row 5: o is null", "never null"]);
}

/// The same against MySQL or MariaDB, at `STORMPROOF_TEST_MYSQL_URL`.
#[test]
fn a_table_in_mysql_is_judged_likewise() {
    use mysql_async::prelude::Queryable as _;
    let Some(url) = common::needs::mysql("a table in MySQL") else { return };
    let (broker, folder) = (filled(), tempfile::tempdir().expect("a folder"));
    let table = format!("foreign_{}", std::process::id());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sql = |statement: String| {
        runtime.block_on(async {
            let options = mysql_async::Opts::from_url(&url).expect("an address");
            let mut connection = mysql_async::Conn::new(options).await.expect("a connection");
            connection.query_drop(statement).await.expect("a statement");
            connection.disconnect().await.expect("an end");
        });
    };
    sql(format!("DROP TABLE IF EXISTS {table}"));
    sql(format!(
        "CREATE TABLE {table} (id BIGINT AUTO_INCREMENT PRIMARY KEY, p INT, o BIGINT UNSIGNED)"
    ));
    let each = RECORDS / PARTITIONS as u64;
    let rows: Vec<String> =
        (0..PARTITIONS).flat_map(|p| (0..each).map(move |o| format!("({p}, {o})"))).collect();
    sql(format!("INSERT INTO {table} (p, o) VALUES {}", rows.join(", ")));
    let brokers = broker.bootstrap_servers();
    let judge = || {
        let mut args = vec!["judge", "--brokers", &brokers, "--topic", "orders", "--table", &table];
        args.extend(["--database", &url, "--quiet-time", "0", "--restarts", "1"]);
        args.extend(["--columns", "partition=p,offset=o,order=id"]);
        common::stormproof(&args, folder.path())
    };
    let right = judge();
    assert_eq!(right.status.code(), Some(0), "{}", common::said(&right));
    sql(format!("DELETE FROM {table} WHERE p = 2 AND o = 17"));
    let lossy = judge();
    sql(format!("DROP TABLE {table}"));
    let said = common::said(&lossy);
    assert_eq!(lossy.status.code(), Some(1), "{said}");
    assert!(said.contains("offset 17 of partition 2 has no effect"), "{said}");
}
