//! Makes SQL sinks: one database, one configuration, all attempts.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::backend::{SqlBackend, WriteTerms};
use super::config::SqlSinkConfig;
use super::row::RowMapper;
use super::schema::Tables;
use super::sink::SqlSink;
use super::url::backend_for;
use crate::api::{GroupContext, GroupState, Sink, SinkFactory};
use crate::error::Result;
use crate::ids::{AttemptId, CheckpointId};
use crate::mutants;
use crate::seam::Ticket;

/// Makes SQL sinks. Keep it over all attempts of a process.
pub struct SqlSinkFactory {
    backend: Arc<dyn SqlBackend>,
    config: SqlSinkConfig,
    mapper: Arc<dyn RowMapper>,
}

impl SqlSinkFactory {
    /// A factory for the database at `url` (`mysql://user:password@host:port/database` or
    /// `sqlite:path`). Nothing is connected yet; connections will live on `runtime`, which needs
    /// its time and I/O drivers.
    ///
    /// # Errors
    /// When the address or the configuration cannot work.
    pub fn new(
        url: &str,
        config: SqlSinkConfig,
        mapper: Arc<dyn RowMapper>,
        runtime: &Handle,
    ) -> Result<Self> {
        Self::with_backend(backend_for(url, runtime)?, config, mapper)
    }

    /// A factory for any database.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub fn with_backend(
        backend: Arc<dyn SqlBackend>,
        config: SqlSinkConfig,
        mapper: Arc<dyn RowMapper>,
    ) -> Result<Self> {
        config.validate()?;
        Ok(Self { backend, config, mapper })
    }

    fn terms(&self, attempt: AttemptId) -> Arc<WriteTerms> {
        Arc::new(WriteTerms {
            attempt,
            tables: Tables::with_prefix(&self.config.table_prefix),
            versions_guarded: self.config.versions_guarded,
            mapper: Arc::clone(&self.mapper),
            call_timeout: Duration::from_millis(self.config.call_timeout_ms),
        })
    }
}

impl std::fmt::Debug for SqlSinkFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlSinkFactory").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl SinkFactory for SqlSinkFactory {
    fn begin_attempt(&self, attempt: AttemptId, restored: CheckpointId) -> Ticket<Result<()>> {
        let timeout = Duration::from_millis(self.config.fence_timeout_ms);
        self.backend.begin_attempt(&self.terms(attempt), restored, timeout)
    }

    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Sink>> {
        let terms = self.terms(context.attempt);
        let mut sink = SqlSink::open(context, &self.config, self.backend.as_ref(), &terms)?;
        if !mutants::is_active(mutants::BUFFER_NOT_REFILLED) {
            sink.restore(&state)?;
        }
        Ok(Box::new(sink))
    }
}
