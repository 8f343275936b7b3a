//! The SQL sink when the database misbehaves: connections cut around a COMMIT, locks, refusals.
//!
//! The MySQL half runs when `STORMPROOF_TEST_MYSQL_URL` names a server.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod connector_support;

use std::sync::Arc;
use std::time::Duration;

use stormproof_engine::api::{GroupState, SinkFactory as _};
use stormproof_engine::connectors::sql::{SqlSinkConfig, SqlSinkFactory, WholeValue};
use stormproof_engine::error::EngineError;
use stormproof_engine::ids::*;

use connector_support::database::Database;
use connector_support::proxy::{CommitProxy, Cut};
use connector_support::{HandClock, SinkDriver, context, record, taken, wait_until};

fn config(database: &Database) -> SqlSinkConfig {
    SqlSinkConfig {
        table_prefix: database.prefix.clone(),
        batch_rows: 10,
        connections_per_worker: 1,
        ..SqlSinkConfig::default()
    }
}

fn open(database: &Database, url: &str, config: SqlSinkConfig) -> SinkDriver {
    let handle = database.runtime.handle();
    let factory = SqlSinkFactory::new(url, config, Arc::new(WholeValue), handle).unwrap();
    taken(&factory.begin_attempt(AttemptId(1), CheckpointId::NONE)).expect("the fence");
    let clock = Arc::new(HandClock::default());
    let context = context(1, 0, 0..1, clock.clone());
    let sink = factory.open(context.clone(), GroupState::default()).unwrap();
    SinkDriver { sink, context, clock }
}

/// Writes 10 rows, which are one batch, and polls with time moving on until they are confirmed.
fn write_batch(driver: &mut SinkDriver, first: u64) {
    for offset in first..first + 10 {
        driver.write(0, record(0, offset, &format!("k{offset}"), "v"));
    }
    wait_until("the batch", || {
        driver.clock.advance_ms(1);
        driver.poll().expect("the sink gets over it");
        driver.sink.pending_records() == 0
    });
}

/// The server's `host:port`, and the address with the proxy's port instead.
fn behind(database: &Database) -> (CommitProxy, String) {
    let opts = mysql_async::Opts::from_url(&database.url).unwrap();
    let server = format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port());
    let proxy = CommitProxy::start(server.clone());
    let url = database.url.replace(&server, &format!("127.0.0.1:{}", proxy.port));
    assert_ne!(url, database.url, "the address must name host and port");
    (proxy, url)
}

fn cut_test(cut: Cut, config: impl Fn(SqlSinkConfig) -> SqlSinkConfig, expected_tries: &[u32]) {
    let Some(database) = Database::mysql() else { return };
    let (proxy, url) = behind(&database);
    let mut driver = open(&database, &url, config(self::config(&database)));
    write_batch(&mut driver, 0);
    proxy.arm(cut);
    write_batch(&mut driver, 10);
    write_batch(&mut driver, 20);
    assert_eq!(proxy.cuts.load(std::sync::atomic::Ordering::SeqCst), 1, "nothing was cut");
    assert_eq!(database.offsets(), (0..30).collect::<Vec<_>>(), "lost or doubled");
    let tries: Vec<_> = database.audit().chunks(10).map(|batch| batch[0].batch_try).collect();
    assert_eq!(tries, expected_tries);
    assert_eq!(driver.context.metrics.sink_in_doubt.get(), 1);
}

#[test]
fn a_commit_without_an_answer_is_found_in_the_audit_table() {
    cut_test(Cut::AfterCommit, |config| config, &[0, 0, 0]);
}

#[test]
fn a_commit_that_never_arrived_is_tried_again_under_the_next_number() {
    cut_test(Cut::BeforeCommit, |config| config, &[0, 1, 0]);
}

#[test]
fn a_server_that_goes_silent_after_a_commit_is_not_waited_for() {
    let impatient = |config| SqlSinkConfig { call_timeout_ms: 300, ..config };
    cut_test(Cut::Silence, impatient, &[0, 0, 0]);
}

#[test]
fn a_lock_that_is_held_too_long_is_tried_again() {
    let Some(database) = Database::mysql() else { return };
    let impatient = SqlSinkConfig { call_timeout_ms: 200, ..config(&database) };
    let mut driver = open(&database, &database.url, impatient);
    let opts = mysql_async::Opts::from_url(&database.url).unwrap();
    let owner = format!("SELECT * FROM {}_owner FOR UPDATE", database.prefix);
    let conn = database.runtime.block_on(async {
        use mysql_async::prelude::Queryable as _;
        let mut conn = mysql_async::Conn::new(opts).await.unwrap();
        conn.query_drop("START TRANSACTION").await.unwrap();
        conn.query_drop(owner).await.unwrap();
        conn
    });
    for offset in 0..10 {
        driver.write(0, record(0, offset, "a", "v"));
    }
    wait_until("a retry", || {
        driver.clock.advance_ms(1);
        driver.poll().expect("the sink waits");
        driver.context.metrics.sink_retries.get() > 0
    });
    database.runtime.block_on(conn.disconnect()).unwrap();
    wait_until("the batch", || {
        driver.clock.advance_ms(1);
        driver.poll().expect("the sink waits");
        driver.sink.pending_records() == 0
    });
    assert_eq!(database.offsets(), (0..10).collect::<Vec<_>>());
    assert_eq!(driver.context.metrics.sink_in_doubt.get(), 0, "no commit was sent");
}

