//! MySQL and MariaDB: each writer has a connection and a task of its own on the given runtime.
//!
//! Sessions are strict (nothing is cut short silently), read committed (no gap locks between
//! writers), and short-lived when idle: a frozen attempt's open transaction, whose locks the next
//! attempt's fence waits for, is ended by the server after [`IDLE_TIMEOUT`].

mod error;
mod fence;
mod session;
mod statement;
mod task;

use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder};
use tokio::runtime::Handle;

use super::backend::{SqlBackend, SqlConnection, WriteTerms};
use crate::error::Result;
use crate::ids::CheckpointId;
use crate::seam::Ticket;
use task::MysqlConnection;

/// The server ends sessions that say nothing for so long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// A lock that takes longer counts as a transient failure.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A MySQL or MariaDB database.
#[derive(Debug, Clone)]
pub struct MysqlBackend {
    address: Address,
    runtime: Handle,
}

/// How to connect, and what to call it.
#[derive(Debug, Clone)]
struct Address {
    opts: Opts,
    place: Arc<str>,
}

impl MysqlBackend {
    /// The database that `opts` name, with connections on `runtime`.
    pub fn new(opts: OptsBuilder, runtime: Handle) -> Self {
        let setup = vec![
            format!(
                "SET SESSION wait_timeout = {}, innodb_lock_wait_timeout = {}, \
                 sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1",
                IDLE_TIMEOUT.as_secs(),
                LOCK_TIMEOUT.as_secs()
            ),
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        ];
        // Never the server's socket file behind its back: the address given may be a proxy's.
        let opts = opts.prefer_socket(false).tcp_nodelay(true).stmt_cache_size(0).setup(setup);
        let opts = Opts::from(opts);
        let place = format!(
            "mysql://{}@{}:{}/{}",
            opts.user().unwrap_or_default(),
            opts.ip_or_hostname(),
            opts.tcp_port(),
            opts.db_name().unwrap_or_default()
        );
        Self { address: Address { opts, place: place.into() }, runtime }
    }
}

impl SqlBackend for MysqlBackend {
    fn describe(&self) -> String {
        self.address.place.to_string()
    }

    fn default_connections(&self) -> u16 {
        4
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
        let fence = fence::take(self.address.clone(), terms.clone(), restored, timeout);
        let (answer, ticket) = Ticket::pair();
        self.runtime.spawn(async move { answer.fulfil(fence.await) });
        ticket
    }

    fn connect(&self, terms: Arc<WriteTerms>) -> Box<dyn SqlConnection> {
        Box::new(MysqlConnection::start(self.address.clone(), terms, &self.runtime))
    }
}
