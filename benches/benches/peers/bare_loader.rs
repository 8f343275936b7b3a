//! The plainest program that writes what the SQL sink writes: an audit row for each record and an
//! upsert for each key, multi-row statements, the sink's own number of rows and connections. No
//! fence, no batches by subtask, no engine.

use std::fmt::Write as _;

use mysql_async::prelude::Queryable as _;

use crate::database::KEYS;

/// Rows of a transaction: the SQL sink's own default.
const SQLITE_ROWS: u64 = 8000;
const MYSQL_ROWS: u64 = 1000;
/// Two workers with four connections each, as the SQL sink has by default.
const CONNECTIONS: u64 = 8;

fn key_of(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS
}

fn tables(prefix: &str, blob: &str, serial: &str) -> [String; 2] {
    [
        format!(
            "CREATE TABLE {prefix}_audit (seq {serial}, partition_id INT, record_offset BIGINT, \
             record_index INT, source_attempt INT, sink_attempt INT, subtask INT, checkpoint BIGINT, \
             batch BIGINT, batch_try INT, sent_us BIGINT)"
        ),
        format!(
            "CREATE TABLE {prefix}_results (key_hash {blob} PRIMARY KEY, record_key BLOB, \
             record_value BLOB, version BIGINT, record_count BIGINT)"
        ),
    ]
}

pub(crate) fn sqlite(path: &str, prefix: &str, records: u64) {
    let mut connection = rusqlite::Connection::open(path).expect("the file can be made");
    connection.pragma_update(None, "journal_mode", "WAL").expect("SQLite has it");
    connection.pragma_update(None, "synchronous", "NORMAL").expect("SQLite has it");
    for table in tables(prefix, "BLOB", "INTEGER PRIMARY KEY") {
        connection.execute(&table, ()).expect("the table is new");
    }
    let value = [b'v'; 100];
    for first in (0..records).step_by(SQLITE_ROWS as usize) {
        let transaction = connection.transaction().expect("nobody else writes");
        {
            let audit = format!("INSERT INTO {prefix}_audit VALUES (NULL,?,?,0,1,1,?,0,?,0,0)");
            let mut audit = transaction.prepare_cached(&audit).expect("it is valid");
            let results = format!(
                "INSERT INTO {prefix}_results VALUES (?,?,?,?,0) ON CONFLICT(key_hash) DO UPDATE \
                 SET record_value=excluded.record_value, version=excluded.version"
            );
            let mut results = transaction.prepare_cached(&results).expect("it is valid");
            for n in first..records.min(first + SQLITE_ROWS) {
                let key = format!("k{}", key_of(n));
                let mut hash = [0_u8; 16];
                hash[..8].copy_from_slice(&key_of(n).wrapping_mul(31).to_be_bytes());
                let (row, subtask, batch) = (n as i64, (n % 2000) as i64, first as i64);
                audit.execute((subtask, row, subtask, batch)).expect("a row");
                results.execute((&hash[..], key.as_bytes(), &value[..], row)).expect("a row");
            }
        }
        transaction.commit().expect("the file has room");
    }
}

pub(crate) async fn mysql(url: &str, prefix: &str, records: u64) {
    let mut connection = mysql_async::Conn::from_url(url).await.expect("MySQL answers");
    for table in tables(prefix, "BINARY(16)", "BIGINT AUTO_INCREMENT PRIMARY KEY") {
        connection.query_drop(table).await.expect("the table is new");
    }
    connection.disconnect().await.expect("MySQL answers");
    let share = records.div_ceil(CONNECTIONS);
    let loaders = (0..CONNECTIONS).map(|n| {
        let rows = n * share..records.min((n + 1) * share);
        load(url.to_owned(), prefix.to_owned(), rows)
    });
    futures::future::join_all(loaders).await;
}

async fn load(url: String, prefix: String, rows: std::ops::Range<u64>) {
    let mut connection = mysql_async::Conn::from_url(&url).await.expect("MySQL answers");
    let value = "v".repeat(100);
    for first in rows.clone().step_by(MYSQL_ROWS as usize) {
        let mut audit = format!("INSERT INTO {prefix}_audit VALUES ");
        let mut upserts = Vec::new();
        for n in first..rows.end.min(first + MYSQL_ROWS) {
            let comma = if n > first { "," } else { "" };
            let row = (n % 2000, n, n % 2000, first);
            let _ =
                write!(audit, "{comma}(NULL,{},{},0,1,1,{},0,{},0,0)", row.0, row.1, row.2, row.3);
            upserts.push((key_of(n), n));
        }
        // In one order everywhere, or the loaders would lock each other out.
        upserts.sort_unstable();
        upserts.dedup_by_key(|(key, _)| *key);
        let mut results = format!("INSERT INTO {prefix}_results VALUES ");
        for (at, (key, n)) in upserts.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(results, "{comma}(X'{key:032x}','k{key}','{value}',{n},0)");
        }
        results += " ON DUPLICATE KEY UPDATE record_value=VALUES(record_value), \
                    version=VALUES(version)";
        for statement in ["BEGIN", &audit, &results, "COMMIT"] {
            connection.query_drop(statement).await.expect("MySQL takes the rows");
        }
    }
    connection.disconnect().await.expect("MySQL answers");
}
