//! The databases of the suite: how each is opened, read back, and locked by somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::prelude::Queryable as _;
use stormproof_chaos::sim::SimServices;
use stormproof_engine::connectors::sql::{SqlBackend, SqliteBackend, backend_for};
use stormproof_engine::seam::Ticket;
use stormproof_harness::oracle::evidence::{Effect, Fence, StoredResult};
use stormproof_harness::oracle::{AuditSource, MemoryAudit, MysqlAudit, SqliteAudit};
use stormproof_harness::sim::audit_of;
use tokio::runtime::Runtime;

use super::{runtime, wait};

/// A database with tables of its own.
pub(super) enum Database {
    Simulated { services: SimServices, backend: Arc<dyn SqlBackend> },
    Sqlite { backend: Arc<dyn SqlBackend>, folder: tempfile::TempDir },
    Mysql { backend: Arc<dyn SqlBackend>, url: String, prefix: String, runtime: Runtime },
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Database {
    pub(super) fn simulated(seed: u64) -> Self {
        let services = SimServices::new(seed, Vec::new());
        let backend = services.backend();
        Self::Simulated { services, backend }
    }

    pub(super) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let backend = Arc::new(SqliteBackend::new(folder.path().join("test.db")));
        Self::Sqlite { backend, folder }
    }

    /// The server that `STORMPROOF_TEST_MYSQL_URL` names.
    pub(super) fn mysql() -> Option<Self> {
        let url = std::env::var("STORMPROOF_TEST_MYSQL_URL").ok()?;
        let runtime = runtime();
        let backend = backend_for(&url, runtime.handle()).expect("an address");
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("conform_{}_{n}", std::process::id());
        Some(Self::Mysql { backend, url, prefix, runtime })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Simulated { .. } => "simulated",
            Self::Sqlite { .. } => "SQLite",
            Self::Mysql { .. } => "MySQL",
        }
    }

    pub(super) fn backend(&self) -> &Arc<dyn SqlBackend> {
        match self {
            Self::Simulated { backend, .. }
            | Self::Sqlite { backend, .. }
            | Self::Mysql { backend, .. } => backend,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::Mysql { prefix, .. } => prefix,
            _ => "storm",
        }
    }

    pub(super) fn wait<T>(&self, ticket: &Ticket<T>) -> T {
        match self {
            Self::Simulated { services, .. } => services.wait(ticket).expect("it answers"),
            _ => wait(ticket),
        }
    }

    /// The tables as they are.
    pub(super) fn tables(&self) -> MemoryAudit {
        match self {
            Self::Simulated { services, .. } => audit_of(&services.tables()),
            Self::Sqlite { folder, .. } => {
                let file = folder.path().join("test.db");
                read(&mut SqliteAudit::open(&file, "storm").expect("tables"))
            }
            Self::Mysql { url, prefix, .. } => {
                read(&mut MysqlAudit::new(url, prefix).expect("tables"))
            }
        }
    }

    /// Runs `work` while somebody else holds the owner's row.
    pub(super) fn while_locked<T>(&self, work: impl FnOnce() -> T) -> T {
        match self {
            Self::Simulated { services, .. } => {
                services.lock_owner(true);
                let outcome = work();
                services.lock_owner(false);
                outcome
            }
            Self::Sqlite { folder, .. } => {
                let other = rusqlite::Connection::open(folder.path().join("test.db"));
                let other = other.expect("a second connection");
                other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
                let outcome = work();
                other.execute_batch("ROLLBACK").expect("it ends");
                outcome
            }
            Self::Mysql { url, prefix, runtime, .. } => {
                let mut other = runtime.block_on(mysql_async::Conn::from_url(url)).expect("one");
                let lock = format!("SELECT attempt FROM {prefix}_owner WHERE id = 1 FOR UPDATE");
                runtime.block_on(other.query_drop("START TRANSACTION")).expect("it begins");
                runtime.block_on(other.query_drop(lock)).expect("the lock");
                let outcome = work();
                runtime.block_on(other.query_drop("ROLLBACK")).expect("it ends");
                runtime.block_on(other.disconnect()).expect("it leaves");
                outcome
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Mysql { url, prefix, runtime, .. } = self else { return };
        let tables = ["audit", "results", "fence", "owner"].map(|name| format!("{prefix}_{name}"));
        let sql = format!("DROP TABLE IF EXISTS {}", tables.join(", "));
        runtime.block_on(async {
            // A server that is gone has taken its tables along.
            if let Ok(mut conn) = mysql_async::Conn::from_url(&*url).await {
                let _ = conn.query_drop(sql).await;
                let _ = conn.disconnect().await;
            }
        });
    }
}

fn read(source: &mut dyn AuditSource) -> MemoryAudit {
    let (mut effects, mut results): (Vec<Effect>, Vec<StoredResult>) = (Vec::new(), Vec::new());
    source.effects(&mut |effect| effects.push(*effect)).expect("the audit table");
    let fences: Vec<Fence> = source.fences().expect("the fence table");
    source
        .results(&mut |row| {
            results.push(StoredResult {
                key_hash: row.key_hash,
                key: row.key.to_vec(),
                value: row.value.map(<[u8]>::to_vec),
                version: row.version,
                record_count: row.record_count,
            });
        })
        .expect("the results table");
    results.sort_by_key(|row| row.key_hash);
    MemoryAudit { effects, fences, results }
}
