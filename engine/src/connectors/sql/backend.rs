//! What a database must offer to the SQL sink.
//!
//! The sink's group logic is above this line and the same for all; connections, statements and
//! error codes are below it. Nothing here blocks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, BatchTry};
use super::row::RowMapper;
use super::schema::Tables;
use crate::error::{EngineError, Result};
use crate::ids::{AttemptId, CheckpointId};
use crate::seam::Ticket;

/// Why a call failed.
#[derive(Clone, Debug)]
pub enum SqlFailure {
    /// It may pass: lost connections, deadlocks, timeouts.
    Transient(String),
    /// Trying again would meet it again.
    Permanent(EngineError),
}

/// How a transaction ended.
#[derive(Clone, Debug)]
pub enum WriteOutcome {
    /// It is committed.
    Confirmed,
    /// It is certain that nothing of it is in the database.
    Failed(SqlFailure),
    /// The commit was sent and no answer came.
    InDoubt(String),
}

/// What the audit table says about a batch.
#[derive(Clone, Debug)]
pub enum ResolveOutcome {
    /// A try of the batch is committed.
    Found,
    /// No try of the batch is committed, and none will be.
    Missing,
    /// The audit table could not be read.
    Failed(SqlFailure),
}

/// What every transaction of an attempt needs to know.
#[derive(Clone)]
pub struct WriteTerms {
    /// The attempt.
    pub attempt: AttemptId,
    /// The tables.
    pub tables: Tables,
    /// Whether a higher version in the table stays.
    pub versions_guarded: bool,
    /// How records become columns.
    pub mapper: Arc<dyn RowMapper>,
    /// A call that takes longer has failed.
    pub call_timeout: Duration,
}

impl fmt::Debug for WriteTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTerms").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

/// A database.
pub trait SqlBackend: Send + Sync + fmt::Debug {
    /// Where it is, for messages; without a password.
    fn describe(&self) -> String;

    /// Writers that suit it, for each worker.
    fn default_connections(&self) -> u16;

    /// Rows of a transaction that suit it.
    fn default_transaction_rows(&self) -> usize;

    /// Creates missing tables and takes the fence (docs/formats.md) for `terms.attempt`; waits at
    /// most `timeout` for transactions of older attempts.
    ///
    /// The ticket holds [`EngineError::Fenced`] when a later attempt owns the tables, other errors
    /// when the database is away or refuses.
    fn begin_attempt(
        &self,
        terms: &WriteTerms,
        restored: CheckpointId,
        timeout: Duration,
    ) -> Ticket<Result<()>>;

    /// A connection for one writer. Connects when it is first used.
    fn connect(&self, terms: Arc<WriteTerms>) -> Box<dyn SqlConnection>;
}

/// One writer's connection: one call at a time. Dropping it abandons a call that is under way.
pub trait SqlConnection: Send {
    /// Writes a batch as one transaction, unless a later attempt owns the tables.
    fn write(&mut self, batch: &Arc<Batch>, batch_try: BatchTry) -> Ticket<WriteOutcome>;

    /// Looks for a batch in the audit table, after every earlier try of it has come to its end.
    fn resolve(&mut self, batch: &Arc<Batch>) -> Ticket<ResolveOutcome>;
}

/// The refusal of an attempt that a later one has replaced.
pub fn fenced(attempt: AttemptId, owner: AttemptId) -> EngineError {
    EngineError::Fenced(format!(
        "attempt {attempt} may not write: attempt {owner} owns the sink's tables; stop this one"
    ))
}
