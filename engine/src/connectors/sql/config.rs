//! What can be chosen about the SQL sink.

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};
use crate::mutants;

/// Where buffered rows are at a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BufferDesign {
    /// Rows that no transaction holds are written into the checkpoint.
    #[default]
    BufferInState,
    /// Every row is flushed at the barrier; the checkpoint waits for the database.
    FlushOnBarrier,
}

/// The SQL sink's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqlSinkConfig {
    /// Prefix of the tables' names.
    pub table_prefix: String,
    /// A subtask's buffer is flushed when it has so many rows...
    pub batch_rows: usize,
    /// ...or when its oldest row is so old.
    pub batch_interval_ms: u64,
    /// A transaction holds at most so many rows (0 = the database's own measure: 1000 for MySQL,
    /// 8000 for SQLite, where every transaction rewrites the pages that it touches)...
    pub transaction_rows: usize,
    /// ...and bytes of record frames; a larger row goes alone.
    pub transaction_bytes: usize,
    /// Writers of a worker, each with one transaction under way. 0 = the database's own measure:
    /// 4 for MySQL, 1 for SQLite.
    pub connections_per_worker: u16,
    /// Where buffered rows are at a checkpoint.
    pub design: BufferDesign,
    /// Whether an upsert leaves a row alone that has a higher version. Without it the last one wins,
    /// which is the newest one only as long as every replay comes to its end: an attempt that goes
    /// back writes older values; if it dies before it has caught up, and a checkpoint of the attempt
    /// before lands meanwhile, the next one restores that and does not write the newer ones again.
    /// For showing such anomalies, not recommended.
    pub versions_guarded: bool,
    /// Backpressure begins with so many flushed and unconfirmed rows on a worker...
    pub max_pending_rows: usize,
    /// ...or so many bytes of rows that are not confirmed, flushed or not.
    pub max_pending_bytes: usize,
    /// Failures of one batch in a row before the attempt fails.
    pub max_retries: u32,
    /// Before the first retry; doubled for each further one.
    pub retry_backoff_ms: u64,
    /// The longest time between two tries.
    pub retry_backoff_max_ms: u64,
    /// A call to the database that takes longer has failed.
    pub call_timeout_ms: u64,
    /// How long the fence of a new attempt may wait for the transactions of older ones.
    pub fence_timeout_ms: u64,
}

impl Default for SqlSinkConfig {
    fn default() -> Self {
        Self {
            table_prefix: "storm".to_owned(),
            batch_rows: 100,
            batch_interval_ms: 1000,
            transaction_rows: 0,
            transaction_bytes: 2 * 1024 * 1024,
            connections_per_worker: 0,
            design: BufferDesign::default(),
            versions_guarded: true,
            max_pending_rows: 20_000,
            max_pending_bytes: 64 * 1024 * 1024,
            max_retries: 8,
            retry_backoff_ms: 50,
            retry_backoff_max_ms: 2_000,
            call_timeout_ms: 10_000,
            fence_timeout_ms: 30_000,
        }
    }
}

impl SqlSinkConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |what: &str| Err(EngineError::Config(format!("sql sink: {what}")));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.table_prefix.is_empty()
            || self.table_prefix.len() > 48
            || !self.table_prefix.chars().all(is_name)
        {
            return refuse("table_prefix: use 1 to 48 letters, digits and underscores");
        }
        for (name, value) in [
            ("batch_rows", self.batch_rows),
            ("transaction_bytes", self.transaction_bytes),
            ("max_pending_rows", self.max_pending_rows),
            ("max_pending_bytes", self.max_pending_bytes),
            ("call_timeout_ms", self.call_timeout_ms as usize),
        ] {
            if value == 0 {
                return refuse(&format!("{name} = 0; use at least 1"));
            }
        }
        Ok(())
    }

    /// How long to wait before the try after `failures` failures, in microseconds.
    pub(super) fn backoff_us(&self, failures: u32) -> u64 {
        let doubled = 1_u64 << failures.saturating_sub(1).min(20);
        let longest_ms = match mutants::is_active(mutants::PAUSE_UNBOUNDED) {
            true => u64::MAX / 1000,
            false => self.retry_backoff_max_ms,
        };
        self.retry_backoff_ms.saturating_mul(doubled).min(longest_ms) * 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_wrong() {
        let prefix = SqlSinkConfig { table_prefix: "a;b".to_owned(), ..Default::default() };
        let rows = SqlSinkConfig { batch_rows: 0, ..Default::default() };
        for (config, name) in [(prefix, "table_prefix"), (rows, "batch_rows")] {
            let message = config.validate().expect_err("was accepted").to_string();
            assert!(message.contains(name), "{message}");
        }
        SqlSinkConfig::default().validate().expect("the default works");
    }

    #[test]
    fn backs_off_up_to_a_limit() {
        let config = SqlSinkConfig::default();
        let waits: Vec<_> = (1..=8).map(|n| config.backoff_us(n) / 1000).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
    }
}
