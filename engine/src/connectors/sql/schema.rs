//! The tables of docs/formats.md, in the two dialects.

/// Names of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// One row for each effect.
    pub audit: String,
    /// One row for each key.
    pub results: String,
    /// One row for each attempt.
    pub fence: String,
    /// One row: the attempt that may write.
    pub owner: String,
}

/// Columns of the audit table without `seq`, in the order in which statements name them.
pub(super) const AUDIT_COLUMNS: &str = "partition_id, record_offset, record_index, \
    source_attempt, sink_attempt, subtask, checkpoint, batch, batch_try, sent_us";

/// Columns of the results table, in the order in which statements name them.
pub(super) const RESULT_COLUMNS: &str = "key_hash, record_key, record_value, version, record_count";

impl Tables {
    /// The tables with this prefix.
    pub fn with_prefix(prefix: &str) -> Self {
        let named = |name| format!("{prefix}_{name}");
        Self {
            audit: named("audit"),
            results: named("results"),
            fence: named("fence"),
            owner: named("owner"),
        }
    }

    /// All names.
    pub(super) fn names(&self) -> [&str; 4] {
        [&self.audit, &self.results, &self.fence, &self.owner]
    }

    /// Statements that create what is missing, on MySQL and MariaDB.
    pub(super) fn create_mysql(&self) -> Vec<String> {
        let Self { audit, results, fence, owner } = self;
        let engine = "ENGINE=InnoDB";
        vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {audit} (seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY \
                 KEY, partition_id INT NOT NULL, record_offset BIGINT NOT NULL, record_index INT \
                 NOT NULL, source_attempt INT NOT NULL, sink_attempt INT NOT NULL, subtask INT \
                 NOT NULL, checkpoint BIGINT NOT NULL, batch BIGINT NOT NULL, batch_try INT NOT \
                 NULL, sent_us BIGINT NOT NULL) {engine}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {results} (key_hash BINARY(16) NOT NULL PRIMARY KEY, \
                 record_key MEDIUMBLOB NOT NULL, record_value MEDIUMBLOB NULL, version BIGINT NOT \
                 NULL, record_count BIGINT NOT NULL) {engine}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {fence} (attempt INT NOT NULL PRIMARY KEY, restored \
                 BIGINT NOT NULL, after_seq BIGINT NOT NULL) {engine}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {owner} (id INT NOT NULL PRIMARY KEY, attempt INT NOT \
                 NULL) {engine}"
            ),
            format!("INSERT IGNORE INTO {owner} (id, attempt) VALUES (1, 0)"),
        ]
    }

    /// Statements that create what is missing, on SQLite. `seq` is the row id: rows are never
    /// deleted, so it only grows.
    pub(super) fn create_sqlite(&self) -> String {
        let Self { audit, results, fence, owner } = self;
        format!(
            "CREATE TABLE IF NOT EXISTS {audit} (seq INTEGER PRIMARY KEY, partition_id INTEGER \
             NOT NULL, record_offset INTEGER NOT NULL, record_index INTEGER NOT NULL, \
             source_attempt INTEGER NOT NULL, sink_attempt INTEGER NOT NULL, subtask INTEGER NOT \
             NULL, checkpoint INTEGER NOT NULL, batch INTEGER NOT NULL, batch_try INTEGER NOT \
             NULL, sent_us INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS {results} (key_hash BLOB NOT NULL PRIMARY KEY, record_key \
             BLOB NOT NULL, record_value BLOB NULL, version INTEGER NOT NULL, record_count INTEGER \
             NOT NULL) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS {fence} (attempt INTEGER NOT NULL PRIMARY KEY, restored \
             INTEGER NOT NULL, after_seq INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS {owner} (id INTEGER NOT NULL PRIMARY KEY, attempt INTEGER \
             NOT NULL);
             INSERT OR IGNORE INTO {owner} (id, attempt) VALUES (1, 0);"
        )
    }
}
