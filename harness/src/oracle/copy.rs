//! The tables in a file of their own, so that a judgement can be repeated when the database is gone.
//!
//! The copy holds what a source reports and nothing else: the same columns under the same names in
//! SQLite, as [`SqliteAudit`](super::SqliteAudit) reads them. It judges nothing and repairs nothing;
//! a copy that did not come to its end is taken away.

use std::path::Path;

use rusqlite::{Connection, Statement, Transaction};

use super::evidence::{AuditSource, Effect, EvidenceError, ResultRow};
use super::tables::Tables;

/// Copies the tables of `source` into the new file `to`; returns how many rows there are.
///
/// # Errors
/// When the source cannot be read or the file cannot be written.
pub fn copy_tables(
    source: &mut dyn AuditSource,
    to: &Path,
    prefix: &str,
) -> Result<u64, EvidenceError> {
    let copied = copy_into(source, to, &Tables::new(prefix)?);
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied
}

fn copy_into(
    source: &mut dyn AuditSource,
    to: &Path,
    tables: &Tables,
) -> Result<u64, EvidenceError> {
    let shown = format!("copy {}", to.display());
    let failed = |error: rusqlite::Error| EvidenceError::new(shown.clone(), &error);
    let mut connection = Connection::open(to).map_err(failed)?;
    // It is made once, from something that is still there: no log to recover from.
    let make = format!("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {}", create(tables));
    connection.execute_batch(&make).map_err(failed)?;
    let all = connection.transaction().map_err(failed)?;
    let mut rows = copy_fences(source, &all, tables).map_err(|e| e.or(&shown))?;
    rows += copy_effects(source, &all, tables).map_err(|e| e.or(&shown))?;
    rows += copy_results(source, &all, tables).map_err(|e| e.or(&shown))?;
    all.commit().map_err(failed)?;
    Ok(rows)
}

/// What failed: reading or writing.
enum Failed {
    Reading(EvidenceError),
    Writing(rusqlite::Error),
}

impl Failed {
    fn or(self, place: &str) -> EvidenceError {
        match self {
            Self::Reading(error) => error,
            Self::Writing(error) => EvidenceError::new(place, &error),
        }
    }
}

impl From<EvidenceError> for Failed {
    fn from(error: EvidenceError) -> Self {
        Self::Reading(error)
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Writing(error)
    }
}

fn create(tables: &Tables) -> String {
    let Tables { audit, results, fence } = tables;
    format!(
        "CREATE TABLE {audit} (seq INTEGER PRIMARY KEY, partition_id INTEGER, record_offset \
         INTEGER, record_index INTEGER, source_attempt INTEGER, sink_attempt INTEGER, subtask \
         INTEGER, checkpoint INTEGER, batch INTEGER, batch_try INTEGER, sent_us INTEGER);\
         CREATE TABLE {results} (key_hash BLOB, record_key BLOB, record_value BLOB, version \
         INTEGER, record_count INTEGER);\
         CREATE TABLE {fence} (attempt INTEGER, restored INTEGER, after_seq INTEGER);"
    )
}

fn insert<'a>(
    all: &'a Transaction<'_>,
    table: &str,
    columns: usize,
) -> rusqlite::Result<Statement<'a>> {
    let places = vec!["?"; columns].join(", ");
    all.prepare(&format!("INSERT INTO {table} VALUES ({places})"))
}

/// Rows written so far, and the first that could not be.
#[derive(Default)]
struct Count {
    rows: u64,
    failed: Option<rusqlite::Error>,
}

impl Count {
    fn add(&mut self, write: impl FnOnce() -> rusqlite::Result<usize>) {
        if self.failed.is_none() {
            match write() {
                Ok(_) => self.rows += 1,
                Err(error) => self.failed = Some(error),
            }
        }
    }

    fn settle(self) -> Result<u64, Failed> {
        self.failed.map_or(Ok(self.rows), |error| Err(error.into()))
    }
}

fn copy_fences(
    source: &mut dyn AuditSource,
    all: &Transaction<'_>,
    tables: &Tables,
) -> Result<u64, Failed> {
    let fences = source.fences()?;
    let mut statement = insert(all, &tables.fence, 3)?;
    for fence in &fences {
        let row = (fence.attempt.0, fence.restored.0 as i64, fence.after_seq as i64);
        statement.execute(row)?;
    }
    Ok(fences.len() as u64)
}

fn copy_effects(
    source: &mut dyn AuditSource,
    all: &Transaction<'_>,
    tables: &Tables,
) -> Result<u64, Failed> {
    let (mut statement, mut count) = (insert(all, &tables.audit, 11)?, Count::default());
    source.effects(&mut |effect: &Effect| {
        let row = (
            effect.seq as i64,
            effect.partition.0,
            effect.offset.0 as i64,
            effect.index,
            effect.source_attempt.0,
            effect.sink_attempt.0,
            effect.subtask,
            effect.tag.0 as i64,
            effect.batch as i64,
            effect.batch_try,
            effect.sent_us,
        );
        count.add(|| statement.execute(row));
    })?;
    count.settle()
}

fn copy_results(
    source: &mut dyn AuditSource,
    all: &Transaction<'_>,
    tables: &Tables,
) -> Result<u64, Failed> {
    let (mut statement, mut count) = (insert(all, &tables.results, 5)?, Count::default());
    source.results(&mut |row: &ResultRow<'_>| {
        let hash = row.key_hash.to_be_bytes();
        let row = (&hash[..], row.key, row.value, row.version as i64, row.record_count as i64);
        count.add(|| statement.execute(row));
    })?;
    count.settle()
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
