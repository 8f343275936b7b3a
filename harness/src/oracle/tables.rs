//! Table names and the queries that both databases understand.

use super::evidence::EvidenceError;

/// The sink's tables under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) audit: String,
    pub(super) results: String,
    pub(super) fence: String,
}

impl Tables {
    /// Names the tables; a prefix is part of the queries, so only plain names are taken.
    pub(super) fn new(prefix: &str) -> Result<Self, EvidenceError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if prefix.is_empty() || !prefix.chars().all(plain) {
            let remedy = "use letters, digits and underscores only";
            return Err(EvidenceError::new(format!("tables with prefix {prefix:?}"), remedy));
        }
        Ok(Self {
            audit: format!("{prefix}_audit"),
            results: format!("{prefix}_results"),
            fence: format!("{prefix}_fence"),
        })
    }

    pub(super) fn select_audit(&self) -> String {
        format!(
            "SELECT seq, partition_id, record_offset, record_index, source_attempt, \
             sink_attempt, subtask, checkpoint, batch, batch_try, sent_us FROM {} ORDER BY seq",
            self.audit
        )
    }

    pub(super) fn select_retried(&self) -> String {
        format!("SELECT DISTINCT sink_attempt, batch FROM {} WHERE batch_try > 0", self.audit)
    }

    pub(super) fn select_fence(&self) -> String {
        format!("SELECT attempt, restored, after_seq FROM {} ORDER BY attempt", self.fence)
    }

    pub(super) fn select_results(&self) -> String {
        format!(
            "SELECT key_hash, record_key, record_value, version, record_count FROM {}",
            self.results
        )
    }
}

/// Reads the big-endian bytes of a key hash.
pub(super) fn key_hash(table: &str, bytes: &[u8]) -> Result<u128, EvidenceError> {
    bytes.try_into().map(u128::from_be_bytes).map_err(|_| {
        let reason = format!("a key_hash has {} bytes instead of 16", bytes.len());
        EvidenceError::new(format!("table {table}"), &reason)
    })
}
