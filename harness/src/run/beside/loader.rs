//! A bare loader: multi-row statements into tables like the job's, and nothing before it.
//!
//! MySQL gets 8 connections with 500 rows in a transaction (the knee of that curve), each with
//! partitions of its own so that keys do not meet; SQLite, which has one writer, one connection. A record is one
//! audit row and one upsert, as it is for the job, which may save upserts of a key in a batch; or
//! the upsert alone.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Value};

use super::Row;
use crate::environment::{Addresses, DatabaseAddress, Stop, block_on, without_password};
use crate::error::{HarnessError, Result, environment};
use crate::workload::ledger::{Offset, PartitionId, hash_key, version_of};

const CONNECTIONS: usize = 8;
const BATCH_ROWS: usize = 500;
/// Tries of a transaction that met a deadlock.
const TRIES: u32 = 10;

/// What is written for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tables {
    /// An audit row and an upsert, in one transaction.
    AsTheJob,
    /// The upsert.
    UpsertsAlone,
}

/// Writes all rows into new tables; returns the seconds it took.
pub(super) fn load(at: &Addresses, rows: &[Row], tables: Tables, stop: &Stop) -> Result<f64> {
    let prefix = format!("{}_bare", at.table_prefix);
    let own = Addresses { table_prefix: prefix.clone(), ..at.clone() };
    drop_tables(&own)?;
    let seconds = match &at.database {
        DatabaseAddress::Sqlite(file) => {
            sqlite(file, &prefix, rows, tables, stop).map_err(|error| refused(at, &error))?
        }
        DatabaseAddress::Mysql(url) => block_on(mysql(url, &prefix, rows, tables, stop))?
            .map_err(|error| refused(at, &error))?,
    };
    drop_tables(&own)?;
    Ok(seconds)
}

fn refused(at: &Addresses, error: &dyn std::fmt::Display) -> HarnessError {
    let place = match &at.database {
        DatabaseAddress::Sqlite(file) => file.display().to_string(),
        DatabaseAddress::Mysql(url) => without_password(url),
    };
    environment(format!("the bare loader: {error}"))
        .at(place)
        .remedy("see whether the database answers; the verdict of the run stands")
}

fn names(prefix: &str) -> [String; 4] {
    ["audit", "results", "fence", "owner"].map(|table| format!("{prefix}_{table}"))
}

/// Takes the tables of `at` away.
pub(super) fn drop_tables(at: &Addresses) -> Result<()> {
    let sql = names(&at.table_prefix).map(|table| format!("DROP TABLE IF EXISTS {table}"));
    let dropped: std::result::Result<(), String> = match &at.database {
        DatabaseAddress::Sqlite(file) => rusqlite::Connection::open(file)
            .and_then(|connection| connection.execute_batch(&sql.join(";")))
            .map_err(|error| error.to_string()),
        DatabaseAddress::Mysql(url) => block_on(async {
            let mut connection = Conn::from_url(url).await?;
            for sql in &sql {
                connection.query_drop(sql).await?;
            }
            connection.disconnect().await
        })?
        .map_err(|error: mysql_async::Error| error.to_string()),
    };
    dropped.map_err(|error| refused(at, &error))
}

async fn mysql(
    url: &str,
    prefix: &str,
    rows: &[Row],
    tables: Tables,
    stop: &Stop,
) -> Result<f64, String> {
    let said = |error: mysql_async::Error| error.to_string();
    let mut shards: Vec<Vec<&Row>> = vec![Vec::new(); CONNECTIONS];
    for row in rows {
        shards[row.partition as usize % CONNECTIONS].push(row);
    }
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Conn::from_url(url).await.map_err(said)?);
    }
    for sql in create_mysql(prefix) {
        connections[0].query_drop(sql).await.map_err(said)?;
    }
    let begun = Instant::now();
    let work = connections.into_iter().zip(&shards).map(|(connection, shard)| async move {
        write_shard(connection, prefix, shard, tables, stop).await
    });
    futures::future::try_join_all(work).await?;
    Ok(begun.elapsed().as_secs_f64())
}

async fn write_shard(
    mut connection: Conn,
    prefix: &str,
    rows: &[&Row],
    tables: Tables,
    stop: &Stop,
) -> Result<(), String> {
    let said = |error: mysql_async::Error| error.to_string();
    for batch in rows.chunks(BATCH_ROWS) {
        stop.check().map_err(|error| error.what)?;
        for left in (0..TRIES).rev() {
            match write_batch(&mut connection, prefix, batch, tables).await {
                Err(mysql_async::Error::Server(error)) if error.code == 1213 && left > 0 => {}
                written => {
                    written.map_err(said)?;
                    break;
                }
            }
        }
    }
    connection.disconnect().await.map_err(said)
}

