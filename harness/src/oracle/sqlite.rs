//! Reading the tables from SQLite, opened read-only.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

use super::evidence::{AuditSource, Effect, EvidenceError, Fence, ResultRow};
use super::ids::{AttemptId, BatchId, CheckpointId};
use super::tables::{Tables, key_hash};
use crate::workload::ledger::{Offset, PartitionId};

/// The tables in one SQLite file.
#[derive(Debug)]
pub struct SqliteAudit {
    connection: Connection,
    tables: Tables,
}

impl SqliteAudit {
    /// Opens the file; it must exist. `prefix` is the one of the table names.
    pub fn open(path: &Path, prefix: &str) -> Result<Self, EvidenceError> {
        let tables = Tables::new(prefix)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| EvidenceError::new(format!("database {}", path.display()), &error))?;
        Ok(Self { connection, tables })
    }

    /// Runs a query and hands each row to `visit`.
    fn each_row(
        &self,
        table: &str,
        sql: &str,
        visit: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), EvidenceError> {
        let mut run = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                visit(row)?;
            }
            Ok(())
        };
        run().map_err(|error: rusqlite::Error| EvidenceError::new(format!("table {table}"), &error))
    }
}

impl AuditSource for SqliteAudit {
    fn effects(&mut self, visit: &mut dyn FnMut(&Effect)) -> Result<(), EvidenceError> {
        self.each_row(&self.tables.audit, &self.tables.select_audit(), &mut |row| {
            visit(&effect(row)?);
            Ok(())
        })
    }

    fn retried_batches(&mut self) -> Result<BTreeSet<BatchId>, EvidenceError> {
        let mut retried = BTreeSet::new();
        self.each_row(&self.tables.audit, &self.tables.select_retried(), &mut |row| {
            retried.insert(BatchId { attempt: AttemptId(row.get(0)?), number: unsigned(row, 1)? });
            Ok(())
        })?;
        Ok(retried)
    }

    fn fences(&mut self) -> Result<Vec<Fence>, EvidenceError> {
        let mut fences = Vec::new();
        self.each_row(&self.tables.fence, &self.tables.select_fence(), &mut |row| {
            fences.push(Fence {
                attempt: AttemptId(row.get(0)?),
                restored: CheckpointId(unsigned(row, 1)?),
                after_seq: unsigned_or_zero(row, 2)?,
            });
            Ok(())
        })?;
        Ok(fences)
    }

    fn results(&mut self, visit: &mut dyn FnMut(&ResultRow<'_>)) -> Result<(), EvidenceError> {
        let mut damaged = None;
        self.each_row(&self.tables.results, &self.tables.select_results(), &mut |row| {
            let hash = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            match key_hash(&self.tables.results, hash) {
                Ok(key_hash) => visit(&ResultRow {
                    key_hash,
                    key: row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?,
                    value: row.get_ref(2)?.as_bytes_or_null().map_err(rusqlite::Error::from)?,
                    version: unsigned(row, 3)?,
                    record_count: unsigned(row, 4)?,
                }),
                Err(error) => damaged = damaged.take().or(Some(error)),
            }
            Ok(())
        })?;
        damaged.map_or(Ok(()), Err)
    }
}

fn effect(row: &Row<'_>) -> rusqlite::Result<Effect> {
    Ok(Effect {
        seq: unsigned(row, 0)?,
        partition: PartitionId(row.get(1)?),
        offset: Offset(unsigned(row, 2)?),
        index: row.get(3)?,
        source_attempt: AttemptId(row.get(4)?),
        sink_attempt: AttemptId(row.get(5)?),
        subtask: row.get(6)?,
        tag: CheckpointId(unsigned(row, 7)?),
        batch: unsigned(row, 8)?,
        batch_try: row.get(9)?,
        sent_us: row.get(10)?,
    })
}

/// SQLite's integers are signed; none of these columns may be negative.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The highest `seq` of an empty table is null.
fn unsigned_or_zero(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(0),
        _ => unsigned(row, column),
    }
}
