//! The databases of the sink's tests: what the sink wrote, read back without its code.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::prelude::Queryable as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A row of the audit table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    pub seq: u64,
    pub partition: u32,
    pub offset: u64,
    pub source_attempt: u32,
    pub sink_attempt: u32,
    pub subtask: u16,
    pub checkpoint: u64,
    pub batch: u64,
    pub batch_try: u32,
    pub sent_us: u64,
}

/// A row of the results table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub value: Option<Vec<u8>>,
    pub version: u64,
    pub count: u64,
}

/// A database with tables of its own for one test.
pub struct Database {
    pub url: String,
    pub prefix: String,
    pub runtime: Runtime,
    folder: Option<TempDir>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        Self { url, prefix: "storm".to_owned(), runtime: runtime(), folder: Some(folder) }
    }

    /// The server of `STORMPROOF_TEST_MYSQL_URL`. `None` when there is none and none is required.
    pub fn mysql() -> Option<Self> {
        let Ok(url) = std::env::var("STORMPROOF_TEST_MYSQL_URL") else {
            let is_required = std::env::var("STORMPROOF_REQUIRE_MYSQL").is_ok_and(|v| v == "1");
            assert!(
                !is_required,
                "STORMPROOF_REQUIRE_MYSQL=1, but STORMPROOF_TEST_MYSQL_URL is not set"
            );
            // Not `eprintln`: the test runner hides what passing tests print with that.
            let _ = writeln!(
                std::io::stderr(),
                "NOT RUN: a test of the MySQL sink: STORMPROOF_TEST_MYSQL_URL is not set"
            );
            return None;
        };
        let prefix = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Some(Self { url, prefix, runtime: runtime(), folder: None })
    }

    fn sqlite_path(&self) -> Option<std::path::PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join("test.db"))
    }

    pub fn is_mysql(&self) -> bool {
        self.folder.is_none()
    }

    /// Runs a statement.
    pub fn execute(&self, sql: &str) {
        match self.sqlite_path() {
            Some(path) => rusqlite::Connection::open(path)
                .and_then(|c| c.execute_batch(sql))
                .expect("the statement runs"),
            None => self.with_mysql(async |conn| conn.query_drop(sql).await),
        }
    }

    fn with_mysql<T>(
        &self,
        work: impl AsyncFnOnce(&mut mysql_async::Conn) -> mysql_async::Result<T>,
    ) -> T {
        self.runtime.block_on(async {
            let opts = mysql_async::Opts::from_url(&self.url).expect("an address");
            let mut conn = mysql_async::Conn::new(opts).await.expect("a server");
            let answer = work(&mut conn).await.expect("an answer");
            conn.disconnect().await.expect("a farewell");
            answer
        })
    }

    /// Integers of every row.
    pub fn integers(&self, sql: &str) -> Vec<Vec<i64>> {
        match self.sqlite_path() {
            Some(path) => {
                let conn = rusqlite::Connection::open(path).expect("the file");
                let mut statement = conn.prepare(sql).expect("a query");
                let columns = statement.column_count();
                let rows =
                    statement.query_map([], |row| (0..columns).map(|n| row.get(n)).collect());
                rows.expect("rows").collect::<Result<_, _>>().expect("integers")
            }
            None => self.with_mysql(async |conn| {
                let rows: Vec<mysql_async::Row> = conn.query(sql).await?;
                let integers = |row: &mysql_async::Row| {
                    (0..row.len()).map(|n| row.get(n).expect("an integer")).collect()
                };
                Ok(rows.iter().map(integers).collect())
            }),
        }
    }

    pub fn audit(&self) -> Vec<Audit> {
        let sql = format!(
            "SELECT seq, partition_id, record_offset, source_attempt, sink_attempt, subtask, \
             checkpoint, batch, batch_try, sent_us, record_index FROM {}_audit ORDER BY seq",
            self.prefix
        );
        let audit = |row: Vec<i64>| Audit {
            seq: row[0] as u64,
            partition: row[1] as u32,
            offset: row[2] as u64,
            source_attempt: row[3] as u32,
            sink_attempt: row[4] as u32,
            subtask: row[5] as u16,
            checkpoint: row[6] as u64,
            batch: row[7] as u64,
            batch_try: row[8] as u32,
            sent_us: row[9] as u64,
        };
        self.integers(&sql).into_iter().map(audit).collect()
    }

    /// Offsets of the audit rows in the order in which they were written.
    pub fn offsets(&self) -> Vec<u64> {
        self.audit().iter().map(|row| row.offset).collect()
    }

    /// Results by key; checks that the hash column belongs to the key.
    pub fn results(&self) -> BTreeMap<Vec<u8>, Outcome> {
        let sql = format!(
            "SELECT key_hash, record_key, record_value, version, record_count FROM {}_results",
            self.prefix
        );
        type Row = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, i64, i64);
        let rows: Vec<Row> = match self.sqlite_path() {
            Some(path) => {
                let conn = rusqlite::Connection::open(path).expect("the file");
                let mut statement = conn.prepare(&sql).expect("a query");
                let rows = statement.query_map([], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                });
                rows.expect("rows").collect::<Result<_, _>>().expect("rows")
            }
            None => self.with_mysql(async |conn| conn.query(sql).await),
        };
        let outcome = |(hash, key, value, version, count): Row| {
            let expected = xxhash_rust::xxh3::xxh3_128(&key).to_be_bytes();
            assert_eq!(hash, expected, "the hash of another key");
            (key, Outcome { value, version: version as u64, count: count as u64 })
        };
        rows.into_iter().map(outcome).collect()
    }

    /// Values of the results as text.
    pub fn values(&self) -> BTreeMap<String, String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let results = self.results();
        results.iter().map(|(k, v)| (text(k), text(v.value.as_deref().unwrap()))).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.is_mysql() && !std::thread::panicking() {
            for table in ["audit", "results", "fence", "owner"] {
                self.execute(&format!("DROP TABLE IF EXISTS {}_{table}", self.prefix));
            }
        }
    }
}
