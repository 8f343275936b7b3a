//! The MySQL reader against a real MariaDB, where one is installed: started as a child process
//! in a temporary folder. It must return the very rows that the SQLite reader would.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use stormproof_harness::oracle::evidence::{Effect, Fence, StoredResult};
use stormproof_harness::oracle::{AttemptId, AuditSource, BatchId, CheckpointId, MysqlAudit};
use stormproof_harness::workload::ledger::{Offset, PartitionId, hash_key};

const ROWS: u64 = 10_000;

struct Database {
    server: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Database {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn installed(program: &str) -> Option<&'static str> {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"];
    places.into_iter().find(|place| Path::new(place).join(program).exists())
}

/// Starts a server without accounts, or says why there is none.
fn start() -> Result<Database, String> {
    let server = installed("mariadbd").ok_or("mariadbd is not installed")?;
    let install = installed("mariadb-install-db").ok_or("mariadb-install-db is not installed")?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let data = format!("--datadir={}", folder.path().join("data").display());
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    };
    let mut setup = Command::new(Path::new(install).join("mariadb-install-db"));
    setup.args(["--no-defaults", "--skip-test-db", "--user=root", &data]);
    quiet(&mut setup);
    let status = setup.status().map_err(|error| error.to_string())?;
    assert!(status.success(), "mariadb-install-db: {status}");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| error.to_string())?
        .port();
    let mut command = Command::new(Path::new(server).join("mariadbd"));
    command.args(["--no-defaults", "--user=root", "--skip-grant-tables", &data]).args([
        format!("--port={port}"),
        format!("--socket={}", folder.path().join("sock").display()),
        "--bind-address=127.0.0.1".to_owned(),
        "--innodb-buffer-pool-size=32M".to_owned(),
    ]);
    quiet(&mut command);
    let server = command.spawn().map_err(|error| error.to_string())?;
    let url = format!("mysql://root@127.0.0.1:{port}/storm");
    Ok(Database { server, url, _folder: folder })
}

fn effect(n: u64) -> Effect {
    Effect {
        seq: n + 1,
        partition: PartitionId((n % 2000) as u32),
        offset: Offset(n * 1_000_000_007),
        index: (n % 3) as u32,
        source_attempt: AttemptId(1 + (n % 2) as u32),
        sink_attempt: AttemptId(2),
        subtask: (n % 1999) as u32,
        tag: CheckpointId(n / 100),
        batch: (3 << 48) | (n / 50),
        batch_try: u32::from(n / 50 == 7),
        sent_us: n as i64 * 3 - 5,
    }
}

fn results() -> Vec<StoredResult> {
    let value = |n: u8| (n > 0).then(|| vec![n; 300]);
    let row = |n: u8| StoredResult {
        key_hash: hash_key(&[n, 0, 255]),
        key: vec![n, 0, 255],
        value: value(n),
        version: u64::from(n) * 65_536 + 7,
        record_count: u64::from(n) + 1,
    };
    (0..20).map(row).collect()
}

/// Waits for the server, then makes and fills the tables of docs/formats.md.
async fn fill(url: &str) -> Result<(), mysql_async::Error> {
    let server = url.trim_end_matches("/storm");
    let until = Instant::now() + Duration::from_secs(60);
    let mut connection = loop {
        match Conn::new(Opts::from_url(server)?).await {
            Ok(connection) => break connection,
            Err(error) if until < Instant::now() => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    for statement in [
        "CREATE DATABASE storm",
        "USE storm",
        "CREATE TABLE storm_audit (seq BIGINT AUTO_INCREMENT PRIMARY KEY, partition_id INT,
             record_offset BIGINT, record_index INT, source_attempt INT, sink_attempt INT,
             subtask INT, checkpoint BIGINT, batch BIGINT, batch_try INT, sent_us BIGINT)",
        "CREATE TABLE storm_results (key_hash BINARY(16) PRIMARY KEY, record_key MEDIUMBLOB,
             record_value MEDIUMBLOB, version BIGINT, record_count BIGINT)",
        "CREATE TABLE storm_fence (attempt INT PRIMARY KEY, restored BIGINT, after_seq BIGINT)",
        "INSERT INTO storm_fence VALUES (2, 9, 4711), (1, 0, NULL)",
    ] {
        connection.query_drop(statement).await?;
    }
    let rows: Vec<String> = (0..ROWS).map(effect).map(|e| sql_row(&e)).collect();
    for rows in rows.chunks(1000) {
        let insert = format!("INSERT INTO storm_audit VALUES {}", rows.join(","));
        connection.query_drop(insert).await?;
    }
    for row in results() {
        let hash = row.key_hash.to_be_bytes().to_vec();
        let row = (hash, row.key, row.value, row.version, row.record_count);
        connection.exec_drop("INSERT INTO storm_results VALUES (?,?,?,?,?)", row).await?;
    }
    connection.disconnect().await
}

fn sql_row(e: &Effect) -> String {
    format!(
        "({},{},{},{},{},{},{},{},{},{},{})",
        e.seq,
        e.partition.0,
        e.offset.0,
        e.index,
        e.source_attempt.0,
        e.sink_attempt.0,
        e.subtask,
        e.tag.0,
        e.batch,
        e.batch_try,
        e.sent_us
    )
}

#[test]
fn the_rows_of_a_real_server_come_back_as_they_are() {
    let database = match start() {
        Ok(database) => database,
        Err(reason) => {
            eprintln!("not run: {reason}");
            return;
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(fill(&database.url)).expect("filled");
    // Inside a runtime, as the harness may be.
    let _inside = runtime.enter();
    let mut audit = MysqlAudit::new(&database.url, "storm").expect("an address");

    let mut effects = Vec::new();
    audit.effects(&mut |effect| effects.push(*effect)).expect("read");
    assert_eq!(effects, (0..ROWS).map(effect).collect::<Vec<_>>());
    let fences = audit.fences().expect("read");
    let fence = |attempt, restored, after_seq| Fence {
        attempt: AttemptId(attempt),
        restored: CheckpointId(restored),
        after_seq,
    };
    assert_eq!(fences, [fence(1, 0, 0), fence(2, 9, 4711)]);
    let retried = BatchId { attempt: AttemptId(2), number: (3 << 48) | 7 };
    assert_eq!(audit.retried_batches().expect("read"), [retried].into());
    let mut rows = 0;
    let expected = results();
    audit
        .results(&mut |row| {
            rows += 1;
            assert!(expected.iter().any(|expected| expected.borrow() == *row), "{row:?}");
        })
        .expect("read");
    assert_eq!(rows, expected.len());

    let mut other = MysqlAudit::new(&database.url, "gale").expect("an address");
    let error = other.effects(&mut |_| ()).expect_err("no such table").to_string();
    assert!(error.contains("gale_audit"), "{error}");
}

#[test]
fn an_unreachable_server_is_an_error_that_names_the_table() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
    let url = format!("mysql://root@127.0.0.1:{port}/storm");
    let mut audit = MysqlAudit::new(&url, "storm").expect("an address");
    let error = audit.fences().expect_err("refused").to_string();
    assert!(error.contains("table storm_fence"), "{error}");
    assert!(MysqlAudit::new("not an address", "storm").is_err());
}
