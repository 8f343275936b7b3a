//! The thread that owns the connection to a SQLite file.
//!
//! Jobs come in one queue and are done in its order. The thread ends with its queue, and nobody
//! waits for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rusqlite::Connection;

use super::transaction;
use crate::connectors::sql::backend::{ResolveOutcome, SqlFailure, WriteOutcome, WriteTerms};
use crate::connectors::sql::batch::{Batch, BatchTry};
use crate::connectors::sql::fence_timed_out;
use crate::ids::CheckpointId;
use crate::seam::TicketSender;

/// Work for the thread.
pub(super) enum Job {
    /// A new attempt begins.
    Fence {
        terms: Arc<WriteTerms>,
        restored: CheckpointId,
        timeout: Duration,
        /// Where the database is, for messages.
        place: String,
        answer: TicketSender<crate::error::Result<()>>,
    },
    /// A transaction.
    Write {
        terms: Arc<WriteTerms>,
        batch: Arc<Batch>,
        batch_try: BatchTry,
        is_abandoned: Arc<AtomicBool>,
        answer: TicketSender<WriteOutcome>,
    },
    /// A look into the audit table.
    Resolve { terms: Arc<WriteTerms>, batch: Arc<Batch>, answer: TicketSender<ResolveOutcome> },
}

/// The queue of the thread.
#[derive(Debug)]
pub(super) struct WriterThread {
    jobs: Sender<Job>,
}

impl WriterThread {
    pub(super) fn start(path: PathBuf) -> Self {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new().name("sqlite-writer".to_owned());
        // Without a thread the queue is gone, and every job says so when it is sent.
        drop(thread.spawn(move || Writing { path, connection: None }.run(&queue)));
        Self { jobs }
    }

    /// Queues a job. If the thread is gone the job's answer is dropped, which says so.
    pub(super) fn send(&self, job: Job) {
        drop(self.jobs.send(job));
    }
}

struct Writing {
    path: PathBuf,
    connection: Option<Connection>,
}

impl Writing {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            match job {
                Job::Fence { terms, restored, timeout, place, answer } => {
                    let outcome = self.fence(&terms, restored, timeout);
                    answer.fulfil(outcome.map_err(|failure| match failure {
                        SqlFailure::Permanent(error) => error,
                        SqlFailure::Transient(what) => fence_timed_out(&place, &what),
                    }));
                }
                Job::Write { is_abandoned, .. } if is_abandoned.load(Ordering::Relaxed) => {}
                Job::Write { terms, batch, batch_try, answer, .. } => {
                    answer.fulfil(match self.connection(terms.call_timeout) {
                        Ok(connection) => transaction::write(connection, &terms, &batch, batch_try),
                        Err(failure) => WriteOutcome::Failed(failure),
                    });
                }
                Job::Resolve { terms, batch, answer } => {
                    let found = self
                        .connection(terms.call_timeout)
                        .and_then(|connection| transaction::find(connection, &terms, &batch));
                    answer.fulfil(match found {
                        Ok(true) => ResolveOutcome::Found,
                        Ok(false) => ResolveOutcome::Missing,
                        Err(failure) => ResolveOutcome::Failed(failure),
                    });
                }
            }
        }
    }

    fn fence(
        &mut self,
        terms: &WriteTerms,
        restored: CheckpointId,
        timeout: Duration,
    ) -> Result<(), SqlFailure> {
        let connection = self.connection(timeout)?;
        transaction::fence(connection, terms, restored)
    }

    fn connection(&mut self, busy_timeout: Duration) -> Result<&mut Connection, SqlFailure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.path).map_err(|e| transaction::failure(&e, &self.path, 0))?,
        };
        let timed = connection.busy_timeout(busy_timeout);
        timed.map_err(|e| transaction::failure(&e, &self.path, 0))?;
        Ok(self.connection.insert(connection))
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Upserts hit pages at random: small pages halve what a transaction writes. 64 MiB of them
    // are cached, and the log is folded back every 64 MiB.
    connection.pragma_update(None, "page_size", 2_048)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "wal_autocheckpoint", 32_768)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}
