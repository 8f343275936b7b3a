//! What of a record goes into which column.

use crate::record::RecordView;

/// The columns of `results` that the job decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowView<'a> {
    /// `record_value`; `None` is NULL.
    pub value: Option<&'a [u8]>,
    /// `record_count`: how many records of this key the job has counted.
    pub record_count: u64,
}

/// Maps records to columns. Called on the database's threads.
pub trait RowMapper: Send + Sync {
    /// The columns of `record`.
    fn map<'a>(&self, record: RecordView<'a>) -> RowView<'a>;
}

/// The record's value as it is; nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct WholeValue;

impl RowMapper for WholeValue {
    fn map<'a>(&self, record: RecordView<'a>) -> RowView<'a> {
        RowView { value: record.value(), record_count: 0 }
    }
}
