//! Reading the tables from MySQL or MariaDB.
//!
//! Rows come over a stream and cross to the judging thread in blocks through a bounded channel,
//! so memory stays flat and decoding overlaps judging. Each read has its own connection and its
//! own small runtime on a thread of its own: callers may be inside another runtime.
//! The client has no read timeout of its own, hence [`STALL_LIMIT`].

use std::collections::BTreeSet;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use futures::StreamExt;
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts};
use tokio::time::timeout;

use super::evidence::{AuditSource, Effect, EvidenceError, Fence, ResultRow, StoredResult};
use super::ids::{AttemptId, BatchId, CheckpointId};
use super::tables::{Tables, key_hash};
use crate::workload::ledger::{Offset, PartitionId};

/// A read that delivers no row for this long has failed.
const STALL_LIMIT: Duration = Duration::from_secs(60);
const BLOCK_ROWS: usize = 4096;
const BLOCKS_IN_FLIGHT: usize = 4;

/// The tables in one MySQL or MariaDB schema.
#[derive(Debug)]
pub struct MysqlAudit {
    options: Opts,
    tables: Tables,
}

type AuditRow = (u64, u32, u64, u32, u32, u32, u32, u64, u64, u32, i64);
type ResultsRow = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, u64, u64);

impl MysqlAudit {
    /// Names the database; connections are made when something is read.
    /// `url` is `mysql://user:password@host:port/schema`.
    pub fn new(url: &str, prefix: &str) -> Result<Self, EvidenceError> {
        let options = Opts::from_url(url)
            .map_err(|error| EvidenceError::new("the database address", &error))?;
        Ok(Self { options, tables: Tables::new(prefix)? })
    }

    /// Runs a query on a thread of its own and hands each row to `visit` on this one.
    fn each_row<T>(
        &self,
        table: &str,
        sql: &str,
        visit: &mut dyn FnMut(T) -> Result<(), EvidenceError>,
    ) -> Result<(), EvidenceError>
    where
        T: FromRow + Unpin + Send + 'static,
    {
        each_row(&self.options, table, sql, visit)
    }
}

fn each_row<T>(
    options: &Opts,
    table: &str,
    sql: &str,
    visit: &mut dyn FnMut(T) -> Result<(), EvidenceError>,
) -> Result<(), EvidenceError>
where
    T: FromRow + Unpin + Send + 'static,
{
    let failed = |reason: String| EvidenceError::new(format!("table {table}"), &reason);
    let (sender, receiver) = sync_channel(BLOCKS_IN_FLIGHT);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| stream_blocks::<T>(options.clone(), sql, sender));
        let judged = receiver.into_iter().flatten().try_for_each(visit);
        let read = reader.join().unwrap_or_else(|_| Err("the reader panicked".to_owned()));
        judged.and(read.map_err(failed))
    })
}

/// Streams the rows of a query about somebody else's table.
///
/// # Errors
/// When the database does not answer, or `visit` refuses a row.
pub fn stream_mysql<T>(
    url: &str,
    table: &str,
    sql: &str,
    visit: &mut dyn FnMut(T) -> Result<(), String>,
) -> Result<(), EvidenceError>
where
    T: FromRow + Unpin + Send + 'static,
{
    let options =
        Opts::from_url(url).map_err(|error| EvidenceError::new("the database address", &error))?;
    each_row(&options, table, sql, &mut |row| {
        visit(row).map_err(|reason| EvidenceError::new(format!("table {table}"), &reason))
    })
}

/// Reads all rows of a query and sends them in blocks; ends early when nobody listens any more.
fn stream_blocks<T>(options: Opts, sql: &str, out: SyncSender<Vec<T>>) -> Result<(), String>
where
    T: FromRow + Unpin + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let stalled = |_| format!("no row for {} s: is the database up?", STALL_LIMIT.as_secs());
    runtime.block_on(async move {
        let connected = timeout(STALL_LIMIT, Conn::new(options)).await.map_err(stalled)?;
        let mut connection = connected.map_err(|error| error.to_string())?;
        let started = timeout(STALL_LIMIT, connection.exec_stream::<T, _, _>(sql, ()));
        let mut rows = started.await.map_err(stalled)?.map_err(|error| error.to_string())?;
        let mut block = Vec::with_capacity(BLOCK_ROWS);
        while let Some(row) = timeout(STALL_LIMIT, rows.next()).await.map_err(stalled)? {
            block.push(row.map_err(|error| error.to_string())?);
            if block.len() == BLOCK_ROWS {
                let full = std::mem::replace(&mut block, Vec::with_capacity(BLOCK_ROWS));
                if out.send(full).is_err() {
                    return Ok(());
                }
            }
        }
        // A refused send means that the judge has given up and says why itself.
        let _ = out.send(block);
        drop(rows);
        connection.disconnect().await.map_err(|error| error.to_string())
    })
}

impl AuditSource for MysqlAudit {
    fn effects(&mut self, visit: &mut dyn FnMut(&Effect)) -> Result<(), EvidenceError> {
        let sql = self.tables.select_audit();
        self.each_row(&self.tables.audit, &sql, &mut |row: AuditRow| {
            visit(&effect(row));
            Ok(())
        })
    }

    fn retried_batches(&mut self) -> Result<BTreeSet<BatchId>, EvidenceError> {
        let mut retried = BTreeSet::new();
        let sql = self.tables.select_retried();
        self.each_row(&self.tables.audit, &sql, &mut |(attempt, number): (u32, u64)| {
            retried.insert(BatchId { attempt: AttemptId(attempt), number });
            Ok(())
        })?;
        Ok(retried)
    }

    fn fences(&mut self) -> Result<Vec<Fence>, EvidenceError> {
        let mut fences = Vec::new();
        let sql = self.tables.select_fence();
        self.each_row(&self.tables.fence, &sql, &mut |row: (u32, u64, Option<u64>)| {
            fences.push(Fence {
                attempt: AttemptId(row.0),
                restored: CheckpointId(row.1),
                after_seq: row.2.unwrap_or(0),
            });
            Ok(())
        })?;
        Ok(fences)
    }

    fn results(&mut self, visit: &mut dyn FnMut(&ResultRow<'_>)) -> Result<(), EvidenceError> {
        let sql = self.tables.select_results();
        self.each_row(&self.tables.results, &sql, &mut |row: ResultsRow| {
            let (hash, key, value, version, record_count) = row;
            let key_hash = key_hash(&self.tables.results, &hash)?;
            let row = StoredResult { key_hash, key, value, version, record_count };
            visit(&row.borrow());
            Ok(())
        })
    }
}

fn effect(row: AuditRow) -> Effect {
    Effect {
        seq: row.0,
        partition: PartitionId(row.1),
        offset: Offset(row.2),
        index: row.3,
        source_attempt: AttemptId(row.4),
        sink_attempt: AttemptId(row.5),
        subtask: row.6,
        tag: CheckpointId(row.7),
        batch: row.8,
        batch_try: row.9,
        sent_us: row.10,
    }
}
