//! A writer's session: batches as transactions, and looks into the audit table.
//!
//! Invariants: a session in which anything went wrong is never used again; every call has a
//! timeout; the commit is the only point at which an outcome can be unknown.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error};
use tokio::time::{Instant, timeout};

use super::error::{Judge, deadline_passed};
use super::statement::Statements;
use super::{Address, IDLE_TIMEOUT};
use crate::connectors::sql::backend::{
    ResolveOutcome, SqlFailure, WriteOutcome, WriteTerms, fenced,
};
use crate::connectors::sql::batch::{Batch, BatchTry};
use crate::ids::AttemptId;
use crate::mutants;

/// A session that was quiet for so long is opened anew: the server may be about to end it.
const REUSE_WITHIN: Duration = Duration::from_secs(IDLE_TIMEOUT.as_secs() / 2);

/// What every server takes.
const SMALLEST_PACKET_BYTES: usize = 1024 * 1024;

pub(super) struct Session {
    address: Address,
    terms: Arc<WriteTerms>,
    open: Option<Open>,
    /// Rows of a batch that is not confirmed come after this `seq`.
    floor_seq: Option<u64>,
}

struct Open {
    conn: Conn,
    statements: Statements,
    last_used: Instant,
}

/// Awaits one call to the database, but not longer than `limit`.
async fn call<T>(
    limit: Duration,
    judge: &Judge<'_>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, SqlFailure> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| judge.failure(&error)),
        Err(_) => Err(deadline_passed(judge.place, limit)),
    }
}

impl Session {
    pub(super) fn new(address: Address, terms: Arc<WriteTerms>) -> Self {
        Self { address, terms, open: None, floor_seq: None }
    }

    /// Takes the open session out, or opens one. Whoever took it puts it back when all is well.
    #[allow(clippy::disallowed_methods, reason = "ages of sessions, at the edge")]
    async fn take(&mut self) -> Result<Open, SqlFailure> {
        if let Some(open) = self.open.take()
            && open.last_used.elapsed() < REUSE_WITHIN
        {
            return Ok(open);
        }
        let judge = Judge { place: &self.address.place, row_bytes: 0 };
        let connect = Conn::new(self.address.opts.clone());
        let limit = self.terms.call_timeout;
        let mut conn = call(limit, &judge, connect).await?;
        let max_packet = conn.query_first("SELECT @@max_allowed_packet");
        let servers = call(limit, &judge, max_packet).await?.unwrap_or(SMALLEST_PACKET_BYTES);
        // An address may ask for less.
        let packet_bytes = conn.opts().max_allowed_packet().map_or(servers, |own| own.min(servers));
        let statements = Statements::new(&self.terms, packet_bytes);
        Ok(Open { conn, statements, last_used: Instant::now() })
    }

    #[allow(clippy::disallowed_methods, reason = "ages of sessions, at the edge")]
    fn put_back(&mut self, mut open: Open) {
        open.last_used = Instant::now();
        self.open = Some(open);
    }

    /// Writes a batch as one transaction.
    pub(super) async fn write(&mut self, batch: &Batch, batch_try: BatchTry) -> WriteOutcome {
        let place = Arc::clone(&self.address.place);
        let judge = Judge { place: &place, row_bytes: batch.largest_row_bytes() };
        let mut open = match self.take().await {
            Ok(open) => open,
            Err(failure) => return WriteOutcome::Failed(failure),
        };
        let first_seq = match self.fill(&mut open, batch, batch_try, &judge).await {
            Ok(first_seq) => first_seq,
            Err(failure) => return WriteOutcome::Failed(failure),
        };
        let limit = self.terms.call_timeout;
        match timeout(limit, open.conn.query_drop("COMMIT")).await {
            Ok(Ok(())) => {
                self.floor_seq = first_seq.or(self.floor_seq);
                self.put_back(open);
                WriteOutcome::Confirmed
            }
            Ok(Err(error)) => judge.commit_outcome(&error),
            Err(_) => WriteOutcome::InDoubt(format!("{place}: no answer to COMMIT in {limit:?}")),
        }
    }

    /// Everything but the commit. Returns the first `seq` of the batch's audit rows.
    async fn fill(
        &self,
        open: &mut Open,
        batch: &Batch,
        batch_try: BatchTry,
        judge: &Judge<'_>,
    ) -> Result<Option<u64>, SqlFailure> {
        let limit = self.terms.call_timeout;
        let Open { conn, statements, .. } = open;
        // The server would answer in the middle of the packet, in a way nobody understands.
        judge.check_size(statements.packet_bytes())?;
        let begun: Option<u32> = call(limit, judge, async {
            conn.query_drop("START TRANSACTION").await?;
            conn.query_first(statements.read_owner()).await
        })
        .await?;
        let owner = AttemptId(begun.unwrap_or_default());
        if owner > self.terms.attempt && !mutants::is_active(mutants::NO_FENCE) {
            return Err(SqlFailure::Permanent(fenced(self.terms.attempt, owner)));
        }
        let mut first_seq = None;
        for effects in batch.effects.chunks(statements.audit_rows()) {
            let audit = statements.insert_audit(batch, effects, batch_try);
            call(limit, judge, conn.query_drop(audit)).await?;
            first_seq = first_seq.or(conn.last_insert_id());
        }
        let upserts = batch.upserts(self.terms.mapper.as_ref(), self.terms.versions_guarded);
        let mut rest = upserts.as_slice();
        while !rest.is_empty() {
            let (rows, further) = rest.split_at(statements.class_of(rest));
            let upsert = statements.upsert(conn, rows);
            call(limit, judge, upsert).await?;
            rest = further;
        }
        Ok(first_seq)
    }

    /// Looks for a batch. The read waits for locks, so an earlier try whose commit is still being
    /// worked on has come to its end when the answer is there.
    pub(super) async fn resolve(&mut self, batch: &Batch) -> ResolveOutcome {
        match self.find(batch).await {
            Ok(true) => ResolveOutcome::Found,
            Ok(false) => ResolveOutcome::Missing,
            Err(failure) => ResolveOutcome::Failed(failure),
        }
    }

    async fn find(&mut self, batch: &Batch) -> Result<bool, SqlFailure> {
        let place = Arc::clone(&self.address.place);
        let judge = Judge { place: &place, row_bytes: 0 };
        let limit = self.terms.call_timeout;
        let mut open = self.take().await?;
        let floor = match self.floor_seq {
            Some(floor) => floor,
            None => {
                let sql = open.statements.read_fence();
                let floor = call(limit, &judge, open.conn.query_first(sql)).await?;
                *self.floor_seq.insert(floor.unwrap_or(0))
            }
        };
        let sql = open.statements.find_batch(batch.number, floor);
        let found: Option<u64> = call(limit, &judge, open.conn.query_first(sql)).await?;
        self.put_back(open);
        Ok(found.is_some())
    }
}
