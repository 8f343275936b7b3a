//! The fence: how a new attempt takes the tables from all older ones.
//!
//! Invariant: the owner's row is locked before the audit table is read, and batches of older
//! attempts hold a shared lock on it until they end; so no row of an older attempt comes after the
//! `seq` that the fence notes.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio::time::{Instant, sleep, timeout_at};

use super::Address;
use super::error::Judge;
use crate::connectors::sql::backend::{SqlFailure, WriteTerms, fenced};
use crate::connectors::sql::schema::Tables;
use crate::connectors::sql::sink::fence_timed_out;
use crate::error::Result;
use crate::ids::{AttemptId, CheckpointId};

const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Creates what is missing and takes the fence; tries again until `limit` has passed.
#[allow(clippy::disallowed_methods, reason = "a deadline at the edge")]
pub(super) async fn take(
    address: Address,
    terms: WriteTerms,
    restored: CheckpointId,
    limit: Duration,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let what = match timeout_at(deadline, try_take(&address, &terms, restored)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(SqlFailure::Permanent(error))) => return Err(error),
            Ok(Err(SqlFailure::Transient(what))) => what,
            Err(_) => format!("no answer in {limit:?}"),
        };
        if Instant::now() + RETRY_AFTER >= deadline {
            return Err(fence_timed_out(&address.place, &what));
        }
        sleep(RETRY_AFTER).await;
    }
}

async fn try_take(
    address: &Address,
    terms: &WriteTerms,
    restored: CheckpointId,
) -> std::result::Result<(), SqlFailure> {
    let judge = Judge { place: &address.place, row_bytes: 0 };
    let connect = Conn::new(address.opts.clone()).await;
    let mut conn = connect.map_err(|error| judge.failure(&error))?;
    create_missing(&mut conn, &terms.tables).await.map_err(|error| judge.failure(&error))?;
    let owner = fence(&mut conn, terms, restored).await.map_err(|error| judge.failure(&error))?;
    if owner > terms.attempt {
        return Err(SqlFailure::Permanent(fenced(terms.attempt, owner)));
    }
    // Everything is committed; a farewell that fails changes nothing.
    drop(conn.disconnect().await);
    Ok(())
}

/// Does nothing when all is there: creating waits for every transaction on the table.
async fn create_missing(conn: &mut Conn, tables: &Tables) -> mysql_async::Result<()> {
    let names: Vec<_> = tables.names().iter().map(|name| format!("'{name}'")).collect();
    let count = format!(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND \
         table_name IN ({})",
        names.join(", ")
    );
    let existing: Option<usize> = conn.query_first(count).await?;
    let owners = match existing == Some(names.len()) {
        true => conn.query_first(format!("SELECT COUNT(*) FROM {}", tables.owner)).await?,
        false => Some(0),
    };
    if owners == Some(0_u64) {
        for statement in tables.create_mysql() {
            conn.query_drop(statement).await?;
        }
    }
    Ok(())
}

/// Takes the fence, unless a later attempt has it. Returns the owner.
async fn fence(
    conn: &mut Conn,
    terms: &WriteTerms,
    restored: CheckpointId,
) -> mysql_async::Result<AttemptId> {
    let Tables { audit, fence, owner, .. } = &terms.tables;
    let attempt = terms.attempt;
    conn.query_drop("START TRANSACTION").await?;
    let current: Option<u32> =
        conn.query_first(format!("SELECT attempt FROM {owner} WHERE id = 1 FOR UPDATE")).await?;
    let current = AttemptId(current.unwrap_or_default());
    if current > attempt {
        conn.query_drop("ROLLBACK").await?;
        return Ok(current);
    }
    conn.query_drop(format!("UPDATE {owner} SET attempt = {attempt} WHERE id = 1")).await?;
    // An earlier try may have been committed although its answer was lost.
    conn.query_drop(format!(
        "INSERT IGNORE INTO {fence} (attempt, restored, after_seq) \
         SELECT {attempt}, {restored}, COALESCE(MAX(seq), 0) FROM {audit}"
    ))
    .await?;
    conn.query_drop("COMMIT").await?;
    Ok(attempt)
}
