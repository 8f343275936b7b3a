//! The simulated database behind the SQL sink's seam.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stormproof_engine::connectors::sql::{
    Batch, BatchTry, ResolveOutcome, SqlBackend, SqlConnection, WriteOutcome, WriteTerms,
};
use stormproof_engine::error::Result;
use stormproof_engine::ids::CheckpointId;
use stormproof_engine::seam::Ticket;

use super::core::Core;
use super::database::{Database, Work};

/// The database as one process has it.
#[derive(Debug)]
pub(super) struct Backend {
    core: Arc<Core>,
    database: Arc<Database>,
    connections: AtomicU64,
}

impl Backend {
    pub(super) fn new(core: Arc<Core>, database: Arc<Database>) -> Self {
        Self { core, database, connections: AtomicU64::new(0) }
    }

    /// A number that no other connection of the run has.
    fn next_connection(&self) -> u64 {
        let n = self.connections.fetch_add(1, Ordering::Relaxed);
        u64::from(self.core.current().process().0) << 32 | n
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl SqlBackend for Backend {
    fn describe(&self) -> String {
        "simulated database".to_owned()
    }

    fn default_connections(&self) -> u16 {
        2
    }

    fn default_transaction_rows(&self) -> usize {
        1_000
    }

    fn begin_attempt(
        &self,
        terms: &WriteTerms,
        restored: CheckpointId,
        timeout: Duration,
    ) -> Ticket<Result<()>> {
        let (answer, ticket) = Ticket::pair();
        let deadline_us = self.core.now() + micros(timeout);
        let work = Work::Fence { attempt: terms.attempt, restored, deadline_us, answer };
        self.database.call(self.next_connection(), work, micros(terms.call_timeout));
        ticket
    }

    fn connect(&self, terms: Arc<WriteTerms>) -> Box<dyn SqlConnection> {
        let id = self.next_connection();
        Box::new(Connection { id, database: Arc::clone(&self.database), terms })
    }
}

struct Connection {
    id: u64,
    database: Arc<Database>,
    terms: Arc<WriteTerms>,
}

impl SqlConnection for Connection {
    fn write(&mut self, batch: &Arc<Batch>, batch_try: BatchTry) -> Ticket<WriteOutcome> {
        let (answer, ticket) = Ticket::pair();
        let (terms, batch) = (Arc::clone(&self.terms), Arc::clone(batch));
        let work = Work::Write { terms, batch, batch_try, answer };
        self.database.call(self.id, work, micros(self.terms.call_timeout));
        ticket
    }

    fn resolve(&mut self, batch: &Arc<Batch>) -> Ticket<ResolveOutcome> {
        let (answer, ticket) = Ticket::pair();
        let work = Work::Resolve { batch: Arc::clone(batch), answer };
        self.database.call(self.id, work, micros(self.terms.call_timeout));
        ticket
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.database.on_disconnect(self.id);
    }
}
