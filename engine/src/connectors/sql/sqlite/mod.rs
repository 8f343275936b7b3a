//! SQLite: one file, one thread that writes.
//!
//! All workers of a process share that thread: SQLite has one writer anyway, and a queue is fairer
//! and faster than a busy handler. Other processes (an older attempt, the oracle) are met with
//! `BEGIN IMMEDIATE` and the busy timeout. `synchronous=NORMAL` with a write-ahead log survives
//! the death of the process; it may lose the last transactions when the machine loses power.

mod thread;
mod transaction;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::backend::{ResolveOutcome, SqlBackend, SqlConnection, WriteOutcome, WriteTerms};
use super::batch::{Batch, BatchTry};
use crate::error::Result;
use crate::ids::CheckpointId;
use crate::seam::Ticket;
use thread::{Job, WriterThread};

/// A SQLite file.
#[derive(Debug)]
pub struct SqliteBackend {
    path: PathBuf,
    thread: Arc<WriterThread>,
}

impl SqliteBackend {
    /// The database in the file at `path`, which is created if missing.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_path_buf();
        Self { thread: Arc::new(WriterThread::start(path.clone())), path }
    }
}

impl SqlBackend for SqliteBackend {
    fn describe(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn default_connections(&self) -> u16 {
        1
    }

    fn default_transaction_rows(&self) -> usize {
        8_000
    }

    fn begin_attempt(
        &self,
        terms: &WriteTerms,
        restored: CheckpointId,
        timeout: Duration,
    ) -> Ticket<Result<()>> {
        let (answer, ticket) = Ticket::pair();
        let terms = Arc::new(terms.clone());
        let place = self.describe();
        self.thread.send(Job::Fence { terms, restored, timeout, place, answer });
        ticket
    }

    fn connect(&self, terms: Arc<WriteTerms>) -> Box<dyn SqlConnection> {
        Box::new(SqliteConnection {
            thread: Arc::clone(&self.thread),
            terms,
            is_abandoned: Arc::default(),
        })
    }
}

struct SqliteConnection {
    thread: Arc<WriterThread>,
    terms: Arc<WriteTerms>,
    is_abandoned: Arc<AtomicBool>,
}

impl SqlConnection for SqliteConnection {
    fn write(&mut self, batch: &Arc<Batch>, batch_try: BatchTry) -> Ticket<WriteOutcome> {
        let (answer, ticket) = Ticket::pair();
        self.thread.send(Job::Write {
            terms: Arc::clone(&self.terms),
            batch: Arc::clone(batch),
            batch_try,
            is_abandoned: Arc::clone(&self.is_abandoned),
            answer,
        });
        ticket
    }

    fn resolve(&mut self, batch: &Arc<Batch>) -> Ticket<ResolveOutcome> {
        let (answer, ticket) = Ticket::pair();
        self.thread.send(Job::Resolve {
            terms: Arc::clone(&self.terms),
            batch: Arc::clone(batch),
            answer,
        });
        ticket
    }
}

impl Drop for SqliteConnection {
    /// A batch that waits for the thread is not written any more.
    fn drop(&mut self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }
}