#[test]
fn the_fence_waits_for_open_transactions_and_gives_up() {
    let Some(database) = Database::mysql() else { return };
    let impatient = SqlSinkConfig { fence_timeout_ms: 500, ..config(&database) };
    drop(open(&database, &database.url, impatient.clone()));
    let handle = database.runtime.handle();
    let factory =
        SqlSinkFactory::new(&database.url, impatient, Arc::new(WholeValue), handle).unwrap();
    let opts = mysql_async::Opts::from_url(&database.url).unwrap();
    let owner = format!("SELECT * FROM {}_owner LOCK IN SHARE MODE", database.prefix);
    let conn = database.runtime.block_on(async {
        use mysql_async::prelude::Queryable as _;
        let mut conn = mysql_async::Conn::new(opts).await.unwrap();
        conn.query_drop("START TRANSACTION").await.unwrap();
        conn.query_drop(owner).await.unwrap();
        conn
    });
    let refused = taken(&factory.begin_attempt(AttemptId(2), CheckpointId(1)));
    let message = refused.expect_err("an older transaction was open").to_string();
    assert!(message.contains("earlier attempt"), "{message}");
    database.runtime.spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(conn.disconnect().await);
    });
    taken(&factory.begin_attempt(AttemptId(2), CheckpointId(1)))
        .expect("the transaction has ended");
}

fn first_error(database: &Database, url: &str) -> String {
    let handle = database.runtime.handle();
    let config = SqlSinkConfig { fence_timeout_ms: 500, ..config(database) };
    let factory = SqlSinkFactory::new(url, config, Arc::new(WholeValue), handle).unwrap();
    let refused = taken(&factory.begin_attempt(AttemptId(1), CheckpointId::NONE));
    let error = refused.expect_err("was accepted");
    if !matches!(error, EngineError::Service { .. }) {
        assert!(!error.is_retryable(), "trying again cannot help: {error}");
    }
    error.to_string()
}

#[test]
fn refusals_name_the_remedy_and_never_the_password() {
    let Some(database) = Database::mysql() else { return };
    let opts = mysql_async::Opts::from_url(&database.url).unwrap();
    let server = format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port());
    let message = first_error(&database, &format!("mysql://nobody:hush@{server}/test"));
    assert!(message.contains("password") && !message.contains("hush"), "{message}");
    let elsewhere = database.url.rsplit_once('/').unwrap().0.to_owned() + "/no_such_database";
    let message = first_error(&database, &elsewhere);
    assert!(message.contains("create the database"), "{message}");
    let message = first_error(&database, "mysql://root:hush@127.0.0.1:1/test");
    assert!(message.contains("is up") && !message.contains("hush"), "{message}");
}

#[test]
fn a_row_that_is_too_large_names_its_size() {
    let Some(database) = Database::mysql() else { return };
    let mut driver = open(&database, &database.url, config(&database));
    driver.write(0, record(0, 0, "a", &"x".repeat(17 * 1024 * 1024)));
    let mut error = None;
    wait_until("the refusal", || {
        error = driver.poll().err();
        error.is_some()
    });
    let error = error.unwrap();
    assert!(matches!(error, EngineError::Input(_)), "{error}");
    assert!(error.to_string().contains("17825837 bytes"), "{error}");
    assert!(error.to_string().contains("max_allowed_packet"), "{error}");
    assert_eq!(database.offsets().len(), 0);
}

#[test]
fn a_batch_is_cut_to_the_packets_of_its_session() {
    let Some(database) = Database::mysql() else { return };
    let small = format!("{}?max_allowed_packet=16384", database.url);
    let rows = 2_000;
    let config = SqlSinkConfig { batch_rows: rows as usize, ..config(&database) };
    let mut driver = open(&database, &small, config);
    for offset in 0..rows {
        // Keys without values: what a row takes beside them counts most.
        driver.write(0, record(0, offset, &format!("k{offset}"), ""));
    }
    wait_until("the batch", || {
        driver.clock.advance_ms(1);
        driver.poll().expect("statements that the server takes");
        driver.sink.pending_records() == 0
    });
    assert_eq!(database.offsets(), (0..rows).collect::<Vec<_>>(), "lost or doubled");
}

#[test]
fn a_folder_that_is_missing_names_the_remedy() {
    let database = Database::sqlite();
    let message = first_error(&database, "sqlite:no/such/folder/file.db");
    assert!(message.contains("folder"), "{message}");
}

#[test]
fn another_process_that_holds_the_sqlite_lock_is_waited_for() {
    let database = Database::sqlite();
    let impatient = SqlSinkConfig { call_timeout_ms: 50, ..config(&database) };
    let mut driver = open(&database, &database.url, impatient);
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for offset in 0..10 {
        driver.write(0, record(0, offset, "a", "v"));
    }
    wait_until("a retry", || {
        driver.clock.advance_ms(1);
        driver.poll().expect("the sink waits");
        driver.context.metrics.sink_retries.get() > 0
    });
    other.execute_batch("ROLLBACK").unwrap();
    wait_until("the batch", || {
        driver.clock.advance_ms(1);
        driver.poll().expect("the sink waits");
        driver.sink.pending_records() == 0
    });
    assert_eq!(database.offsets(), (0..10).collect::<Vec<_>>());
}