async fn write_batch(
    connection: &mut Conn,
    prefix: &str,
    batch: &[&Row],
    tables: Tables,
) -> Result<(), mysql_async::Error> {
    connection.query_drop("START TRANSACTION").await?;
    if tables == Tables::AsTheJob {
        connection.query_drop(audit_sql(prefix, batch)).await?;
    }
    let places = vec!["(?,?,?,?,?)"; batch.len()].join(",");
    let sql = format!(
        "INSERT INTO {prefix}_results (key_hash, record_key, record_value, version, record_count) \
         VALUES {places} ON DUPLICATE KEY UPDATE record_value = VALUES(record_value), \
         version = VALUES(version), record_count = VALUES(record_count)"
    );
    let values: Vec<Value> = batch
        .iter()
        .flat_map(|row| {
            [
                Value::Bytes(hash_key(&row.key).to_be_bytes().to_vec()),
                Value::Bytes(row.key.clone()),
                Value::Bytes(row.value.clone()),
                Value::UInt(version(row)),
                Value::UInt(1),
            ]
        })
        .collect();
    // The client keeps the statement: it is prepared once for each connection and length.
    connection.exec_drop(sql, values).await?;
    connection.query_drop("COMMIT").await
}

fn audit_sql(prefix: &str, batch: &[&Row]) -> String {
    let mut sql = format!(
        "INSERT INTO {prefix}_audit (partition_id, record_offset, record_index, source_attempt, \
         sink_attempt, subtask, checkpoint, batch, batch_try, sent_us) VALUES "
    );
    for (n, row) in batch.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let (partition, offset) = (row.partition, row.offset);
        // Writing into a string cannot fail.
        let _ = write!(sql, "{comma}({partition},{offset},0,1,1,{partition},1,1,0,123456789)");
    }
    sql
}

fn version(row: &Row) -> u64 {
    version_of(PartitionId(row.partition), Offset(row.offset))
}

fn create_mysql(prefix: &str) -> [String; 2] {
    [
        format!(
            "CREATE TABLE {prefix}_audit (seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
             partition_id INT NOT NULL, record_offset BIGINT NOT NULL, record_index INT NOT NULL, \
             source_attempt INT NOT NULL, sink_attempt INT NOT NULL, subtask INT NOT NULL, \
             checkpoint BIGINT NOT NULL, batch BIGINT NOT NULL, batch_try INT NOT NULL, \
             sent_us BIGINT NOT NULL) ENGINE=InnoDB"
        ),
        format!(
            "CREATE TABLE {prefix}_results (key_hash BINARY(16) NOT NULL PRIMARY KEY, \
             record_key MEDIUMBLOB NOT NULL, record_value MEDIUMBLOB NULL, version BIGINT NOT NULL, \
             record_count BIGINT NOT NULL) ENGINE=InnoDB"
        ),
    ]
}

fn sqlite(
    file: &Path,
    prefix: &str,
    rows: &[Row],
    tables: Tables,
    stop: &Stop,
) -> Result<f64, String> {
    let said = |error: rusqlite::Error| error.to_string();
    let mut connection = rusqlite::Connection::open(file).map_err(said)?;
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
             CREATE TABLE {prefix}_audit (seq INTEGER PRIMARY KEY, partition_id INTEGER, \
             record_offset INTEGER, record_index INTEGER, source_attempt INTEGER, sink_attempt \
             INTEGER, subtask INTEGER, checkpoint INTEGER, batch INTEGER, batch_try INTEGER, \
             sent_us INTEGER); \
             CREATE TABLE {prefix}_results (key_hash BLOB NOT NULL PRIMARY KEY, record_key BLOB NOT \
             NULL, record_value BLOB, version INTEGER NOT NULL, record_count INTEGER NOT NULL) \
             WITHOUT ROWID"
        ))
        .map_err(said)?;
    let begun = Instant::now();
    for batch in rows.chunks(BATCH_ROWS * CONNECTIONS) {
        stop.check().map_err(|error| error.what)?;
        write_file(&mut connection, prefix, batch, tables).map_err(said)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn write_file(
    connection: &mut rusqlite::Connection,
    prefix: &str,
    batch: &[Row],
    tables: Tables,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut audit = transaction.prepare_cached(&format!(
            "INSERT INTO {prefix}_audit VALUES (NULL, ?, ?, 0, 1, 1, ?, 1, 1, 0, 123456789)"
        ))?;
        let mut upsert = transaction.prepare_cached(&format!(
            "INSERT INTO {prefix}_results VALUES (?, ?, ?, ?, 1) ON CONFLICT (key_hash) DO UPDATE \
             SET record_value = excluded.record_value, version = excluded.version"
        ))?;
        for row in batch {
            if tables == Tables::AsTheJob {
                audit.execute((row.partition, row.offset as i64, row.partition))?;
            }
            let hash = hash_key(&row.key).to_be_bytes();
            upsert.execute((&hash[..], &row.key, &row.value, version(row) as i64))?;
        }
    }
    transaction.commit()
}
