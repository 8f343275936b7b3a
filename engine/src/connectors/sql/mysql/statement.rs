//! Statement texts, and prepared statements by number of rows.
//!
//! Upserts are prepared once for each class of row counts (1, 2, 5, 10, ... 1000) and session: a
//! batch is cut into classes. Audit rows are integers only and go as text in one statement, which
//! is cheaper than binding eleven thousand placeholders. `VALUES(col)` and `LOCK IN SHARE MODE`
//! are understood by MySQL 8 and MariaDB alike.

use std::collections::HashMap;
use std::fmt::Write as _;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Params, Statement, Value};

use crate::connectors::sql::backend::WriteTerms;
use crate::connectors::sql::batch::{Batch, BatchNumber, BatchTry, Effect, Upsert};
use crate::connectors::sql::schema::{AUDIT_COLUMNS, RESULT_COLUMNS, Tables};
use crate::ids::AttemptId;

/// Row counts with a prepared statement of their own, largest first.
const CLASSES: [usize; 10] = [1000, 500, 200, 100, 50, 20, 10, 5, 2, 1];
/// One upsert carries at most so many bytes of keys and values, unless a row is larger.
const UPSERT_BYTES: usize = 4 * 1024 * 1024;
/// What a row of an upsert takes beside its key and its value: hash, numbers, lengths and types.
const UPSERT_ROW_BYTES: usize = 96;
/// One statement holds at most so many audit rows.
const AUDIT_ROWS: usize = 2_000;
/// The longest text of an audit row: ten numbers, each as long as its type allows.
const AUDIT_ROW_BYTES: usize = 160;
/// The head of a statement that inserts audit rows: the names of the table and its columns.
const AUDIT_HEAD_BYTES: usize = 1024;

pub(super) struct Statements {
    tables: Tables,
    attempt: AttemptId,
    versions_guarded: bool,
    packet_bytes: usize,
    upserts: HashMap<usize, Statement>,
}

impl Statements {
    /// Statements of a session whose server takes packets of `packet_bytes`.
    pub(super) fn new(terms: &WriteTerms, packet_bytes: usize) -> Self {
        Self {
            tables: terms.tables.clone(),
            attempt: terms.attempt,
            versions_guarded: terms.versions_guarded,
            packet_bytes,
            upserts: HashMap::new(),
        }
    }

    /// The server's largest packet.
    pub(super) fn packet_bytes(&self) -> usize {
        self.packet_bytes
    }

    /// The owner, locked against the fence of a later attempt.
    pub(super) fn read_owner(&self) -> String {
        format!("SELECT attempt FROM {} WHERE id = 1 LOCK IN SHARE MODE", self.tables.owner)
    }

    /// The last `seq` before this attempt.
    pub(super) fn read_fence(&self) -> String {
        let Tables { fence, .. } = &self.tables;
        format!("SELECT after_seq FROM {fence} WHERE attempt = {}", self.attempt)
    }

    /// A try of the batch in the audit table, behind `floor`.
    pub(super) fn find_batch(&self, batch: BatchNumber, floor: u64) -> String {
        format!(
            "SELECT seq FROM {} WHERE seq > {floor} AND sink_attempt = {} AND batch = {} LIMIT 1 \
             LOCK IN SHARE MODE",
            self.tables.audit, self.attempt, batch.0
        )
    }

    /// How many audit rows one statement holds.
    pub(super) fn audit_rows(&self) -> usize {
        let fitting = self.packet_bytes.saturating_sub(AUDIT_HEAD_BYTES) / AUDIT_ROW_BYTES;
        fitting.clamp(1, AUDIT_ROWS)
    }

    /// The audit rows of some effects of a batch.
    pub(super) fn insert_audit(
        &self,
        batch: &Batch,
        effects: &[Effect],
        batch_try: BatchTry,
    ) -> String {
        let mut sql = String::with_capacity(192 + effects.len() * 96);
        let _ = write!(sql, "INSERT INTO {} ({AUDIT_COLUMNS}) VALUES ", self.tables.audit);
        for (n, effect) in effects.iter().enumerate() {
            let from = effect.record.view().provenance();
            let comma = if n == 0 { "" } else { "," };
            // Writing into a string cannot fail.
            let _ = write!(
                sql,
                "{comma}({},{},{},{},{},{},{},{},{},{})",
                from.partition,
                from.offset,
                from.index,
                from.source_attempt,
                batch.attempt,
                effect.subtask,
                effect.checkpoint,
                batch.number.0,
                batch_try.number,
                batch_try.sent_us
            );
        }
        sql
    }

    /// How many of `rows` go into the next statement.
    pub(super) fn class_of(&self, rows: &[Upsert<'_>]) -> usize {
        let (limit, mut bytes) = (UPSERT_BYTES.min(self.packet_bytes / 2), 0);
        let fitting = rows.iter().take_while(|row| {
            bytes += UPSERT_ROW_BYTES + row.key.len() + row.value.map_or(0, <[u8]>::len);
            bytes <= limit
        });
        let fitting = fitting.count().max(1);
        CLASSES.into_iter().find(|class| *class <= fitting).unwrap_or(1)
    }

    /// Upserts `rows`, whose number is a class.
    pub(super) async fn upsert(
        &mut self,
        conn: &mut Conn,
        rows: &[Upsert<'_>],
    ) -> Result<(), Error> {
        let statement = match self.upserts.get(&rows.len()) {
            Some(statement) => statement.clone(),
            None => {
                let statement = conn.prep(self.upsert_text(rows.len())).await?;
                self.upserts.insert(rows.len(), statement.clone());
                statement
            }
        };
        let mut values = Vec::with_capacity(rows.len() * 5);
        for row in rows {
            values.push(Value::Bytes(row.key_hash.to_vec()));
            values.push(Value::Bytes(row.key.to_vec()));
            values.push(row.value.map_or(Value::NULL, |value| Value::Bytes(value.to_vec())));
            values.push(Value::UInt(row.version));
            values.push(Value::UInt(row.record_count));
        }
        conn.exec_drop(statement, Params::Positional(values)).await
    }

    /// Assignments run from left to right and see earlier ones: `version` is the last.
    fn upsert_text(&self, rows: usize) -> String {
        let mut sql = format!("INSERT INTO {} ({RESULT_COLUMNS}) VALUES ", self.tables.results);
        for n in 0..rows {
            sql.push_str(if n == 0 { "(?,?,?,?,?)" } else { ",(?,?,?,?,?)" });
        }
        sql.push_str(" ON DUPLICATE KEY UPDATE ");
        sql.push_str(if self.versions_guarded {
            "record_value = IF(VALUES(version) >= version, VALUES(record_value), record_value), \
             record_count = IF(VALUES(version) >= version, VALUES(record_count), record_count), \
             version = GREATEST(version, VALUES(version))"
        } else {
            "record_value = VALUES(record_value), record_count = VALUES(record_count), \
             version = VALUES(version)"
        });
        sql
    }
}
