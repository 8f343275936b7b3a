//! Counts effects in the audit table, from outside, while the job runs.
//!
//! The count is `max(seq)`: cheap at any size, and exact where rows are never deleted and no
//! transaction was rolled back. It feeds the timeline; the oracle counts rows itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Runtime;

use super::DatabaseAddress;
use crate::error::{Result, environment};

/// The longest wait for the database.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The number of the last session with a MySQL database; 0 = there is none.
static SESSION: AtomicU64 = AtomicU64::new(0);

/// The session of this program's reader, for who counts the sessions of others.
pub(crate) fn monitor_session() -> u64 {
    SESSION.load(Ordering::Relaxed)
}

/// A reader of `max(seq)`.
pub(crate) struct EffectsProbe {
    query: String,
    kind: Kind,
}

enum Kind {
    Sqlite { path: PathBuf, connection: Option<Connection> },
    Mysql { runtime: Runtime, pool: mysql_async::Pool },
}

impl EffectsProbe {
    /// A reader of the tables at `address`. They need not exist yet.
    pub(crate) fn new(address: &DatabaseAddress, table_prefix: &str) -> Result<Self> {
        let kind = match address {
            DatabaseAddress::Sqlite(path) => Kind::Sqlite { path: path.clone(), connection: None },
            DatabaseAddress::Mysql(url) => {
                let refuse = |error: &dyn std::fmt::Display| {
                    environment(format!("cannot watch the database: {error}"))
                        .at(super::without_password(url))
                };
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
                    .map_err(|e| refuse(&e))?;
                let pool = mysql_async::Pool::from_url(url).map_err(|e| refuse(&e))?;
                Kind::Mysql { runtime, pool }
            }
        };
        Ok(Self { query: format!("SELECT MAX(seq) FROM {table_prefix}_audit"), kind })
    }

    /// Effects so far; `None` when the database does not say.
    pub(crate) fn count(&mut self) -> Option<u64> {
        match &mut self.kind {
            Kind::Sqlite { path, connection } => {
                if connection.is_none() {
                    *connection = open_read_only(path);
                }
                let asked = connection.as_ref()?.query_row(&self.query, [], |row| {
                    Ok(row.get::<_, Option<i64>>(0)?.unwrap_or(0) as u64)
                });
                asked.ok()
            }
            Kind::Mysql { runtime, pool } => runtime.block_on(async {
                let asked = tokio::time::timeout(ANSWER_LIMIT, async {
                    let mut connection = pool.get_conn().await?;
                    SESSION.store(connection.id().into(), Ordering::Relaxed);
                    connection.query_first::<Option<u64>, _>(self.query.as_str()).await
                });
                let asked = asked.await;
                if !matches!(asked, Ok(Ok(_) | Err(mysql_async::Error::Server(_)))) {
                    // A server that comes back gives the same numbers to others.
                    SESSION.store(0, Ordering::Relaxed);
                }
                Some(asked.ok()?.ok()?.flatten().unwrap_or(0))
            }),
        }
    }
}

fn open_read_only(path: &std::path::Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).ok()?;
    connection.busy_timeout(ANSWER_LIMIT).ok()?;
    Some(connection)
}
