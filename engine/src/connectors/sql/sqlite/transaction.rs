//! What happens inside SQLite: the fence, a batch's transaction, and the look for a batch.
//!
//! Invariant: every transaction holds the write lock from its beginning, so nothing is read that
//! another attempt could still change.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use crate::connectors::sql::SERVICE;
use crate::connectors::sql::backend::{SqlFailure, WriteOutcome, WriteTerms, fenced};
use crate::connectors::sql::batch::{Batch, BatchTry};
use crate::connectors::sql::schema::{AUDIT_COLUMNS, RESULT_COLUMNS, Tables};
use crate::error::EngineError;
use crate::ids::{AttemptId, CheckpointId};
use crate::mutants;

/// Creates the tables and takes the fence.
pub(super) fn fence(
    connection: &mut Connection,
    terms: &WriteTerms,
    restored: CheckpointId,
) -> Result<(), SqlFailure> {
    let path = connection.path().unwrap_or_default().to_owned();
    let judge = |error: rusqlite::Error| failure(&error, Path::new(&path), 0);
    let Tables { audit, fence, owner, .. } = &terms.tables;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(judge)?;
    let taken = connection
        .execute_batch(&terms.tables.create_sqlite())
        .and_then(|()| current_owner(connection, &terms.tables));
    let taken = match taken {
        Ok(current) if current > terms.attempt => {
            rollback(connection);
            return Err(SqlFailure::Permanent(fenced(terms.attempt, current)));
        }
        Ok(_) => connection.execute_batch(&format!(
            "UPDATE {owner} SET attempt = {attempt} WHERE id = 1;
             INSERT OR IGNORE INTO {fence} (attempt, restored, after_seq)
             SELECT {attempt}, {restored}, COALESCE(MAX(seq), 0) FROM {audit};
             COMMIT;",
            attempt = terms.attempt
        )),
        Err(error) => Err(error),
    };
    taken.map_err(|error| {
        rollback(connection);
        judge(error)
    })
}

fn current_owner(connection: &Connection, tables: &Tables) -> rusqlite::Result<AttemptId> {
    let sql = format!("SELECT attempt FROM {} WHERE id = 1", tables.owner);
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(AttemptId(statement.query_one([], |row| row.get(0))?))
}

/// Ends a transaction that failed. SQLite may have ended it already.
fn rollback(connection: &Connection) {
    if !connection.is_autocommit() {
        drop(connection.execute_batch("ROLLBACK"));
    }
}

/// Writes a batch.
pub(super) fn write(
    connection: &mut Connection,
    terms: &WriteTerms,
    batch: &Batch,
    batch_try: BatchTry,
) -> WriteOutcome {
    let path = connection.path().unwrap_or_default().to_owned();
    let judge =
        |error: &rusqlite::Error| failure(error, Path::new(&path), batch.largest_row_bytes());
    let filled = fill(connection, terms, batch, batch_try);
    let outcome = match filled {
        Ok(None) => match connection.execute_batch("COMMIT") {
            Ok(()) => return WriteOutcome::Confirmed,
            Err(error) => match judge(&error) {
                busy @ SqlFailure::Transient(_) => WriteOutcome::Failed(busy),
                SqlFailure::Permanent(error) => WriteOutcome::InDoubt(error.to_string()),
            },
        },
        Ok(Some(owner)) => {
            WriteOutcome::Failed(SqlFailure::Permanent(fenced(terms.attempt, owner)))
        }
        Err(error) => WriteOutcome::Failed(judge(&error)),
    };
    rollback(connection);
    outcome
}

/// Everything but the commit; the owner if it is a later attempt.
fn fill(
    connection: &Connection,
    terms: &WriteTerms,
    batch: &Batch,
    batch_try: BatchTry,
) -> rusqlite::Result<Option<AttemptId>> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let owner = current_owner(connection, &terms.tables)?;
    if owner > terms.attempt && !mutants::is_active(mutants::NO_FENCE) {
        return Ok(Some(owner));
    }
    let Tables { audit, results, .. } = &terms.tables;
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO {audit} ({AUDIT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))?;
    for effect in &batch.effects {
        let from = effect.record.view().provenance();
        insert.execute(params![
            from.partition.0,
            from.offset.0 as i64,
            from.index,
            from.source_attempt.0,
            batch.attempt.0,
            effect.subtask.0,
            effect.checkpoint.0 as i64,
            batch.number.0 as i64,
            batch_try.number,
            batch_try.sent_us as i64,
        ])?;
    }
    let guard = if terms.versions_guarded { "WHERE excluded.version >= version" } else { "" };
    let mut upsert = connection.prepare_cached(&format!(
        "INSERT INTO {results} ({RESULT_COLUMNS}) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (key_hash) DO UPDATE SET record_value = excluded.record_value, \
         version = excluded.version, record_count = excluded.record_count {guard}"
    ))?;
    for row in batch.upserts(terms.mapper.as_ref(), terms.versions_guarded) {
        let (version, count) = (row.version as i64, row.record_count as i64);
        upsert.execute(params![&row.key_hash[..], row.key, row.value, version, count])?;
    }
    Ok(None)
}

/// Whether a try of the batch is in the audit table. Earlier tries ended on this very connection.
pub(super) fn find(
    connection: &mut Connection,
    terms: &WriteTerms,
    batch: &Batch,
) -> Result<bool, SqlFailure> {
    let path = connection.path().unwrap_or_default().to_owned();
    let Tables { audit, fence, .. } = &terms.tables;
    // Rows of this attempt come after its fence: the table's past is not searched.
    let sql = format!(
        "SELECT 1 FROM {audit} WHERE seq > (SELECT COALESCE(MAX(after_seq), 0) FROM {fence} \
         WHERE attempt = ?1) AND sink_attempt = ?1 AND batch = ?2 LIMIT 1"
    );
    let place = params![batch.attempt.0, batch.number.0 as i64];
    let found: rusqlite::Result<Option<i64>> =
        connection.query_row(&sql, place, |row| row.get(0)).optional();
    found.map(|row| row.is_some()).map_err(|error| failure(&error, Path::new(&path), 0))
}

/// What an error means. `row_bytes` is the size of the largest row, where there is one.
pub(super) fn failure(error: &rusqlite::Error, path: &Path, row_bytes: usize) -> SqlFailure {
    let place = format!("sqlite:{}", path.display());
    let config = |remedy: &str| {
        SqlFailure::Permanent(EngineError::Config(format!("{place}: {error}; {remedy}")))
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SchemaChanged) => {
            SqlFailure::Transient(format!("{place}: {error}"))
        }
        Some(ErrorCode::CannotOpen) => config("create its folder or correct the path"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            config("make the file and its folder writable")
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            config("the file is not a sound database: move it away")
        }
        Some(ErrorCode::TooBig) => SqlFailure::Permanent(EngineError::Input(format!(
            "{place}: a row of {row_bytes} bytes is larger than SQLite takes (1 GB): {error}"
        ))),
        Some(ErrorCode::DiskFull) => SqlFailure::Permanent(EngineError::service(
            SERVICE,
            format!("{place}: {error}; free space on its disk"),
        )),
        _ => SqlFailure::Permanent(EngineError::service(SERVICE, format!("{place}: {error}"))),
    }
}
